import { ParleyError } from '../base/errors.js';
import { soon, type Soon } from '../base/soon.js';
import type { Trail } from '../base/trail.js';
import { parseAor } from '../identity/aor.js';
import { parseCredentials, type DigestCredentials } from '../sip/auth/credentials.js';
import { registrationScheme } from '../sip/auth/registration-scheme.js';
import type { ServerRequest } from '../sip/stack.js';
import type { AkaAuthenticator } from './aka-authenticator.js';
import type { Authentication, Authenticator } from './authenticator.js';
import type { DigestAuthenticator } from './digest-authenticator.js';
import './errors.js';
import type { Subscriber, Subscribers } from './subscribers.js';

export interface ImsAuthenticatorOptions {
  readonly digest: DigestAuthenticator;
  readonly aka: AkaAuthenticator;
  readonly subscribers: Subscribers;
  readonly realm: string;
  /** IP addresses of edge proxies: what they say of a request's protection is believed. */
  readonly trusted: ReadonlySet<string>;
  /** Whether the identity of a REGISTER has a binding of that private identity. */
  isRegistered(aor: string, privateId: string): Promise<boolean>;
  readonly trail: Trail;
}

/** Chooses how a request is authenticated, by what the subscriber has and what edge proxy and device say (3GPP TS 24.229 §5.4.1.2). */
export class ImsAuthenticator implements Authenticator {
  readonly #options: ImsAuthenticatorOptions;

  constructor(options: ImsAuthenticatorOptions) {
    this.#options = options;
  }

  authenticate(request: ServerRequest, role: 'registrar' | 'proxy'): Soon<Authentication> {
    const credentials = this.#credentials(request, role);
    const found = credentials
      ? this.#options.subscribers.byUsername(credentials.username)
      : this.#named(request, role);
    return soon(found, (subscriber) => this.#judge(request, role, credentials, subscriber));
  }

  #judge(
    request: ServerRequest,
    role: 'registrar' | 'proxy',
    credentials: DigestCredentials | undefined,
    subscriber: Subscriber | undefined,
  ): Soon<Authentication> {
    const { digest } = this.#options;
    if (role === 'proxy') return digest.authenticate({ request, role, credentials, subscriber });
    const fromEdge = this.#options.trusted.has(request.source.address);
    const scheme = registrationScheme(credentials, fromEdge, subscriber?.aka ? 'aka' : 'digest');
    switch (scheme) {
      case 'trusted':
        return this.#vouchedFor(request, subscriber);
      case 'protected':
        return this.#protected(request, credentials, subscriber, fromEdge);
      case 'aka':
        return this.#byKeys(request, credentials, subscriber, fromEdge);
      case 'digest':
        return digest.authenticate({ request, role, credentials, subscriber });
    }
  }

  /** An integrity-protected refresh may pass without a challenge, a first registration may not. */
  async #protected(
    request: ServerRequest,
    credentials: DigestCredentials | undefined,
    subscriber: Subscriber | undefined,
    fromEdge: boolean,
  ): Promise<Authentication> {
    if (subscriber && (await this.#isRegistered(request, subscriber)))
      return this.#vouchedFor(request, subscriber);
    return this.#byKeys(request, credentials, subscriber, fromEdge);
  }

  /**
   * With AKA. Who has no keys is challenged with digest; who has a password beside the keys, and has shown neither, may answer either
   * challenge: the device takes the topmost that it knows (RFC 8760 §2.4).
   */
  async #byKeys(
    request: ServerRequest,
    credentials: DigestCredentials | undefined,
    subscriber: Subscriber | undefined,
    fromEdge: boolean,
  ): Promise<Authentication> {
    const { aka, digest } = this.#options;
    // a P-CSCF writes integrity-protected="no" into the answers of devices that have a password as well
    if (!subscriber?.aka) {
      const answered = credentials?.response === '' ? undefined : credentials;
      return digest.authenticate({ request, role: 'registrar', credentials: answered, subscriber });
    }
    // a P-CSCF writes Path, and takes CK and IK off the challenge
    const withKeys = fromEdge && request.has('Path');
    const judged = await aka.authenticate({ request, credentials, subscriber, withKeys });
    const named = credentials?.algorithm !== undefined || credentials?.integrityProtected !== undefined;
    if (judged.kind !== 'challenge' || named || subscriber.credentials.length === 0) return judged;
    const others = digest.challenges();
    return {
      ...judged,
      headers: { 'WWW-Authenticate': [...(judged.headers['WWW-Authenticate'] as string[]), ...others] },
    };
  }

  #vouchedFor(request: ServerRequest, subscriber: Subscriber | undefined): Authentication {
    if (!subscriber) return { kind: 'refused', error: new ParleyError('register-unknown-identity') };
    this.#options.trail.record({
      code: 'auth.vouched-for',
      outcome: 'accepted',
      clause: '3GPP TS 24.229 §5.4.1.2.2',
      subject: subscriber.privateId,
      trace: request.callId,
    });
    return { kind: 'authenticated', privateId: subscriber.privateId };
  }

  async #isRegistered(request: ServerRequest, { privateId }: Subscriber): Promise<boolean> {
    return this.#options.isRegistered(parseAor(request.to.uriText), privateId);
  }

  /** Without Authorization it is the subscriber whose identity the To is (3GPP TS 23.003 §13.4). */
  #named(request: ServerRequest, role: 'registrar' | 'proxy'): Soon<Subscriber | undefined> {
    if (role === 'proxy') return undefined;
    const { subscribers } = this.#options;
    const { scheme } = request.to.uri;
    if (scheme !== 'sip' && scheme !== 'sips' && scheme !== 'tel') return undefined;
    const found = subscribers.identity(parseAor(request.to.uriText));
    return soon(found, (row) => row && subscribers.read(row.privateId));
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
}
