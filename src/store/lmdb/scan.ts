import { setImmediate as turn } from 'node:timers/promises';
import { compareKeys } from '../keys.js';
import type { ScanRange } from '../store.js';
import type { TableFiles } from './files.js';
import type { LmdbTable } from './lmdb-table.js';
import { sortedKeys } from './sorted-keys.js';

interface Filed {
  readonly key: string;
  readonly value: unknown;
}

/** Records of a table in order of keys: those in the files, and over them those in memory when the scan began. */
export async function* scanTable(table: LmdbTable, range: ScanRange): AsyncGenerator<Filed> {
  const { prefix = '', after, limit = Infinity } = range;
  const inRange = (key: string): boolean =>
    key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0);
  const memory = (await sortedKeys(table.keysInMemory(prefix, inRange)))[Symbol.iterator]();
  const files = filedRecords(table.files, prefix, after);
  let inMemory = memory.next();
  let filed = await files.next();
  let last: string | undefined;
  for (let left = limit; left > 0 && !(inMemory.done && filed.done);) {
    const order = inMemory.done ? 1 : filed.done ? -1 : compareKeys(inMemory.value, filed.value.key);
    const key = order > 0 ? (filed.value as Filed).key : (inMemory.value as string);
    const value =
      order > 0 && !table.peek(key) ? (filed.value as Filed).value : table.valueOf(table.slot(key));
    if (order <= 0) inMemory = memory.next();
    if (order >= 0) filed = await files.next();
    if (value === undefined || key === last) continue;
    last = key;
    yield { key, value };
    left--;
  }
}

const pageSize = 256;

/** A page at a time: no read transaction stays open while the caller does something else. */
async function* filedRecords(
  files: TableFiles,
  prefix: string,
  after: string | undefined,
): AsyncGenerator<Filed, void> {
  for (;;) {
    const page = files.page(prefix, after, pageSize);
    yield* page;
    if (page.length < pageSize) return;
    after = page.at(-1)?.key;
    await turn();
  }
}
