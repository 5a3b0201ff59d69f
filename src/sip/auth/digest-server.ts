import { randomBytes } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import { soon, type Soon } from '../../base/soon.js';
import { splitSipUri } from '../../identity/sip-uri.js';
import { digestAlgorithm, type DigestAlgorithm, type HashName } from './algorithm.js';
import { writeAuthenticationInfo, writeChallenge } from './challenge.js';
import type { DigestCredentials } from './credentials.js';
import { digestResponse, ResponseVerifier, type DigestedMessage } from './digest.js';
import type { GuessLock } from './guess-lock.js';
import type { ServerNonces } from './nonce.js';

export interface DigestServerOptions {
  readonly realm: string;
  readonly nonces: ServerNonces;
  /** Locks by user name and by source address. */
  readonly userLock: GuessLock;
  readonly sourceLock: GuessLock;
  /** Hash functions offered, most preferred first (RFC 8760 §2.3). */
  readonly algorithms?: readonly HashName[];
  /** Qualities of protection offered. */
  readonly qop?: readonly ('auth' | 'auth-int')[];
  /** Whether clients that answer without qop are served, their nonce once each (RFC 2617 §3.2.2.1). */
  readonly withoutQop?: boolean;
  /** Whether requests of one client come to the nodes in turn, so that each nonce has to be good at all of them. */
  readonly anywhere?: boolean;
}

/** A request to be authenticated. */
export interface DigestedRequest extends DigestedMessage {
  readonly uri: string;
  /** Address it came from, for the lock against guessing. */
  readonly source: string;
}

/** Challenge again. */
export interface Challenge {
  readonly kind: 'challenge';
  /** Only the nonce was wrong. */
  readonly stale: boolean;
  /** The nonce was one for another node, or for all of them: so must be the next one. */
  readonly anywhere: boolean;
  readonly wrongPassword: boolean;
}

export type Verdict =
  | { readonly kind: 'accepted'; readonly credentials: DigestCredentials }
  | Challenge
  /** Too many wrong answers; nothing was checked. */
  | { readonly kind: 'locked'; readonly retryAfterMs: number };

const UNANSWERED: Challenge = { kind: 'challenge', stale: false, anywhere: false, wrongPassword: false };
const GUESSED: Challenge = { ...UNANSWERED, wrongPassword: true };
const STALE: Challenge = { ...UNANSWERED, stale: true };
const STALE_ANYWHERE: Challenge = { ...STALE, anywhere: true };

/**
 * The server side of digest for users that have a password (RFC 7616 with RFC 8760). An unknown user takes the same
 * path, and time, as a wrong password.
 */
export class DigestServer {
  readonly #realm: string;
  readonly #nonces: ServerNonces;
  readonly #userLock: GuessLock;
  readonly #sourceLock: GuessLock;
  readonly #algorithms: readonly HashName[];
  readonly #qop: readonly string[];
  readonly #withoutQop: boolean;
  readonly #anywhere: boolean;
  readonly #verifier = new ResponseVerifier();
  /** Stands in for the secret of users that do not exist. */
  readonly #nobody = randomBytes(32).toString('hex');

  constructor(options: DigestServerOptions) {
    this.#realm = options.realm;
    this.#nonces = options.nonces;
    this.#userLock = options.userLock;
    this.#sourceLock = options.sourceLock;
    this.#algorithms = options.algorithms ?? ['SHA-512-256', 'SHA-256', 'MD5'];
    this.#qop = options.qop ?? ['auth'];
    this.#withoutQop = options.withoutQop ?? true;
    this.#anywhere = options.anywhere ?? false;
  }

  /**
   * Challenges for a 401 or 407, one field value for each algorithm, all with one fresh nonce.
   * @param after what came before: whether the credentials were right and only their nonce was not, and which nonce is needed.
   */
  challenges({ stale, anywhere }: Pick<Challenge, 'stale' | 'anywhere'> = UNANSWERED): string[] {
    const nonce = this.#nonces.issue(anywhere || this.#anywhere);
    const { length } = this.#algorithms;
    const values = new Array<string>(length);
    for (let i = 0; i < length; i++) {
      values[i] = writeChallenge({
        realm: this.#realm,
        nonce,
        algorithm: this.#algorithms[i]!,
        qop: this.#qop,
        stale,
      });
    }
    return values;
  }

