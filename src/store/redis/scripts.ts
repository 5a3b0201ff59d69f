import { createHash } from 'node:crypto';

/** A Lua script that Redis keeps by its hash. */
export interface Script {
  readonly source: string;
  readonly sha: string;
  /** How many of its arguments are keys. */
  readonly keys: number;
}

const script = (keys: number, source: string): Script => ({
  source,
  sha: createHash('sha1').update(source).digest('hex'),
  keys,
});

/*
 * Both compare the record with what the caller took it for. They return 1 when it was so and is done now, else the
 * record as it is or nil. A put that finds its own stamp was done before: its answer had been lost.
 * The first line has Redis refuse the whole script when it may use no more memory, before it did a part of it.
 */

/** KEYS: record, index, deadlines. ARGV: expected token, key, new record, deadline or nothing. */
export const putScript = script(
  3,
  `#!lua
local current = redis.call('GET', KEYS[1])
local token = current and string.sub(current, 1, 16) or ''
if token ~= ARGV[1] then
  if token == string.sub(ARGV[3], 1, 16) then return 1 end
  return current
end
redis.call('SET', KEYS[1], ARGV[3])
if not current then redis.call('ZADD', KEYS[2], 0, ARGV[2]) end
if ARGV[4] ~= '' then redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
elseif current then redis.call('ZREM', KEYS[3], ARGV[2]) end
return 1`,
);

/** KEYS: record, index, deadlines. ARGV: expected token, key. Allowed when memory is used up: it gives some back. */
export const removeScript = script(
  3,
  `#!lua flags=allow-oom
local current = redis.call('GET', KEYS[1])
if (current and string.sub(current, 1, 16) or '') ~= ARGV[1] then return current end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
return 1`,
);
