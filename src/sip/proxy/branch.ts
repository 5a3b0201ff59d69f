import type { Timer } from '../../base/clock.js';
import { locate, Outgoing, type OutgoingUser } from '../embedded/outgoing.js';
import { randomToken } from '../embedded/tokens.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { MAGIC_COOKIE } from '../message/via.js';
import type { ProxyTarget } from '../stack.js';
import type { ClientFailure, NextHop } from '../transaction/layer.js';
import type { ProxyEnvironment } from './environment.js';
import { recordRoute, type Legs } from './legs.js';
import { postprocessRoutes } from './route.js';

/** What a branch needs of its response context. */
export interface BranchOwner {
  readonly environment: ProxyEnvironment;
  /** A copy of the preprocessed request, Max-Forwards already lowered. */
  copy(): SipRequest;
  readonly legs: Legs | undefined;
  readonly hash: string;
  /** Milliseconds of Timer C, undefined for methods other than INVITE. */
  readonly timerC: number | undefined;
  branchResponded(branch: Branch, response: SipResponse): void;
  /** The branch is over without a response of its own: `status` stands for it (RFC 3261 §16.7, §16.9). */
  branchFailed(branch: Branch, status: 408 | 430 | 503): void;
}

type State = 'idle' | 'resolving' | 'running' | 'done';

/** The request on its way to one target (RFC 3261 §16.6), with Timer C (§16.8). */
export class Branch implements OutgoingUser {
  readonly target: ProxyTarget;
  readonly #owner: BranchOwner;
  /** Its share of Max-Breadth (RFC 5393 §5.3.3). */
  readonly breadth: number;
  #state: State = 'idle';
  #outgoing: Outgoing | undefined;
  #timerC: Timer | undefined;
  #provisional = false;

  constructor(owner: BranchOwner, target: ProxyTarget, breadth: number) {
    this.#owner = owner;
    this.target = target;
    this.breadth = breadth;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** Sends the copy for this target. Throws what building it throws (a bad URI). */
  start(): void {
    this.target.givenUp?.addEventListener('abort', this.#onGivenUp, { once: true });
    const request = this.#copy();
    const uri = postprocessRoutes(request);
    this.#state = 'resolving';
    locate(this.#owner.environment, request, uri, this.target.flow, (hops) => this.#send(request, hops));
  }

  /** @param reason a Reason header field value (RFC 3326). */
  cancel(reason?: string): void {
    if (this.#state === 'done') return;
    if (this.#outgoing) this.#outgoing.cancel(reason);
    else this.#fail('timeout');
  }

  prepare(request: SipRequest, hop: NextHop): string {
    if (this.#owner.legs) recordRoute(request, hop, this.#owner.legs, this.#owner.environment);
    return `${MAGIC_COOKIE}${randomToken()}${this.#owner.hash}`;
  }

  onResponse(response: SipResponse): void {
    if (response.status < 200) {
      if (this.#state === 'done') return;
      this.#provisional = true;
      if (response.status > 100) this.#startTimerC();
    } else this.#finish();
    this.#owner.branchResponded(this, response);
  }

  onFailure(failure: ClientFailure): void {
    this.#fail(failure);
  }

  #copy(): SipRequest {
    const request = this.#owner.copy();
    const { target } = this;
    request.uri = target.uri;
    request.headers.set('Max-Breadth', this.breadth);
    if (target.route && target.route.length > 0) request.headers.prepend('Route', target.route);
    if (target.body) request.body = target.body;
    target.edit?.(request.headers);
    return request;
  }

  #send(request: SipRequest, hops: readonly NextHop[] | ClientFailure): void {
    if (this.#state !== 'resolving') return;
    if (typeof hops === 'string') {
      this.#fail(hops);
      return;
    }
    this.#state = 'running';
    this.#outgoing = new Outgoing(this.#owner.environment, request, hops, this);
    this.#startTimerC();
    this.#outgoing.start();
  }

  #startTimerC(): void {
    this.#timerC?.cancel();
    const ms = this.#owner.timerC;
    if (ms !== undefined) this.#timerC = this.#owner.environment.clock.after(ms, () => this.#onTimerC());
  }

  readonly #onGivenUp = (): void => {
    if (this.#state === 'done') return;
    this.#outgoing?.cancel();
    this.#fail('timeout');
  };

  #onTimerC(): void {
    if (this.#provisional) this.#outgoing?.cancel();
    else this.#fail('timeout');
  }

  #fail(failure: ClientFailure): void {
    if (this.#state === 'done') return;
    this.#finish();
    this.#owner.branchFailed(this, statusOf[failure]);
  }

  #finish(): void {
    this.#state = 'done';
    this.#timerC?.cancel();
    this.target.givenUp?.removeEventListener('abort', this.#onGivenUp);
  }
}

const statusOf = { timeout: 408, transport: 503, 'flow-failed': 430 } as const;
