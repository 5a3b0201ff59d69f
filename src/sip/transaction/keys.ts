import { randomFillSync } from 'node:crypto';
import type { SipRequest } from '../message/message.js';
import { MAGIC_COOKIE, type Via } from '../message/via.js';

/**
 * What tells one server transaction from all others (RFC 3261 §17.2.3): topmost branch, sent-by and method. An ACK
 * asks for its INVITE, and so does a CANCEL with `method` given. Without the cookie, the older rule of RFC 2543
 * compares the fields of the request; the To tag of an ACK is compared by the INVITE transaction.
 */
export function serverKey(request: SipRequest, via: Via, method: string = request.method): string {
  const kind = method === 'ACK' ? 'INVITE' : method;
  const branch = via.params.get('branch');
  if (branch?.startsWith(MAGIC_COOKIE)) return `${kind} ${branch} ${via.host}:${via.port ?? ''}`;
  const toTag = kind === 'INVITE' || method !== request.method ? '' : (request.toTag ?? '');
  const { uri, fromTag, callId, cseq, headers } = request;
  return `${kind} ${uri} ${toTag} ${fromTag ?? ''} ${callId} ${cseq.number} ${headers.list('Via')[0]}`;
}

/** What tells one client transaction from all others (RFC 3261 §17.1.3): branch and method of CSeq. */
export function clientKey(branch: string, method: string): string {
  return `${method} ${branch}`;
}

const pool = Buffer.alloc(4096);
let used = pool.length;

/** A branch that nobody can guess: the cookie and 72 random bits (RFC 3261 §8.1.1.7). */
export function newBranch(): string {
  if (used + 9 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const branch = MAGIC_COOKIE + pool.toString('base64url', used, used + 9);
  used += 9;
  return branch;
}
