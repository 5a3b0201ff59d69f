import { ParleyError } from '../base/errors.js';
import { soon, type Soon } from '../base/soon.js';
import type { Trail } from '../base/trail.js';
import type { HashName } from '../sip/auth/algorithm.js';
import type { DigestCredentials } from '../sip/auth/credentials.js';
import type { DigestServer, Verdict } from '../sip/auth/digest-server.js';
import type { ServerRequest } from '../sip/stack.js';
import type { Authentication } from './authenticator.js';
import './errors.js';
import type { Subscriber } from './subscribers.js';

export interface DigestAuthenticatorOptions {
  readonly digest: DigestServer;
  readonly trail: Trail;
}

/** A request with its credentials for the realm, and whom they name. */
export interface DigestClaim {
  readonly request: ServerRequest;
  readonly role: 'registrar' | 'proxy';
  readonly credentials: DigestCredentials | undefined;
  readonly subscriber: Subscriber | undefined;
}

/** Believes those who know their password (RFC 3261 §22, RFC 7616, RFC 8760). */
export class DigestAuthenticator {
  readonly #options: DigestAuthenticatorOptions;

  constructor(options: DigestAuthenticatorOptions) {
    this.#options = options;
  }

  /** A challenge for each algorithm, the most preferred first. */
  challenges(): string[] {
    return this.#options.digest.challenges();
  }

  authenticate(claim: DigestClaim): Soon<Authentication> {
    const { request, credentials, subscriber } = claim;
    const known = subscriber?.credentials.find(({ username }) => username === credentials?.username);
    const judged = this.#options.digest.judge(credentials, (hash: HashName) => known?.ha1[hash], {
      method: request.method,
      uri: request.uri,
      body: request.body,
      source: request.source.address,
    });
    return soon(judged, (verdict) => this.#answer(verdict, claim));
  }

  #answer(verdict: Verdict, claim: DigestClaim): Authentication {
    const { role, subscriber } = claim;
    switch (verdict.kind) {
      case 'accepted':
        return { kind: 'authenticated', privateId: subscriber!.privateId };
      case 'locked':
        this.#note('auth.locked', 'RFC 3261 §26.3.2', claim);
        return { kind: 'refused', error: new ParleyError('auth-locked') };
      case 'challenge': {
        if (verdict.wrongPassword) this.#note('auth.wrong-credentials', 'RFC 3261 §22.1', claim);
        const name = role === 'registrar' ? 'WWW-Authenticate' : 'Proxy-Authenticate';
        return {
          kind: 'challenge',
          status: role === 'registrar' ? 401 : 407,
          headers: { [name]: this.#options.digest.challenges(verdict) },
        };
      }
    }
  }

  /** The trail alone says whether there is such a subscriber: whoever guesses must not learn it. */
  #note(code: string, clause: string, { request, credentials, subscriber }: DigestClaim): void {
    this.#options.trail.record({
      code,
      outcome: 'refused',
      clause,
      subject: credentials?.username,
      trace: request.callId,
      detail: subscriber ? undefined : 'no such subscriber',
    });
  }
}
