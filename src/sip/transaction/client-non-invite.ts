import type { Timer } from '../../base/clock.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Source } from '../stack.js';
import type { SendDone } from '../transport/way.js';
import { longTime, type ClientEnvironment } from './environment.js';
import type { ClientFailure, ClientTransaction, ClientUser, NextHop } from './layer.js';
import type { Machine } from './machine.js';
import type { Outbound } from './outbound.js';

type State = 'trying' | 'proceeding' | 'completed' | 'terminated';
type Event = 'provisional' | 'final' | 'transport-error' | 'timer-e' | 'timer-f' | 'timer-k';
type Received = { readonly response: SipResponse; readonly source: Source } | undefined;

/** What a client transaction needs from its layer. */
export interface ClientOwner extends ClientEnvironment {
  clientEnded(key: string): void;
  /** A final response came, or none will. */
  settled(): void;
  /** From now on the key is all that is known of a transaction, for the time of Timer K. */
  completed(key: string): CompletedClient;
}

/**
 * What a transaction leaves behind in Completed (RFC 3261 §17.1.2.2): it takes responses that come again. It holds nothing of what was
 * sent and heard: at 2,000 NOTIFYs a second that would live just long enough to be copied twice by the garbage collector.
 */
export class CompletedClient {
  state: 'completed' | 'terminated' = 'completed';

  received(): void {}
}

/** The non-INVITE client transaction (RFC 3261 §17.1.2). */
export class NonInviteClient implements ClientTransaction {
  readonly key: string;
  readonly #outbound: Outbound;
  readonly #user: ClientUser;
  readonly #owner: ClientOwner;
  #state: State = 'trying';
  #interval: number;
  #timerE: Timer | undefined;
  readonly #timerF: Timer;
  /** Present once it is completed over UDP. */
  #rest: CompletedClient | undefined;

  constructor(key: string, outbound: Outbound, user: ClientUser, owner: ClientOwner) {
    this.key = key;
    this.#outbound = outbound;
    this.#user = user;
    this.#owner = owner;
    this.#interval = owner.timers.t1;
    this.#timerF = owner.clock.after(longTime(owner.timers), () => this.#step('timer-f', undefined));
    if (!outbound.reliable) this.#scheduleE();
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

  /** RFC 3261 §9.1: only an INVITE is cancelled. */
  cancel(): void {}

  received(response: SipResponse, source: Source): void {
    this.#step(response.status < 200 ? 'provisional' : 'final', { response, source });
  }

  static readonly #machine: Machine<State, Event, NonInviteClient, Received> = {
    trying: {
      provisional: ['proceeding', (t, got) => t.#pass(got)],
      final: ['completed', (t, got) => t.#complete(got)],
      'timer-e': ['trying', (t) => t.#retransmit(Math.min(2 * t.#interval, t.#owner.timers.t2))],
      'timer-f': ['terminated', (t) => t.#fail('timeout')],
      'transport-error': ['terminated', (t) => t.#fail('transport')],
    },
    proceeding: {
      provisional: ['proceeding', (t, got) => t.#pass(got)],
      final: ['completed', (t, got) => t.#complete(got)],
      'timer-e': ['proceeding', (t) => t.#retransmit(t.#owner.timers.t2)],
      'timer-f': ['terminated', (t) => t.#fail('timeout')],
      'transport-error': ['terminated', (t) => t.#fail('transport')],
    },
    completed: { 'timer-k': ['terminated', (t) => t.#finish()] },
    terminated: {},
  };

  #step(event: Event, argument: Received): void {
    const transition = NonInviteClient.#machine[this.#state][event];
    if (!transition) return;
    this.#state = transition[0];
    transition[1](this, argument);
  }

  #pass(got: Received): void {
    if (got) this.#user.onResponse(got.response, got.source);
  }

  #retransmit(next: number): void {
    this.#outbound.send(this.#sent);
    this.#interval = next;
    this.#scheduleE();
  }

  #scheduleE(): void {
    this.#timerE = this.#owner.clock.after(this.#interval, () => this.#step('timer-e', undefined));
  }

  #complete(got: Received): void {
    this.#timerE?.cancel();
    this.#timerF.cancel();
    this.#owner.settled();
    if (this.#outbound.reliable) this.#step('timer-k', undefined);
    else this.#rest = this.#owner.completed(this.key);
    this.#pass(got);
  }

  #fail(failure: 'timeout' | 'transport'): void {
    this.#owner.settled();
    this.#finish();
    this.#user.onFailure(failureOver(this.hop, failure));
  }

  #finish(): void {
    this.#timerE?.cancel();
    this.#timerF.cancel();
    this.#owner.clientEnded(this.key);
  }

  readonly #sent: SendDone = (error) => {
    if (!error) return;
    const { hop } = this.#outbound;
    const overUdp = this.#outbound.fallBack();
    this.#owner.notSent(error, this.request, hop, overUdp);
    if (overUdp) {
      this.#scheduleE();
      this.#outbound.send(this.#sent);
    } else this.#step('transport-error', undefined);
  };
}

/** A transport that fails under a request bound to a flow is the flow's failure (RFC 5626 §5.3). */
export function failureOver(hop: NextHop, failure: 'timeout' | 'transport'): ClientFailure {
  return failure === 'transport' && hop.flow !== undefined ? 'flow-failed' : failure;
}
