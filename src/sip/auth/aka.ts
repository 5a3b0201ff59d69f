import { createHmac, timingSafeEqual } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import { digestHa1, type DigestAlgorithm } from './algorithm.js';
import { Milenage, xor, type AkaKeys } from './milenage.js';
import { sqnOctets, sqnOf } from './sqn.js';
import { Tuak, TOPC_OCTETS } from './tuak.js';

/** What home network and USIM share, as octets. */
export interface AkaSecret {
  readonly k: Uint8Array;
  /** OPc of Milenage, 16 octets, or TOPc of TUAK, 32. */
  readonly opc: Uint8Array;
  /** Authentication management field, 2 octets. */
  readonly amf: Uint8Array;
}

/** An authentication vector (3GPP TS 33.102 §6.3.2). */
export interface AkaVector extends AkaKeys {
  readonly rand: Buffer;
  readonly autn: Buffer;
  /** `nonce` of the challenge: base64 of RAND and AUTN (RFC 3310 §3.2). */
  readonly nonce: string;
}

/** Amf of a resynchronisation (TS 33.102 §6.3.3). */
const RESYNC_AMF = Buffer.alloc(2);
const RAND = 16;
const AUTN = 16;
const AUTS = 14;

/** The functions f1 to f5* that home network and USIM have agreed on. */
function functionsOf({ k, opc }: AkaSecret): Milenage | Tuak {
  return opc.length === TOPC_OCTETS ? new Tuak(k, opc) : new Milenage(k, opc);
}

/**
 * Makes the vector of a challenge.
 * @param sqn fresh sequence number, below 2^48.
 * @param rand 16 random octets.
 */
export function akaVector(secret: AkaSecret, sqn: number, rand: Uint8Array): AkaVector {
  const functions = functionsOf(secret);
  const sequence = sqnOctets(sqn);
  const keys = functions.f2345(rand);
  const { macA } = functions.f1(rand, sequence, secret.amf);
  const autn = Buffer.concat([xor(sequence, keys.ak), secret.amf, macA]);
  return { ...keys, rand: Buffer.from(rand), autn, nonce: Buffer.concat([rand, autn]).toString('base64') };
}

/** RAND of a nonce that {@link akaVector} made. */
export function randOf(nonce: string): Buffer {
  return Buffer.from(nonce, 'base64').subarray(0, RAND);
}

/** What a USIM makes of a RAND: the answer that is expected, and the keys that go with it. */
export function akaKeys(secret: AkaSecret, rand: Uint8Array): AkaKeys {
  return functionsOf(secret).f2345(rand);
}

/**
 * H(A1) for digest with AKA: the password is RES itself in version 1 (RFC 3310 §3.3), in version 2 base64 of
 * HMAC under RES, IK and CK (RFC 4169 §2.1).
 * @throws ParleyError `aka-algorithm` for an algorithm without AKA.
 */
export function akaHa1(algorithm: DigestAlgorithm, username: string, realm: string, keys: AkaKeys): string {
  if (algorithm.aka === undefined) throw new ParleyError('aka-algorithm', algorithm.token);
  return digestHa1(
    algorithm.hash,
    username,
    realm,
    algorithm.aka === 1 ? keys.res : akaV2Password(algorithm, keys),
  );
}

/**
 * The sequence number a USIM reports after a synchronisation failure.
 * @param rand that of the challenge which failed.
 * @param auts `auts` parameter: base64 of 14 octets.
 * @returns undefined when AUTS was not made with the subscriber's key (TS 33.102 §6.3.5).
 */
export function resynchronised(secret: AkaSecret, rand: Uint8Array, auts: string): number | undefined {
  const octets = Buffer.from(auts, 'base64');
  if (octets.length !== AUTS) return undefined;
  const functions = functionsOf(secret);
  const sequence = xor(octets.subarray(0, 6), functions.f5Star(rand));
  const { macS } = functions.f1(rand, sequence, RESYNC_AMF);
  return timingSafeEqual(macS, octets.subarray(6)) ? sqnOf(sequence) : undefined;
}

/** What a USIM makes of a challenge. */
export type UsimAnswer =
  | { readonly kind: 'answered'; readonly keys: AkaKeys; readonly sqn: number }
  /** The network does not know the key. */
  | { readonly kind: 'mac-failure' }
  /** The network's sequence number is no fresh one; `auts` tells it the right one. */
  | { readonly kind: 'synchronisation-failure'; readonly auts: string };

/**
 * The USIM's side of AKA (TS 33.102 §6.3.3).
 * @param nonce of the challenge.
 * @param accept whether a sequence number is fresh.
 * @param highest sequence number to report when it is not.
 * @throws ParleyError `aka-nonce` for a nonce too short to hold RAND and AUTN.
 */
export function usimAnswer(
  secret: AkaSecret,
  nonce: string,
  accept: (sqn: number) => boolean,
  highest: number,
): UsimAnswer {
  const octets = Buffer.from(nonce, 'base64');
  if (octets.length < RAND + AUTN) throw new ParleyError('aka-nonce');
  const rand = octets.subarray(0, RAND);
  const autn = octets.subarray(RAND, RAND + AUTN);
  const functions = functionsOf(secret);
  const keys = functions.f2345(rand);
  const sequence = xor(autn.subarray(0, 6), keys.ak);
  const { macA } = functions.f1(rand, sequence, autn.subarray(6, 8));
  if (!timingSafeEqual(macA, autn.subarray(8))) return { kind: 'mac-failure' };
  const sqn = sqnOf(sequence);
  if (accept(sqn)) return { kind: 'answered', keys, sqn };
  const reported = sqnOctets(highest);
  const { macS } = functions.f1(rand, reported, RESYNC_AMF);
  const auts = Buffer.concat([xor(reported, functions.f5Star(rand)), macS]);
  return { kind: 'synchronisation-failure', auts: auts.toString('base64') };
}

/** Order of the keys as in RFC 4169 §2.1: RES, IK, CK. */
function akaV2Password(algorithm: DigestAlgorithm, { res, ik, ck }: AkaKeys): string {
  const hmac = createHmac(algorithm.hash === 'MD5' ? 'md5' : 'sha256', Buffer.concat([res, ik, ck]));
  return hmac.update('http-digest-akav2-password').digest('base64');
}
