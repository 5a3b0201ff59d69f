/*
 * How tables lie in Redis. A record's shard is a hash of its key; everything about the records of one shard has the
 * same hash tag, and so one slot of a cluster:
 *
 *   parley:{7}:users:r:KEY    string      the record, see `record.ts`
 *   parley:{7}:users:k        sorted set  keys of the shard's records, all with score 0, for scans in their order
 *   parley:{7}:users:d        sorted set  keys of records with a deadline, by deadline
 *   parley:{7}:life           string      a random name for this life of the data, see `LossWatch`
 *   parley:{7}:removed:NODE   string      how many records of the shard a node has removed, see `LossWatch`
 *   parley:{7}:beat           string      written now and then to see whether writing works
 */

/** Enough that the shards of a cluster of a few masters weigh about the same; a change would lose stored records. */
export const shardCount = 64;

/** Every shard, for what concerns all of a table. */
export const allShards: readonly number[] = Array.from({ length: shardCount }, (_, shard) => shard);

/** FNV-1a of the UTF-16 units: any hash does that each node computes alike. */
export function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & (shardCount - 1);
}

export const recordName = (shard: number, table: string, key: string): string =>
  `parley:{${shard}}:${table}:r:${key}`;
export const indexName = (shard: number, table: string): string => `parley:{${shard}}:${table}:k`;
export const deadlinesName = (shard: number, table: string): string => `parley:{${shard}}:${table}:d`;
export const lifeName = (shard: number): string => `parley:{${shard}}:life`;
/** @param node its {@link Stamps.node}. */
export const removedName = (shard: number, node: string): string => `parley:{${shard}}:removed:${node}`;
export const beatName = (shard: number): string => `parley:{${shard}}:beat`;
export const channelName = (channel: string): string => `parley:events:${channel}`;
