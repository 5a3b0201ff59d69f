import { digestHash, type DigestAlgorithm, type HashName } from './algorithm.js';
import type { DigestCredentials } from './credentials.js';

/** The request or response that a digest covers. */
export interface DigestedMessage {
  /** Method of the request; empty for the `rspauth` of a response (RFC 7616 §3.5). */
  readonly method: string;
  /** Body, for `qop=auth-int`; none counts as an empty one (RFC 8760 §2.6 item 7). */
  readonly body?: Uint8Array | string | undefined;
}

/** The values of credentials that a response is computed from. */
export type DigestInput = Pick<DigestCredentials, 'nonce' | 'uri' | 'cnonce' | 'nc' | 'qop'>;

/**
 * The `response` or `rspauth` value (RFC 7616 §3.4.1, without qop RFC 2617 §3.2.2.1).
 * @param ha1 H(username:realm:password) in hex, as `digestHa1` gives it; `-sess` is applied here.
 * @returns lower-case hex.
 */
export function digestResponse(
  algorithm: DigestAlgorithm,
  ha1: string,
  input: DigestInput,
  message: DigestedMessage,
): string {
  return responseWith(algorithm, ha1, input, digestHash(algorithm.hash, a2(algorithm.hash, input, message)));
}

/**
 * Checks responses. Keeps the last H(A2), as nearly all requests of a registrar have one method and one uri: a response then
 * takes one hash instead of two.
 */
export class ResponseVerifier {
  #hash: HashName | undefined;
  #a2 = '';
  #ha2 = '';

  /**
   * Whether credentials prove knowledge of `ha1`, in time that does not tell how much of the response is right. Nonce and
   * nonce count are not looked at.
   */
  verify(
    algorithm: DigestAlgorithm,
    ha1: string,
    credentials: DigestCredentials,
    message: DigestedMessage,
  ): boolean {
    const text = a2(algorithm.hash, credentials, message);
    if (text !== this.#a2 || algorithm.hash !== this.#hash) {
      this.#ha2 = digestHash(algorithm.hash, text);
      this.#a2 = text;
      this.#hash = algorithm.hash;
    }
    return equalInConstantTime(responseWith(algorithm, ha1, credentials, this.#ha2), credentials.response);
  }
}

/** Compares two texts in time that depends on nothing but their lengths. A loop, since making two buffers costs more. */
export function equalInConstantTime(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}

function responseWith(algorithm: DigestAlgorithm, ha1: string, input: DigestInput, ha2: string): string {
  const { nonce, cnonce, nc, qop } = input;
  const a1 = algorithm.session ? digestHash(algorithm.hash, `${ha1}:${nonce}:${cnonce ?? ''}`) : ha1;
  if (qop === undefined) return digestHash(algorithm.hash, `${a1}:${nonce}:${ha2}`);
  return digestHash(algorithm.hash, `${a1}:${nonce}:${nc ?? ''}:${cnonce ?? ''}:${qop}:${ha2}`);
}

/** A2 of RFC 7616 §3.4.3. */
function a2(hash: HashName, { uri, qop }: DigestInput, { method, body }: DigestedMessage): string {
  const text = `${method}:${uri}`;
  return qop?.toLowerCase() === 'auth-int' ? `${text}:${digestHash(hash, body ?? '')}` : text;
}
