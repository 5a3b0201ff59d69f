import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { LmdbStore } from '../../src/store/lmdb/lmdb-store.js';
import { readTable, table, type Table } from '../../src/store/store.js';

it('keeps more records of a table that is mostly read as they are than of others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-test-'));
  const context = { clock: new VirtualClock(), log: silentLogger };
  const store = new LmdbStore(folder, context, { decodedRecords: 2, decodedWhereRead: 4 });
  const keys = ['a', 'b', 'c', 'd'];
  const kept = async (of: Table<object>): Promise<number> => {
    for (const key of keys)
      await store.update(of, key, () => ({ kind: 'put', value: { key }, result: undefined }));
    for (const key of keys) store.read(of, key);
    const first = new Map(keys.map((key) => [key, store.read(of, key)]));
    return keys.toReversed().filter((key) => store.read(of, key) === first.get(key)).length;
  };
  expect([await kept(table('changing')), await kept(readTable('read'))]).toEqual([2, 4]);
  await store.close();
  rmSync(folder, { recursive: true });
});
