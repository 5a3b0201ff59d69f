import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { LmdbStore } from '../../src/store/lmdb/lmdb-store.js';
import type { LmdbOptions } from '../../src/store/lmdb/options.js';
import { storeContract, type StoreHarness } from './store.js';
import { storeModel } from './store-model.js';

async function lmdb(options: Partial<LmdbOptions>): Promise<StoreHarness> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-store-'));
  const opened: LmdbStore[] = [];
  return {
    async open() {
      const store = new LmdbStore(folder, { clock: new VirtualClock(), log: silentLogger }, options);
      opened.push(store);
      return store;
    },
    async dispose() {
      await Promise.all(opened.map((store) => store.close()));
      rmSync(folder, { recursive: true });
    },
  };
}

const always = { memoryOctets: 1, decodedRecords: 2 };

storeContract('LMDB', () => lmdb({}));
storeContract('LMDB that begins a checkpoint with every batch and keeps two records decoded', () =>
  lmdb(always),
);
storeContract('LMDB that syncs every commit', () => lmdb({ sync: 'commit' }));
storeModel('LMDB', 100, () => lmdb({}));
storeModel('LMDB that begins a checkpoint with every batch and keeps two records decoded', 100, () =>
  lmdb(always),
);
