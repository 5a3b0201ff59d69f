import { randomBytes, randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafe(4096);
let used = pool.length;

/** Random octets are drawn in bulk: one system call serves 512 identifiers. */
function draw(octets: number): number {
  if (used + octets > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += octets;
  return used - octets;
}

/**
 * A transaction identifier with 64 random bits (RFC 4975 §7.1). That is also what keeps the end-line out of the
 * body: who wrote the body could not know it.
 */
export function newTransactionId(): string {
  const at = draw(8);
  return pool.toString('hex', at, at + 8);
}

/** A Message-ID with 128 random bits, 32 characters, the most that `ident` of RFC 4975 §9 allows. */
export function newMessageId(): string {
  const at = draw(16);
  return pool.toString('hex', at, at + 16);
}

/** A session-id with 128 random bits: it is the secret by which a connection is bound to a session (RFC 4975 §14.1). */
export function newSessionId(): string {
  return randomBytes(16).toString('base64url');
}
