import type { Trail } from '../base/trail.js';
import { ParleyError } from '../base/errors.js';
import type { HashName } from '../sip/auth/algorithm.js';
import { parseCredentials, type DigestCredentials } from '../sip/auth/credentials.js';
import type { DigestServer } from '../sip/auth/digest-server.js';
import type { ServerRequest } from '../sip/stack.js';
import type { Authentication, Authenticator } from './authenticator.js';
import './errors.js';
import type { Subscribers } from './subscribers.js';

export interface DigestAuthenticatorOptions {
  readonly digest: DigestServer;
  readonly subscribers: Subscribers;
  readonly realm: string;
  readonly trail: Trail;
}

/** Believes those who know their password (RFC 3261 §22, RFC 7616, RFC 8760). */
export class DigestAuthenticator implements Authenticator {
  readonly #options: DigestAuthenticatorOptions;

  constructor(options: DigestAuthenticatorOptions) {
    this.#options = options;
  }

  async authenticate(request: ServerRequest, role: 'registrar' | 'proxy'): Promise<Authentication> {
    const { digest, subscribers } = this.#options;
    const credentials = this.#credentials(request, role);
    const subscriber = credentials && (await subscribers.byUsername(credentials.username));
    const known = subscriber?.credentials.find(({ username }) => username === credentials?.username);
    const verdict = digest.judge(credentials, (hash: HashName) => known?.ha1[hash], {
      method: request.method,
      uri: request.uri,
      body: request.body,
      source: request.source.address,
    });
    switch (verdict.kind) {
      case 'accepted':
        return { kind: 'authenticated', privateId: subscriber!.privateId };
      case 'locked':
        this.#note('auth.locked', 'RFC 3261 §26.3.2', request, credentials);
        return { kind: 'refused', error: new ParleyError('auth-locked') };
      case 'challenge': {
        if (verdict.wrongPassword)
          this.#note('auth.wrong-credentials', 'RFC 3261 §22.1', request, credentials);
        const name = role === 'registrar' ? 'WWW-Authenticate' : 'Proxy-Authenticate';
        return {
          kind: 'challenge',
          status: role === 'registrar' ? 401 : 407,
          headers: { [name]: digest.challenges(verdict.stale) },
        };
      }
    }
  }

  /** The credentials for this realm; a request may carry others for other proxies (RFC 3261 §22.3). */
  #credentials(request: ServerRequest, role: 'registrar' | 'proxy'): DigestCredentials | undefined {
    const lines = request.headers.lines(role === 'registrar' ? 'Authorization' : 'Proxy-Authorization');
    for (const line of lines) {
      const credentials = parseCredentials(line);
      if (credentials?.realm === this.#options.realm) return credentials;
    }
    return undefined;
  }

  #note(
    code: string,
    clause: string,
    request: ServerRequest,
    credentials: DigestCredentials | undefined,
  ): void {
    this.#options.trail.record({
      code,
      outcome: 'refused',
      clause,
      subject: credentials?.username,
      trace: request.callId,
    });
  }
}
