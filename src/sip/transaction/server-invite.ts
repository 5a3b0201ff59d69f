import type { Timer } from '../../base/clock.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { serialize } from '../message/serialize.js';
import type { Via } from '../message/via.js';
import type { SendDone, Way } from '../transport/way.js';
import { makeResponse } from './derived.js';
import { longTime, type ServerEnvironment } from './environment.js';
import type { ServerTransaction } from './layer.js';
import type { Machine } from './machine.js';

type State = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';
type Event =
  | 'request'
  | 'provisional'
  | 'success'
  | 'refusal'
  | 'ack'
  | 'transport-error'
  | 'timer-g'
  | 'timer-h'
  | 'timer-i'
  | 'timer-l';
type Argument = SipResponse | Way | undefined;

/** RFC 3261 §17.2.1: a 100 goes out unless the user has answered within 200 ms. */
const TRYING_AFTER_MS = 200;

export interface InviteServerOwner extends ServerEnvironment {
  inviteEnded(key: string): void;
}

/** The INVITE server transaction: RFC 3261 §17.2.1 as changed by RFC 6026 §7.1 (Accepted, Timer L). */
export class InviteServer implements ServerTransaction {
  readonly kind = 'invite';
  readonly request: SipRequest;
  readonly source: Way;
  readonly key: string;
  onCancel: ((cancel: SipRequest) => void) | undefined = undefined;
  onFailure: ((reason: 'transport' | 'no-ack') => void) | undefined = undefined;
  readonly #via: Via;
  readonly #owner: InviteServerOwner;
  #state: State = 'proceeding';
  #finalStatus: number | undefined;
  /** What answers a retransmission. */
  #last: Buffer | undefined;
  #toTag: string | undefined;
  #resend: Timer | undefined;
  #end: Timer | undefined;

  constructor(request: SipRequest, source: Way, via: Via, key: string, owner: InviteServerOwner) {
    this.request = request;
    this.source = source;
    this.key = key;
    this.#via = via;
    this.#owner = owner;
    this.#resend = owner.clock.after(TRYING_AFTER_MS, () => this.respond(makeResponse(request, 100)));
  }

  get state(): State {
    return this.#state;
  }

  get finalStatus(): number | undefined {
    return this.#finalStatus;
  }

  /** The To tag of the final response. */
  get toTag(): string | undefined {
    return this.#toTag;
  }

  respond(response: SipResponse): boolean {
    const { status } = response;
    const event = status < 200 ? 'provisional' : status < 300 ? 'success' : 'refusal';
    return this.#step(event, response);
  }

  /** The INVITE came again. */
  retransmitted(way: Way): void {
    this.#step('request', way);
  }

  /**
   * An ACK with the INVITE's branch. One without the cookie must carry the To tag of our response (RFC 3261 §17.2.3).
   * @returns false when it is not for this transaction but for the dialog that its 2xx made.
   */
  acknowledged(ack: SipRequest, byBranch: boolean): boolean {
    if (this.#state === 'accepted') return false;
    if (!byBranch && ack.toTag !== this.#toTag) return false;
    this.#step('ack', undefined);
    return true;
  }

  static readonly #machine: Machine<State, Event, InviteServer, Argument> = {
    proceeding: {
      request: ['proceeding', (t, way) => t.#repeat(way as Way)],
      provisional: ['proceeding', (t, response) => t.#send(response as SipResponse)],
      success: ['accepted', (t, response) => t.#accept(response as SipResponse)],
      refusal: ['completed', (t, response) => t.#refuse(response as SipResponse)],
      'transport-error': ['terminated', (t) => t.#fail('transport')],
    },
    // RFC 6026 §7.1: retransmissions are absorbed, further 2xx are passed on
    accepted: {
      success: ['accepted', (t, response) => t.#sendSuccess(response as SipResponse)],
      'timer-l': ['terminated', (t) => t.#finish()],
    },
    completed: {
      request: ['completed', (t, way) => t.#repeat(way as Way)],
      ack: ['confirmed', (t) => t.#confirm()],
      'timer-g': ['completed', (t) => t.#repeat(t.source)],
      'timer-h': ['terminated', (t) => t.#fail('no-ack')],
      'transport-error': ['terminated', (t) => t.#fail('transport')],
    },
    confirmed: { 'timer-i': ['terminated', (t) => t.#finish()] },
    terminated: {},
  };

  #step(event: Event, argument: Argument): boolean {
    const transition = InviteServer.#machine[this.#state][event];
    if (!transition) return false;
    this.#state = transition[0];
    transition[1](this, argument);
    return true;
  }

  #send(response: SipResponse): void {
    this.#resend?.cancel();
    this.#last = serialize(response);
    this.#repeat(this.source);
  }

  /** It is its user who sends a 2xx again: nothing of it is kept for the half minute of Timer L. */
  #sendSuccess(response: SipResponse): void {
    this.#send(response);
    this.#last = undefined;
  }

  #repeat(way: Way): void {
    if (this.#last) way.reply(this.#last, this.#via, this.#sent);
  }

  #accept(response: SipResponse): void {
    this.#finalStatus = response.status;
    this.#sendSuccess(response);
    this.#end = this.#after(longTime(this.#owner.timers), 'timer-l');
  }

  #refuse(response: SipResponse): void {
    this.#finalStatus = response.status;
    this.#toTag = response.toTag;
    this.#send(response);
    if (this.source.protocol === 'udp') this.#scheduleG(this.#owner.timers.t1);
    this.#end = this.#after(longTime(this.#owner.timers), 'timer-h');
  }

  #scheduleG(interval: number): void {
    this.#resend = this.#owner.clock.after(interval, () => {
      if (this.#step('timer-g', undefined)) this.#scheduleG(Math.min(2 * interval, this.#owner.timers.t2));
    });
  }

  #confirm(): void {
    this.#resend?.cancel();
    this.#end?.cancel();
    if (this.source.protocol === 'udp') this.#end = this.#after(this.#owner.timers.t4, 'timer-i');
    else this.#step('timer-i', undefined);
  }

  #fail(reason: 'transport' | 'no-ack'): void {
    this.#finish();
    this.onFailure?.(reason);
  }

  #finish(): void {
    this.#resend?.cancel();
    this.#end?.cancel();
    this.#owner.inviteEnded(this.key);
  }

  #after(ms: number, event: Event): Timer {
    return this.#owner.clock.after(ms, () => this.#step(event, undefined));
  }

  readonly #sent: SendDone = (error) => {
    this.#owner.sent(error);
    if (error) this.#step('transport-error', undefined);
  };
}
