import type { Clock } from '../../base/clock.js';
import { parseNumber } from '../message/lexer.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { TransactionTimers } from '../transaction/layer.js';
import { Repeated } from './repeated.js';

interface Unacknowledged {
  readonly number: number;
  readonly response: SipResponse;
  readonly repeated: Repeated;
}

/** The reliable provisional responses of one INVITE, as its server (RFC 3262 §3). */
export class ReliableProvisionals {
  readonly #clock: Clock;
  readonly #timers: TransactionTimers;
  readonly #invite: SipRequest;
  readonly #send: (response: SipResponse) => void;
  readonly #onTimeout: () => void;
  /** Not sent yet: one is under way at a time. */
  readonly #waiting: SipResponse[] = [];
  #number = 1 + Math.trunc(Math.random() * 0x7fff_fffd);
  #current: Unacknowledged | undefined;
  #afterwards: (() => void) | undefined;

  /** @param onTimeout no PRACK came for 64·T1: the INVITE is to be rejected. */
  constructor(
    clock: Clock,
    timers: TransactionTimers,
    invite: SipRequest,
    send: (response: SipResponse) => void,
    onTimeout: () => void,
  ) {
    this.#clock = clock;
    this.#timers = timers;
    this.#invite = invite;
    this.#send = send;
    this.#onTimeout = onTimeout;
  }

  /** Sends a provisional response until its PRACK comes, after those before it. */
  send(response: SipResponse): void {
    if (this.#current) this.#waiting.push(response);
    else this.#transmit(response);
  }

  /** A PRACK came. @returns false when it acknowledges nothing that was sent (481). */
  acknowledge(prack: SipRequest): boolean {
    const [number, sequence, method] = (prack.get('RAck') ?? '').split(/[ \t]+/);
    const current = this.#current;
    const matches =
      current !== undefined &&
      parseNumber(number ?? '', 0xffff_ffff) === current.number &&
      parseNumber(sequence ?? '', 0x7fff_ffff) === this.#invite.cseq.number &&
      method === this.#invite.method;
    if (!matches) return false;
    current.repeated.stop();
    this.#current = undefined;
    const next = this.#waiting.shift();
    if (next) this.#transmit(next);
    else {
      const afterwards = this.#afterwards;
      this.#afterwards = undefined;
      afterwards?.();
    }
    return true;
  }

  /** Calls `fn` when no session description waits for its PRACK, at once if so: a 2xx must not come before (RFC 3262 §3). */
  whenSettled(fn: () => void): void {
    const holds = [this.#current?.response, ...this.#waiting].some(
      (response) => (response?.body.length ?? 0) > 0,
    );
    if (holds) this.#afterwards = fn;
    else fn();
  }

  /** A final response was sent: nothing is sent again, but a PRACK for the last one is still taken. */
  stop(): void {
    this.#waiting.length = 0;
    this.#afterwards = undefined;
    this.#current?.repeated.stop();
  }

  #transmit(response: SipResponse): void {
    const number = this.#number++;
    response.headers.set('RSeq', number);
    const { t1 } = this.#timers;
    const repeated = new Repeated(
      this.#clock,
      { first: t1, cap: Infinity, total: 64 * t1 },
      () => this.#send(response),
      this.#onTimeout,
    );
    this.#current = { number, response, repeated };
    this.#send(response);
    repeated.start();
  }
}

/** The reliable provisional responses of one early dialog, as its client (RFC 3262 §4). */
export class ReliableReceiver {
  #last: number | undefined;

  /**
   * @returns the RAck of the PRACK to be sent; undefined for a response that is not reliable, came before, or came out
   * of order (it will come again).
   */
  accept(response: SipResponse): string | undefined {
    if (response.status === 100 || !response.headers.hasToken('Require', '100rel')) return undefined;
    const number = response.number('RSeq');
    if (number === undefined || (this.#last !== undefined && number !== this.#last + 1)) return undefined;
    this.#last = number;
    return `${number} ${response.headers.get('CSeq') ?? ''}`;
  }
}
