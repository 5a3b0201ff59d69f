import { Heap } from '../heap.js';
import { compareKeys } from '../keys.js';
import type { ScanRange, StoredRecord, Table } from '../store.js';
import { recordName } from './layout.js';
import type { Argument } from './link.js';
import type { Reads } from './reads.js';
import { readRecord } from './record.js';

const firstPage = 16;
const largestPage = 512;
/** No octet of UTF-8 is as large, so this comes after all that begins with what stands before it. */
const afterAll = Buffer.of(0xff);

/** Records of a table in order of keys: the shards, each in order, merged. */
export async function* scanShards<T>(
  reads: Reads,
  table: Table<T>,
  range: ScanRange,
): AsyncGenerator<StoredRecord<T>, void> {
  const { prefix = '', after, limit = Infinity } = range;
  const end = prefix === '' ? '+' : Buffer.concat([Buffer.from(`(${prefix}`), afterAll]);
  const start =
    after !== undefined && compareKeys(after, prefix) >= 0 ? `(${after}` : prefix === '' ? '-' : `[${prefix}`;
  if (limit <= 0) return;
  const page = Math.min(firstPage, limit);
  const heads = new Heap<{ row: StoredRecord<T>; readonly rows: AsyncGenerator<StoredRecord<T>, void> }>(
    (a, b) => compareKeys(a.row.key, b.row.key) < 0,
  );
  const pages = await reads.keysOfAll(table.name, start, end, page);
  await Promise.all(
    pages.map(async (keys, shard) => {
      if (keys.length === 0) return;
      const rows = shardRows(reads, shard, table, { keys, page, end });
      const first = await rows.next();
      if (!first.done) heads.push({ row: first.value, rows });
    }),
  );
  for (let left = limit; left > 0; left--) {
    const head = heads.pop();
    if (!head) return;
    yield head.row;
    const next = await head.rows.next();
    if (next.done) continue;
    head.row = next.value;
    heads.push(head);
  }
}

/** @param begun the first page of keys, how many it could have, and where the range ends. */
async function* shardRows<T>(
  reads: Reads,
  shard: number,
  { name, form }: Table<T>,
  begun: { readonly keys: readonly string[]; readonly page: number; readonly end: Argument },
): AsyncGenerator<StoredRecord<T>, void> {
  let { keys, page } = begun;
  for (;;) {
    const records = await Promise.all(keys.map((key) => reads.record(shard, recordName(shard, name, key))));
    for (const [i, key] of keys.entries()) {
      const { value } = readRecord(records[i] ?? null, form);
      if (value !== undefined) yield { key, value: value as T };
    }
    if (keys.length < page) return;
    page = Math.min(2 * page, largestPage);
    keys = await reads.keys(shard, name, `(${keys.at(-1)}`, begun.end, page);
    if (keys.length === 0) return;
  }
}
