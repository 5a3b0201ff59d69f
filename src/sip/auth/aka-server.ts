import type { Clock } from '../../base/clock.js';
import { akaHa1, type AkaVector } from './aka.js';
import { digestAlgorithm, digestHa1, type DigestAlgorithm } from './algorithm.js';
import { writeChallenge } from './challenge.js';
import type { DigestCredentials } from './credentials.js';
import { ResponseVerifier, type DigestedMessage } from './digest.js';
import type { GuessLock } from './guess-lock.js';

export interface AkaServerOptions {
  readonly clock: Clock;
  readonly realm: string;
  readonly userLock: GuessLock;
  /** Milliseconds that an answer may take: timer reg-await-auth (3GPP TS 24.229 §5.4.1.2.1), 4 minutes by default. */
  readonly answerMs?: number;
  /** Milliseconds from the first right answer that the nonce serves further requests, with rising nonce counts; 0 never. */
  readonly reuseMs?: number;
  /** Challenges that may be open; the oldest give way. */
  readonly capacity?: number;
}

/** Versions and hash functions of AKA (RFC 3310, RFC 4169, 3GPP TS 33.203 annex X). */
export type AkaAlgorithm = 'AKAv1-MD5' | 'AKAv2-MD5' | 'AKAv2-SHA-256';

/** Whom and how to challenge. */
export interface AkaChallengeOptions {
  readonly privateId: string;
  /** The answer must come with this Call-ID. */
  readonly callId: string;
  readonly algorithm: AkaAlgorithm;
  /** Put CK and IK into the challenge: only when it goes to a P-CSCF, which removes them (TS 24.229 §5.4.1.2.1). */
  readonly withKeys: boolean;
}

export type AkaVerdict =
  | { readonly kind: 'accepted'; readonly privateId: string }
  /** No open challenge fits: make a new vector. `wrongResponse` when one did and its answer was wrong. */
  | { readonly kind: 'challenge'; readonly wrongResponse: boolean }
  /**
   * The USIM wants another sequence number: check `auts` with the RAND, step the number, challenge again. An `auts` that does not check out
   * is a wrong answer and to be counted as one.
   */
  | { readonly kind: 'resynchronise'; readonly rand: Uint8Array; readonly auts: string }
  | { readonly kind: 'locked'; readonly retryAfterMs: number };

/** A challenge that waits for its answer, or whose nonce may be used again. */
interface Open {
  readonly privateId: string;
  readonly callId: string;
  readonly algorithm: DigestAlgorithm;
  readonly vector: AkaVector;
  expiresAt: number;
  /** Highest nonce count accepted; 0 while no right answer came. */
  count: number;
}

const NEW_VECTOR: AkaVerdict = { kind: 'challenge', wrongResponse: false };

/**
 * The server side of digest with AKA (RFC 3310, RFC 4169). A subscriber has one open challenge at most, a new one takes its
 * place; a wrong answer ends it. Vectors and sequence numbers are made outside.
 */
export class AkaServer {
  readonly #clock: Clock;
  readonly #realm: string;
  readonly #userLock: GuessLock;
  readonly #answerMs: number;
  readonly #reuseMs: number;
  readonly #capacity: number;
  readonly #verifier = new ResponseVerifier();
  /** By private identity, in the order of the challenges. */
  readonly #open = new Map<string, Open>();

  constructor(options: AkaServerOptions) {
    this.#clock = options.clock;
    this.#realm = options.realm;
    this.#userLock = options.userLock;
    this.#answerMs = options.answerMs ?? 240_000;
    this.#reuseMs = options.reuseMs ?? 0;
    this.#capacity = options.capacity ?? 100_000;
  }

  /** Challenges open now. */
  get size(): number {
    return this.#open.size;
  }

  /** Opens a challenge; gives the value of WWW-Authenticate. */
  challenge(vector: AkaVector, options: AkaChallengeOptions): string {
    const { privateId, callId, algorithm, withKeys } = options;
    const now = this.#clock.now();
    this.#open.delete(privateId); // so that it goes to the end of the order
    this.#open.set(privateId, {
      privateId,
      callId,
      algorithm: digestAlgorithm(algorithm)!,
      vector,
      expiresAt: now + this.#answerMs,
      count: 0,
    });
    for (const [oldest, { expiresAt }] of this.#open) {
      if (expiresAt > now && this.#open.size <= this.#capacity) break;
      this.#open.delete(oldest);
    }
    return writeChallenge({
      realm: this.#realm,
      nonce: vector.nonce,
      algorithm,
      qop: ['auth'],
      ck: withKeys ? vector.ck.toString('hex') : undefined,
      ik: withKeys ? vector.ik.toString('hex') : undefined,
    });
  }

  /**
   * Judges the credentials of a request.
   * @param privateId the subscriber whom they name.
   */
  judge(
    privateId: string,
    credentials: DigestCredentials,
    callId: string,
    request: DigestedMessage,
  ): AkaVerdict {
    if (credentials.response === '') return NEW_VECTOR;
    const retryAfterMs = this.#userLock.lockedFor(privateId);
    if (retryAfterMs > 0) return { kind: 'locked', retryAfterMs };
    const open = this.#open.get(privateId);
    if (!open || !this.#fits(open, credentials, callId)) return NEW_VECTOR;
    const { algorithm, vector } = open;
    const { username, auts } = credentials;
    const failed = auts !== undefined && open.count === 0;
    const ha1 = failed
      ? digestHa1(algorithm.hash, username, this.#realm, '') // RFC 3310 §3.4
      : akaHa1(algorithm, username, this.#realm, vector);
    if (!this.#verifier.verify(algorithm, ha1, credentials, request)) {
      this.#open.delete(privateId);
      this.#userLock.failed(privateId);
      return { kind: 'challenge', wrongResponse: true };
    }
    if (failed) {
      this.#open.delete(privateId);
      return { kind: 'resynchronise', rand: vector.rand, auts };
    }
    return this.#spend(open, credentials) ? { kind: 'accepted', privateId } : NEW_VECTOR;
  }

  #fits(open: Open, credentials: DigestCredentials, callId: string): boolean {
    return (
      open.expiresAt > this.#clock.now() &&
      credentials.nonce === open.vector.nonce &&
      credentials.realm === this.#realm &&
      // a device that answers without algorithm means the only one it was offered
      (credentials.algorithm === undefined || digestAlgorithm(credentials.algorithm) === open.algorithm) &&
      (open.count > 0 || callId === open.callId)
    );
  }

  /** RES is short, so that AKAv1 uses it once unless told otherwise (RFC 4169 §4.4). */
  #spend(open: Open, { nc }: DigestCredentials): boolean {
    const count = nc === undefined ? Infinity : parseInt(nc, 16);
    if (!(count > open.count)) return false;
    this.#userLock.succeeded(open.privateId);
    if (this.#reuseMs === 0) {
      this.#open.delete(open.privateId);
      return true;
    }
    if (open.count === 0) open.expiresAt = this.#clock.now() + this.#reuseMs;
    open.count = count;
    return true;
  }
}
