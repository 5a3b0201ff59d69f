import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { LmdbStore } from '../../src/store/lmdb/lmdb-store.js';
import type { LmdbOptions } from '../../src/store/lmdb/options.js';
import { table } from '../../src/store/store.js';
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

it.each([{}, always])(
  'LMDB reads records of a form back from its files and its journal, %o',
  async (options) => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-store-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const open = (): LmdbStore =>
      new LmdbStore(folder, { clock: new VirtualClock(), log: silentLogger }, options);
    const plain = table<{ readonly word: string }>('words');
    const formed = table('words', {
      pack: ({ word }: { readonly word: string }) => [word],
      unpack: (stored) =>
        Array.isArray(stored) ? { word: stored[0] as string } : (stored as { readonly word: string }),
    });
    const earlier = open();
    await earlier.update(plain, 'a', () => ({ kind: 'put', value: { word: 'old' }, result: undefined }));
    await earlier.close();
    const first = open();
    const keys = Array.from({ length: 8 }, (_, i) => `b${i}`);
    for (const word of keys)
      await first.update(formed, word, () => ({ kind: 'put', value: { word }, result: undefined }));
    const expected = [{ word: 'old' }, ...keys.map((word) => ({ word }))];
    const all = async (store: LmdbStore): Promise<unknown[]> => {
      const found: unknown[] = [];
      for await (const { value } of store.scan(formed)) found.push(value);
      return found;
    };
    expect(await all(first)).toEqual(expected);
    expect(first.read(formed, 'b0')).toEqual({ word: 'b0' });
    await first.close();
    const second = open();
    expect(await all(second)).toEqual(expected);
    await second.close();
  },
);

it('LMDB reads at once, also what is not committed yet', async () => {
  const harness = await lmdb({});
  onTestFinished(() => harness.dispose());
  const store = await harness.open();
  const words = table<string>('words');
  expect(store.read(words, 'a')).toBeUndefined();
  const updated = store.update(words, 'a', () => ({ kind: 'put', value: 'here', result: undefined }));
  expect(store.read(words, 'a')).toBe('here');
  await updated;
  expect(store.read(words, 'a')).toBe('here');
});

storeContract('LMDB', () => lmdb({}));
storeContract('LMDB that begins a checkpoint with every batch and keeps two records decoded', () =>
  lmdb(always),
);
storeContract('LMDB that syncs every commit', () => lmdb({ sync: 'commit' }));
storeModel('LMDB', 100, () => lmdb({}));
storeModel('LMDB that begins a checkpoint with every batch and keeps two records decoded', 100, () =>
  lmdb(always),
);
