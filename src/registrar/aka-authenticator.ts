import { randomBytes } from 'node:crypto';
import { ParleyError } from '../base/errors.js';
import type { Trail } from '../base/trail.js';
import { akaKeys, akaVector, resynchronised, type AkaSecret, type AkaVector } from '../sip/auth/aka.js';
import { answersNothing, type AkaAlgorithm, type AkaServer } from '../sip/auth/aka-server.js';
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
    const secret = usims.secretOf(subscriber);
    if (!secret) throw new ParleyError('auth-no-keys');
    if (credentials === undefined || answersNothing(credentials)) return this.#challenge(claim, secret);
    const open = await usims.challengeOf(privateId, credentials.nonce);
    const verdict = server.judge({
      privateId,
      credentials,
      callId: request.callId,
      request: { method: request.method, body: request.body },
      open,
      keysOf: (rand) => akaKeys(secret, rand),
    });
    switch (verdict.kind) {
      case 'accepted':
        // of two requests with one answer, at whatever nodes, one is accepted
        return (await usims.settle(privateId, open!, verdict.remains))
          ? { kind: 'authenticated', privateId }
          : this.#challenge(claim, secret);
      case 'locked':
        this.#note('auth.locked', 'RFC 3261 §26.3.2', claim);
        return { kind: 'refused', error: new ParleyError('auth-locked') };
      case 'challenge':
        if (verdict.wrongResponse) this.#note('auth.wrong-credentials', 'RFC 3310 §3.3', claim);
        return this.#challenge(claim, secret, verdict.wrongResponse ? credentials.nonce : undefined);
      case 'resynchronise':
        if (await usims.settle(privateId, open!, undefined))
          await this.#resynchronise(claim, secret, verdict.rand, verdict.auts);
        return this.#challenge(claim, secret);
    }
  }

  async #resynchronise(claim: AkaClaim, secret: AkaSecret, rand: Uint8Array, auts: string): Promise<void> {
    const { usims, userLock } = this.#options;
    const { privateId } = claim.subscriber;
    const sqn = resynchronised(secret, rand, auts);
    if (sqn === undefined) {
      userLock.failed(privateId);
      this.#note('auth.wrong-auts', '3GPP TS 33.102 §6.3.5', claim);
    } else {
      await usims.resynchronise(privateId, sqn);
      this.#note('auth.resynchronised', 'RFC 3310 §3.4', claim, 'noted');
    }
  }

  /**
   * The challenge is committed with its sequence number before it leaves: no number is ever used twice.
   * @param over nonce of a challenge that ends with it.
   */
  async #challenge(claim: AkaClaim, secret: AkaSecret, over?: string): Promise<Authentication> {
    const { server, usims } = this.#options;
    const { request, credentials, subscriber, withKeys } = claim;
    const options = { callId: request.callId, algorithm: this.#algorithm(credentials), withKeys };
    const rand = randomBytes(16);
    let vector: AkaVector | undefined;
    await usims.challenge(
      subscriber.privateId,
      (sqn) => {
        vector = akaVector(secret, sqn, rand);
        return server.open(vector, options);
      },
      over,
    );
    const value = server.challenge(vector!, options);
    return { kind: 'challenge', status: 401, headers: { 'WWW-Authenticate': [value] } };
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
