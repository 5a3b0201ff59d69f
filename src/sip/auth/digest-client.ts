import { randomBytes } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import { digestAlgorithm, digestHa1, type DigestAlgorithm } from './algorithm.js';
import { parseAuthenticationInfo, parseChallenge, type DigestChallenge } from './challenge.js';
import { writeCredentials } from './credentials.js';
import { digestResponse, equalInConstantTime, type DigestedMessage } from './digest.js';

/** A request that shall carry credentials. */
export interface RequestToSign extends DigestedMessage {
  readonly uri: string;
}

export interface DigestClientOptions {
  readonly username: string;
  readonly password: string;
  /** Makes client nonces; for tests. */
  readonly cnonce?: () => string;
}

/** A challenge being answered. */
interface Session {
  readonly algorithm: DigestAlgorithm;
  readonly realm: string;
  readonly ha1: string;
  readonly opaque: string | undefined;
  readonly qop: 'auth' | 'auth-int' | undefined;
  nonce: string;
  /** For `-sess` the session key is bound to the first pair of nonces, so a new nonce begins a new session. */
  cnonce: string;
  count: number;
}

/**
 * The client side of digest towards one realm: answers challenges, counts nonce uses, and signs further requests without being
 * asked while the nonce lasts (RFC 7616 §3.6).
 */
export class DigestClient {
  readonly #username: string;
  readonly #password: string;
  readonly #newCnonce: () => string;
  #session: Session | undefined;

  constructor({ username, password, cnonce }: DigestClientOptions) {
    this.#username = username;
    this.#password = password;
    this.#newCnonce = cnonce ?? (() => randomBytes(12).toString('hex'));
  }

  /**
   * Takes up the topmost challenge that it can answer (RFC 8760 §2.4).
   * @param challenges values of WWW-Authenticate or Proxy-Authenticate, topmost first.
   * @returns false when a new try is pointless: the last answer was refused although its nonce was fresh.
   * @throws ParleyError `digest-challenge` when none can be answered, `digest-malformed`.
   */
  challenged(challenges: readonly string[]): boolean {
    for (const value of challenges) {
      const challenge = parseChallenge(value);
      const session = challenge && this.#sessionFor(challenge);
      if (!session) continue;
      const refused =
        this.#session !== undefined && this.#session.realm === session.realm && !challenge.stale;
      this.#session = session;
      return !refused;
    }
    throw new ParleyError('digest-challenge');
  }

  /** Value of Authorization or Proxy-Authorization for a request; undefined while no challenge was seen. */
  sign(request: RequestToSign): string | undefined {
    const session = this.#session;
    if (!session) return undefined;
    const { algorithm, realm, nonce, opaque, qop } = session;
    session.count++;
    const nc = qop && session.count.toString(16).padStart(8, '0');
    // without qop a client nonce has no place in the answer (RFC 2617 §3.2.2)
    const cnonce = qop || algorithm.session ? session.cnonce : undefined;
    const input = { nonce, uri: request.uri, cnonce, nc, qop };
    return writeCredentials({
      ...input,
      username: this.#username,
      realm,
      response: digestResponse(algorithm, session.ha1, input, request),
      algorithm: algorithm.token,
      opaque,
      auts: undefined,
      integrityProtected: undefined,
    });
  }

  /**
   * Takes Authentication-Info of a final response: moves on to its next nonce.
   * @returns false when `rspauth` does not prove that the server knows the password.
   * @throws ParleyError `digest-malformed`.
   */
  confirmed(info: string, request: RequestToSign, responseBody?: Uint8Array | string): boolean {
    const session = this.#session;
    if (!session) return true;
    const { nextNonce, rspauth, nc, qop, cnonce } = parseAuthenticationInfo(info);
    const input = { nonce: session.nonce, uri: request.uri, cnonce, nc, qop };
    const expected = digestResponse(session.algorithm, session.ha1, input, {
      method: '',
      body: responseBody,
    });
    if (nextNonce !== undefined) this.#session = this.#renewed(session, nextNonce);
    return rspauth === undefined || equalInConstantTime(rspauth, expected);
  }

  #sessionFor(challenge: DigestChallenge): Session | undefined {
    const algorithm = digestAlgorithm(challenge.algorithm);
    if (!algorithm || algorithm.aka !== undefined || challenge.nonce === '') return undefined;
    const offered = challenge.qop.map((token) => token.toLowerCase());
    const qop = offered.includes('auth') ? 'auth' : offered.includes('auth-int') ? 'auth-int' : undefined;
    if (qop === undefined && offered.length > 0) return undefined;
    const { realm, nonce, opaque } = challenge;
    const ha1 = digestHa1(algorithm.hash, this.#username, realm, this.#password);
    return { algorithm, realm, ha1, opaque, qop, nonce, cnonce: this.#newCnonce(), count: 0 };
  }

  #renewed(session: Session, nonce: string): Session {
    return { ...session, nonce, cnonce: this.#newCnonce(), count: 0 };
  }
}
