import { Heap } from '../heap.js';
import { compareKeys } from '../keys.js';
import type { ScanRange } from '../store.js';
import { allShards, indexName, recordName } from './layout.js';
import type { Argument } from './link.js';
import { readRecord } from './record.js';

type Send = (shard: number, name: string, command: readonly Argument[]) => Promise<unknown>;

interface Row {
  readonly key: string;
  readonly value: unknown;
}

const firstPage = 16;
const largestPage = 512;
/** No octet of UTF-8 is as large, so this comes after all that begins with what stands before it. */
const afterAll = Buffer.of(0xff);

/** Records of a table in order of keys: the shards, each in order, merged. */
export async function* scanShards(send: Send, table: string, range: ScanRange): AsyncGenerator<Row, void> {
  const heads = new Heap<{ row: Row; readonly rows: AsyncGenerator<Row, void> }>(
    (a, b) => compareKeys(a.row.key, b.row.key) < 0,
  );
  await Promise.all(
    allShards.map(async (shard) => {
      const rows = shardRows(send, shard, table, range);
      const first = await rows.next();
      if (!first.done) heads.push({ row: first.value, rows });
    }),
  );
  for (let left = range.limit ?? Infinity; left > 0; left--) {
    const head = heads.pop();
    if (!head) return;
    yield head.row;
    const next = await head.rows.next();
    if (next.done) continue;
    head.row = next.value;
    heads.push(head);
  }
}

async function* shardRows(
  send: Send,
  shard: number,
  table: string,
  range: ScanRange,
): AsyncGenerator<Row, void> {
  const { prefix = '', after } = range;
  const end = prefix === '' ? '+' : Buffer.concat([Buffer.from(`(${prefix}`), afterAll]);
  let start =
    after !== undefined && compareKeys(after, prefix) >= 0 ? `(${after}` : prefix === '' ? '-' : `[${prefix}`;
  const index = indexName(shard, table);
  for (let page = firstPage; ; page = Math.min(2 * page, largestPage)) {
    const command = ['ZRANGE', index, start, end, 'BYLEX', 'LIMIT', '0', String(page)];
    const keys = ((await send(shard, index, command)) as Buffer[]).map(String);
    if (keys.length > 0) {
      const names = keys.map((key) => recordName(shard, table, key));
      const records = (await send(shard, index, ['MGET', ...names])) as (Buffer | null)[];
      for (const [i, key] of keys.entries()) {
        const { value } = readRecord(records[i] ?? null);
        if (value !== undefined) yield { key, value };
      }
    }
    if (keys.length < page) return;
    start = `(${keys.at(-1)}`;
  }
}
