import { randomFillSync } from 'node:crypto';

const TOKEN_BYTES = 8;
const pool = Buffer.alloc(1_024 * TOKEN_BYTES);
let used = pool.length;

/**
 * A token of 16 hexadecimal digits. Its 64 random bits serve tags, which need 32 (RFC 3261 §19.3), branches and
 * Call-IDs. Drawn from a pool, so that one costs no call to the generator.
 */
export function randomToken(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const start = used;
  used += TOKEN_BYTES;
  return pool.toString('hex', start, used);
}
