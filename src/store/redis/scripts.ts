import { createHash } from 'node:crypto';
import type { Argument, RedisLink } from './link.js';

/** A Lua script that Redis keeps by its hash. */
export interface Script {
  readonly source: string;
  readonly sha: string;
}

const script = (source: string): Script => ({ source, sha: createHash('sha1').update(source).digest('hex') });

/** Runs it on the node that has the first of `keys`. */
export async function runScript(
  link: RedisLink,
  { source, sha }: Script,
  keys: readonly string[],
  values: readonly Argument[],
): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...values];
  try {
    return await link.send(keys[0]!, ['EVALSHA', sha, ...rest]);
  } catch (error) {
    // a Redis that was started again does not know it, and has done nothing
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return link.send(keys[0]!, ['EVAL', source, ...rest]);
  }
}

/*
 * Both writing ones compare a record with what the caller took it for, and when it was so it is done now; else they answer with the
 * record as it is, or nil. A put that finds its own stamp was done before, and its answer was lost.
 * The first line has Redis refuse a whole script when it may use no more memory, before it did a part of it.
 */

/**
 * Several puts, each by itself. KEYS: record, index, deadlines, and so on for the next.
 * ARGV: expected token, key, new record, deadline or nothing, and so on. Answers with a list, 1 for what is done.
 */
export const putScript = script(`#!lua
local answers = {}
for i = 1, #KEYS / 3 do
  local record, index, deadlines = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local expected, key, new, deadline = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local current = redis.call('GET', record)
  local token = current and string.sub(current, 1, 16) or ''
  if token == expected then
    redis.call('SET', record, new)
    if not current then redis.call('ZADD', index, 0, key) end
    if deadline ~= '' then redis.call('ZADD', deadlines, deadline, key)
    elseif current then redis.call('ZREM', deadlines, key) end
    answers[i] = 1
  elseif token == string.sub(new, 1, 16) then
    answers[i] = 1
  else
    answers[i] = current
  end
end
return answers`);

/**
 * KEYS: record, index, deadlines, count of the node's removals. ARGV: expected token, key, milliseconds that the count is kept. Answers with
 * the count when it is done. Allowed when memory is used up: it gives some back.
 */
export const removeScript = script(`#!lua flags=allow-oom
local current = redis.call('GET', KEYS[1])
if (current and string.sub(current, 1, 16) or '') ~= ARGV[1] then return current end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
local count = redis.call('INCR', KEYS[4])
redis.call('PEXPIRE', KEYS[4], ARGV[3])
return count`);

/** One reading command on each key. ARGV: its name, and what follows the key. Answers with a list of its answers. */
export const eachScript = script(`#!lua flags=no-writes
redis.setresp(3)
local answers = {}
for i = 1, #KEYS do
  answers[i] = redis.call(ARGV[1], KEYS[i], unpack(ARGV, 2))
end
return answers`);

/**
 * Several records. KEYS: their names. ARGV: octets after which no more are read. Answers with a list of as many as that allows, one at
 * least, in their order.
 */
export const recordsScript = script(`#!lua flags=no-writes
local answers, octets = {}, 0
for i = 1, #KEYS do
  local record = redis.call('GET', KEYS[i])
  answers[i] = record
  if record then octets = octets + #record end
  if octets >= tonumber(ARGV[1]) then break end
end
return answers`);

/** Several events. KEYS: a channel each. ARGV: the message for each. Allowed when memory is used up: it keeps nothing. */
export const publishScript = script(`#!lua flags=allow-oom
for i = 1, #KEYS do
  redis.call('SPUBLISH', KEYS[i], ARGV[i])
end
return #KEYS`);
