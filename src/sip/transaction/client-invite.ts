import type { Timer } from '../../base/clock.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Source } from '../stack.js';
import type { SendDone } from '../transport/way.js';
import { failureOver, type ClientOwner } from './client-non-invite.js';
import { makeAck } from './derived.js';
import { longTime } from './environment.js';
import type { ClientTransaction, ClientUser, NextHop } from './layer.js';
import type { Machine } from './machine.js';
import type { Outbound } from './outbound.js';

type State = 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated';
type Event =
  | 'provisional'
  | 'success'
  | 'refusal'
  | 'transport-error'
  | 'timer-a'
  | 'timer-b'
  | 'timer-d'
  | 'cancel'
  | 'cancel-timeout';
type Received = { readonly response: SipResponse; readonly source: Source } | undefined;

/** RFC 3261 §17.1.1.2: Timer D lasts at least 32 seconds over an unreliable transport. */
const TIMER_D_MS = 32_000;

export interface InviteClientOwner extends ClientOwner {
  /** Sends CANCEL for that transaction, the same way. */
  sendCancel(outbound: Outbound, reason: string | undefined): void;
  /** A 2xx came: from now on the key and its user are all that is known of a transaction, for the time of Timer M. */
  accepted(key: string, user: ClientUser): AcceptedInvite;
}

/**
 * What an INVITE leaves behind in Accepted (RFC 6026 §7.2): every 2xx is passed on, so that each gets its ACK from the user. It
 * holds nothing of what was sent, which would outlive the call by half a minute.
 */
export class AcceptedInvite {
  state: 'accepted' | 'terminated' = 'accepted';
  readonly #user: ClientUser;

  constructor(user: ClientUser) {
    this.#user = user;
  }

  received(response: SipResponse, source: Source): void {
    if (response.status >= 200 && response.status < 300) this.#user.onResponse(response, source);
  }
}

/** The INVITE client transaction: RFC 3261 §17.1.1 as changed by RFC 6026 §7.2 (Accepted, Timer M). */
export class InviteClient implements ClientTransaction {
  readonly key: string;
  readonly #outbound: Outbound;
  readonly #user: ClientUser;
  readonly #owner: InviteClientOwner;
  #state: State = 'calling';
  #resend: Timer | undefined;
  #end: Timer | undefined;
  #ack: Outbound | undefined;
  /** A CANCEL that waits for a provisional response: its reason, undefined for none. */
  #pendingCancel: { readonly reason: string | undefined } | undefined;
  #cancelled = false;
  /** Present once there is a 2xx. */
  #rest: AcceptedInvite | undefined;

  constructor(key: string, outbound: Outbound, user: ClientUser, owner: InviteClientOwner) {
    this.key = key;
    this.#outbound = outbound;
    this.#user = user;
    this.#owner = owner;
    this.#end = this.#after(longTime(owner.timers), 'timer-b');
    if (!outbound.reliable) this.#scheduleA(owner.timers.t1);
    outbound.send(this.#sent);
  }

  get request(): SipRequest {
    return this.#outbound.request;
  }

  get hop(): NextHop {
    return this.#outbound.hop;
  }

  get state(): State {
    return this.#rest?.state ?? this.#state;
  }

  cancel(reason?: string): void {
    this.#pendingCancel ??= { reason };
    this.#step('cancel', undefined);
  }

  received(response: SipResponse, source: Source): void {
    const { status } = response;
    const event = status < 200 ? 'provisional' : status < 300 ? 'success' : 'refusal';
    this.#step(event, { response, source });
  }

  static readonly #machine: Machine<State, Event, InviteClient, Received> = {
    calling: {
      provisional: ['proceeding', (t, got) => t.#proceed(got)],
      success: ['accepted', (t, got) => t.#accept(got)],
      refusal: ['completed', (t, got) => t.#complete(got)],
      'timer-a': ['calling', (t) => t.#outbound.send(t.#sent)],
      'timer-b': ['terminated', (t) => t.#fail('timeout')],
      'transport-error': ['terminated', (t) => t.#fail('transport')],
    },
    proceeding: {
      provisional: ['proceeding', (t, got) => t.#pass(got)],
      success: ['accepted', (t, got) => t.#accept(got)],
      refusal: ['completed', (t, got) => t.#complete(got)],
      cancel: ['proceeding', (t) => t.#sendCancel()],
      'cancel-timeout': ['terminated', (t) => t.#fail('timeout')],
      'transport-error': ['terminated', (t) => t.#fail('transport')],
    },
    accepted: {},
    completed: {
      refusal: ['completed', (t) => t.#acknowledge()],
      'timer-d': ['terminated', (t) => t.#finish()],
      'transport-error': ['terminated', (t) => t.#failLate()],
    },
    terminated: {},
  };

  #step(event: Event, argument: Received): void {
    const transition = InviteClient.#machine[this.#state][event];
    if (!transition) return;
    this.#state = transition[0];
    transition[1](this, argument);
  }

  #pass(got: Received): void {
    if (got) this.#user.onResponse(got.response, got.source);
  }

  #scheduleA(interval: number): void {
    this.#resend = this.#owner.clock.after(interval, () => {
      this.#step('timer-a', undefined);
      this.#scheduleA(2 * interval);
    });
  }

  #proceed(got: Received): void {
    this.#stopTimers();
    if (this.#pendingCancel) this.#sendCancel();
    this.#pass(got);
  }

  /** RFC 3261 §9.1: without a final response 64·T1 after the CANCEL the INVITE counts as cancelled. */
  #sendCancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#end = this.#after(longTime(this.#owner.timers), 'cancel-timeout');
    this.#owner.sendCancel(this.#outbound, this.#pendingCancel?.reason);
  }

  #accept(got: Received): void {
    this.#stopTimers();
    this.#owner.settled();
    this.#rest = this.#owner.accepted(this.key, this.#user);
    this.#pass(got);
  }

  #complete(got: Received): void {
    this.#stopTimers();
    this.#owner.settled();
    if (got) this.#ack = this.#outbound.along(makeAck(this.request, got.response));
    this.#acknowledge();
    if (this.#outbound.reliable) this.#step('timer-d', undefined);
    else this.#end = this.#after(Math.max(TIMER_D_MS, longTime(this.#owner.timers)), 'timer-d');
    this.#pass(got);
  }

  #acknowledge(): void {
    this.#ack?.send(this.#sent);
  }

  #fail(failure: 'timeout' | 'transport'): void {
    this.#owner.settled();
    this.#finish();
    this.#user.onFailure(failureOver(this.hop, failure));
  }

  /** The ACK could not be sent: the user has its final response already (RFC 3261 §17.1.1.2). */
  #failLate(): void {
    this.#finish();
  }

  #finish(): void {
    this.#stopTimers();
    this.#owner.clientEnded(this.key);
  }

  #stopTimers(): void {
    this.#resend?.cancel();
    this.#end?.cancel();
  }

  #after(ms: number, event: Event): Timer {
    return this.#owner.clock.after(ms, () => this.#step(event, undefined));
  }

  readonly #sent: SendDone = (error) => {
    if (!error) return;
    const { hop } = this.#outbound;
    const overUdp = this.#outbound.fallBack();
    this.#owner.notSent(error, this.request, hop, overUdp);
    if (overUdp) {
      this.#scheduleA(this.#owner.timers.t1);
      this.#outbound.send(this.#sent);
    } else this.#step('transport-error', undefined);
  };
}