  /** True for credentials that answer a challenge of this realm; IMS devices send empty ones first. */
  isAnswer(credentials: DigestCredentials | undefined): credentials is DigestCredentials {
    return credentials !== undefined && credentials.response !== '' && credentials.realm === this.#realm;
  }

  /**
   * Judges the credentials of a request. Waits for the store only when the nonce is one that all nodes count together, and throws
   * what that throws.
   * @param ha1Of the stored secret of the user whom the credentials name, for a hash function; undefined when there is none.
   * @throws ParleyError `digest-malformed`, `digest-uri`.
   */
  judge(
    credentials: DigestCredentials | undefined,
    ha1Of: (hash: HashName) => string | undefined,
    request: DigestedRequest,
  ): Soon<Verdict> {
    if (!this.isAnswer(credentials)) return UNANSWERED;
    const algorithm = this.#offered(credentials);
    if (!algorithm) return UNANSWERED;
    if (!namesSameResource(credentials.uri, request.uri)) throw new ParleyError('digest-uri');
    const retryAfterMs = Math.max(
      this.#userLock.lockedFor(credentials.username),
      this.#sourceLock.lockedFor(request.source),
    );
    if (retryAfterMs > 0) return { kind: 'locked', retryAfterMs };
    const ha1 = ha1Of(algorithm.hash);
    const right =
      this.#verifier.verify(algorithm, ha1 ?? this.#nobody, credentials, request) && ha1 !== undefined;
    if (!right) {
      this.#userLock.failed(credentials.username);
      this.#sourceLock.failed(request.source);
      return GUESSED;
    }
    this.#userLock.succeeded(credentials.username);
    const nc = credentials.qop === undefined ? undefined : credentials.nc;
    return soon(this.#nonces.spend(credentials.nonce, nc), (spent) => {
      if (spent === 'spent') return { kind: 'accepted', credentials };
      return spent === 'stale' ? STALE : STALE_ANYWHERE;
    });
  }

  /**
   * Value of Authentication-Info for the final response to accepted credentials: proof that the server knows the secret, and the next
   * nonce when one is wanted (RFC 7616 §3.5).
   * @param responseBody covered when the client chose `auth-int`.
   */
  authenticationInfo(
    credentials: DigestCredentials,
    ha1: string,
    options: { readonly nextNonce?: boolean; readonly responseBody?: Uint8Array | string } = {},
  ): string {
    const nextNonce = options.nextNonce === true ? this.#nonces.issue(this.#anywhere) : undefined;
    const algorithm = digestAlgorithm(credentials.algorithm);
    if (credentials.qop === undefined || !algorithm) return writeAuthenticationInfo({ nextNonce });
    const { qop, cnonce, nc } = credentials;
    const rspauth = digestResponse(algorithm, ha1, credentials, { method: '', body: options.responseBody });
    return writeAuthenticationInfo({ nextNonce, qop, rspauth, cnonce, nc });
  }

  /** The algorithm that was answered, or undefined for one that is not offered. */
  #offered(credentials: DigestCredentials): DigestAlgorithm | undefined {
    const algorithm = digestAlgorithm(credentials.algorithm);
    if (!algorithm || algorithm.aka !== undefined || !this.#algorithms.includes(algorithm.hash))
      return undefined;
    if (credentials.qop === undefined) return this.#withoutQop ? algorithm : undefined;
    return this.#qop.includes(credentials.qop.toLowerCase()) ? algorithm : undefined;
  }
}

/**
 * Whether the digest uri names the resource of the request, loosely: a proxy on the way may have changed port and
 * parameters of the Request-URI, or the user part when it retargeted (RFC 8760 §2.6 item 6).
 */
function namesSameResource(digestUri: string, requestUri: string): boolean {
  if (digestUri === requestUri) return true;
  const [one, other] = [splitSipUri(digestUri), splitSipUri(requestUri)];
  if (!one || !other) return digestUri.toLowerCase() === requestUri.toLowerCase();
  return hostOf(one.hostPort) === hostOf(other.hostPort);
}

function hostOf(hostPort: string): string {
  return hostPort.replace(/:\d+$/, '').toLowerCase();
}
