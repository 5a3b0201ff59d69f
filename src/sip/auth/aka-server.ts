import type { Clock } from '../../base/clock.js';
import { akaHa1, randOf, type AkaVector } from './aka.js';
import type { AkaKeys } from './milenage.js';
import { digestAlgorithm, digestHa1 } from './algorithm.js';
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
}

/** Versions and hash functions of AKA (RFC 3310, RFC 4169, 3GPP TS 33.203 annex X). */
export type AkaAlgorithm = 'AKAv1-MD5' | 'AKAv2-MD5' | 'AKAv2-SHA-256';

/** Whom and how to challenge. */
export interface AkaChallengeOptions {
  /** The answer must come with this Call-ID. */
  readonly callId: string;
  readonly algorithm: AkaAlgorithm;
  /** Put CK and IK into the challenge: only when it goes to a P-CSCF, which removes them (TS 24.229 §5.4.1.2.1). */
  readonly withKeys: boolean;
}

/**
 * A challenge that waits for its answer, or whose nonce may be used again: plain data, which the node that gets the answer needs.
 * XRES, CK and IK are not in it, since they follow from RAND and the subscriber's key.
 */
export interface OpenChallenge {
  readonly nonce: string;
  readonly callId: string;
  readonly algorithm: AkaAlgorithm;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Highest nonce count accepted; 0 while no right answer came. */
  readonly count: number;
}

export type AkaVerdict =
  /** `remains`: what is still open of the challenge, which is to be written in its place before the answer counts. */
  | { readonly kind: 'accepted'; readonly remains: OpenChallenge | undefined }
  /** No open challenge fits: make a new vector. `wrongResponse` when one did and its answer was wrong: it is over. */
  | { readonly kind: 'challenge'; readonly wrongResponse: boolean }
  /**
   * The USIM wants another sequence number: the challenge is over. Check `auts` with the RAND, step the number, challenge again. An `auts` that
   * does not check out is a wrong answer and to be counted as one.
   */
  | { readonly kind: 'resynchronise'; readonly rand: Uint8Array; readonly auts: string }
  | { readonly kind: 'locked'; readonly retryAfterMs: number };

const NEW_VECTOR: AkaVerdict = { kind: 'challenge', wrongResponse: false };

/** Who answers, and what was asked. */
export interface AkaAnswer {
  readonly privateId: string;
  readonly credentials: DigestCredentials;
  readonly callId: string;
  readonly request: DigestedMessage;
  /** The challenge of the subscriber that has the nonce of the credentials. */
  readonly open: OpenChallenge | undefined;
  /** What the USIM makes of a RAND. */
  readonly keysOf: (rand: Uint8Array) => AkaKeys;
}

/**
 * Whether the credentials only say who asks. A device that asks for another sequence number may leave `response` empty: MAC-S inside
 * `auts` proves its key (3GPP TS 33.102 §6.3.3, TS 24.229 §5.1.1.5).
 */
export const answersNothing = ({ response, auts }: DigestCredentials): boolean =>
  response === '' && auts === undefined;

/**
 * The server side of digest with AKA (RFC 3310, RFC 4169). It keeps nothing but the count of wrong answers: open challenges,
 * vectors and sequence numbers are kept outside.
 */
export class AkaServer {
  readonly #clock: Clock;
  readonly #realm: string;
  readonly #userLock: GuessLock;
  readonly #answerMs: number;
  readonly #reuseMs: number;
  readonly #verifier = new ResponseVerifier();

  constructor(options: AkaServerOptions) {
    this.#clock = options.clock;
    this.#realm = options.realm;
    this.#userLock = options.userLock;
    this.#answerMs = options.answerMs ?? 240_000;
    this.#reuseMs = options.reuseMs ?? 0;
  }

  /** The challenge that a vector makes, to be kept as open. */
  open({ nonce }: AkaVector, { callId, algorithm }: AkaChallengeOptions): OpenChallenge {
    return { nonce, callId, algorithm, expiresAt: this.#clock.now() + this.#answerMs, count: 0 };
  }

  /** The value of WWW-Authenticate. */
  challenge({ nonce, ck, ik }: AkaVector, { algorithm, withKeys }: AkaChallengeOptions): string {
    return writeChallenge({
      realm: this.#realm,
      nonce,
      algorithm,
      qop: ['auth'],
      ck: withKeys ? ck.toString('hex') : undefined,
      ik: withKeys ? ik.toString('hex') : undefined,
    });
  }

  /** Judges the credentials of a request. */
  judge({ privateId, credentials, callId, request, open, keysOf }: AkaAnswer): AkaVerdict {
    if (answersNothing(credentials)) return NEW_VECTOR;
    const retryAfterMs = this.#userLock.lockedFor(privateId);
    if (retryAfterMs > 0) return { kind: 'locked', retryAfterMs };
    if (!open || !this.#fits(open, credentials, callId)) return NEW_VECTOR;
    const algorithm = digestAlgorithm(open.algorithm)!;
    const { username, auts } = credentials;
    const rand = randOf(open.nonce);
    const failed = auts !== undefined && open.count === 0;
    if (credentials.response === '') return failed ? { kind: 'resynchronise', rand, auts } : NEW_VECTOR;
    const ha1 = failed
      ? digestHa1(algorithm.hash, username, this.#realm, '') // RFC 3310 §3.4
      : akaHa1(algorithm, username, this.#realm, keysOf(rand));
    if (!this.#verifier.verify(algorithm, ha1, credentials, request)) {
      this.#userLock.failed(privateId);
      return { kind: 'challenge', wrongResponse: true };
    }
    if (failed) return { kind: 'resynchronise', rand, auts };
    return this.#spend(privateId, open, credentials);
  }

  #fits(open: OpenChallenge, credentials: DigestCredentials, callId: string): boolean {
    return (
      open.expiresAt > this.#clock.now() &&
      credentials.nonce === open.nonce &&
      credentials.realm === this.#realm &&
      // a device that answers without algorithm means the only one it was offered
      (credentials.algorithm === undefined ||
        digestAlgorithm(credentials.algorithm)?.token === open.algorithm) &&
      (open.count > 0 || callId === open.callId)
    );
  }

  /** RES is short, so that AKAv1 uses it once unless told otherwise (RFC 4169 §4.4). */
  #spend(privateId: string, open: OpenChallenge, { nc }: DigestCredentials): AkaVerdict {
    const count = nc === undefined ? Infinity : parseInt(nc, 16);
    if (!(count > open.count)) return NEW_VECTOR;
    this.#userLock.succeeded(privateId);
    if (this.#reuseMs === 0 || count === Infinity) return { kind: 'accepted', remains: undefined };
    const expiresAt = open.count === 0 ? this.#clock.now() + this.#reuseMs : open.expiresAt;
    return { kind: 'accepted', remains: { ...open, expiresAt, count } };
  }
}
