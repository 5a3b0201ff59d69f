import { randomBytes } from 'node:crypto';
import { ParleyError } from '../base/errors.js';
import type { Trail } from '../base/trail.js';
import { akaVector, resynchronised } from '../sip/auth/aka.js';
import type { AkaAlgorithm, AkaServer } from '../sip/auth/aka-server.js';
import { digestAlgorithm } from '../sip/auth/algorithm.js';
import type { DigestCredentials } from '../sip/auth/credentials.js';
import type { GuessLock } from '../sip/auth/guess-lock.js';
import type { ServerRequest } from '../sip/stack.js';
import type { AkaSubscriptions } from './aka-subscriptions.js';
import type { Authentication } from './authenticator.js';
import './errors.js';
import type { Subscriber } from './subscribers.js';

export interface AkaAuthenticatorOptions {
  readonly server: AkaServer;
  /** The same that the server counts wrong answers with. */
  readonly userLock: GuessLock;
  readonly usims: AkaSubscriptions;
  /** Offered to devices that ask for none or for another one: the first. */
  readonly algorithms: readonly AkaAlgorithm[];
  readonly trail: Trail;
}

/** A REGISTER of a subscriber who has AKA keys. */
export interface AkaClaim {
  readonly request: ServerRequest;
  readonly credentials: DigestCredentials | undefined;
  readonly subscriber: Subscriber;
  /** It came through a P-CSCF that needs CK and IK for its security associations, and takes them off (TS 24.229 §5.4.1.2.1). */
  readonly withKeys: boolean;
}

/** Believes those whose USIM knows the subscriber's key (RFC 3310, RFC 4169, 3GPP TS 33.203 §6.1). */
export class AkaAuthenticator {
  readonly #options: AkaAuthenticatorOptions;

  constructor(options: AkaAuthenticatorOptions) {
    this.#options = options;
  }

  async authenticate(claim: AkaClaim): Promise<Authentication> {
    const { server, usims } = this.#options;
    const { request, credentials, subscriber } = claim;
    const { privateId } = subscriber;
    if (credentials === undefined || credentials.response === '') return this.#challenge(claim);
    const verdict = server.judge(privateId, credentials, request.callId, {
      method: request.method,
      body: request.body,
    });
    switch (verdict.kind) {
      case 'accepted':
        return { kind: 'authenticated', privateId };
      case 'locked':
        this.#note('auth.locked', 'RFC 3261 §26.3.2', claim);
        return { kind: 'refused', error: new ParleyError('auth-locked') };
      case 'challenge':
        if (verdict.wrongResponse) this.#note('auth.wrong-credentials', 'RFC 3310 §3.3', claim);
        return this.#challenge(claim);
      case 'resynchronise': {
        const secret = usims.secretOf(subscriber);
        const sqn = secret && resynchronised(secret, verdict.rand, verdict.auts);
        if (sqn === undefined) {
          this.#options.userLock.failed(privateId);
          this.#note('auth.wrong-auts', '3GPP TS 33.102 §6.3.5', claim);
        } else {
          await usims.resynchronise(privateId, sqn);
          this.#note('auth.resynchronised', 'RFC 3310 §3.4', claim, 'noted');
        }
        return this.#challenge(claim);
      }
    }
  }

  /** Steps the sequence number in the store before the challenge is made from it: no number is ever used twice. */
  async #challenge(claim: AkaClaim): Promise<Authentication> {
    const { server, usims } = this.#options;
    const { request, credentials, subscriber, withKeys } = claim;
    const secret = usims.secretOf(subscriber);
    if (!secret) throw new ParleyError('auth-no-keys');
    const sqn = await usims.nextSqn(subscriber.privateId);
    const challenge = server.challenge(akaVector(secret, sqn, randomBytes(16)), {
      privateId: subscriber.privateId,
      callId: request.callId,
      algorithm: this.#algorithm(credentials),
      withKeys,
    });
    return { kind: 'challenge', status: 401, headers: { 'WWW-Authenticate': [challenge] } };
  }

  /** What the device asks for when it is allowed; a WebRTC access asks through its edge proxy (TS 33.203 annex X). */
  #algorithm(credentials: DigestCredentials | undefined): AkaAlgorithm {
    const { algorithms } = this.#options;
    const token = digestAlgorithm(credentials?.algorithm)?.token;
    return algorithms.find((algorithm) => algorithm === token) ?? algorithms[0]!;
  }

  #note(
    code: string,
    clause: string,
    { request, subscriber }: AkaClaim,
    outcome: 'refused' | 'noted' = 'refused',
  ): void {
    this.#options.trail.record({
      code,
      outcome,
      clause,
      subject: subscriber.privateId,
      trace: request.callId,
    });
  }
}
