import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/store.js';
import { storeContract } from './store.js';

storeContract('LMDB', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-store-'));
  const opened: Store[] = [];
  return {
    async open() {
      const store = await openStore(`lmdb:${folder}`, { clock: new VirtualClock(), log: silentLogger });
      opened.push(store);
      return store;
    },
    async dispose() {
      await Promise.all(opened.map((store) => store.close()));
      rmSync(folder, { recursive: true });
    },
  };
});
