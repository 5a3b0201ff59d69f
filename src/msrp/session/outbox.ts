import type { Clock, Timer } from '../../base/clock.js';
import type { Lane, Source } from '../connection/lane.js';
import { OutgoingSend } from '../connection/outgoing-send.js';
import { msrpError } from '../errors.js';
import { readContent } from './content-reader.js';
import type { MsrpLimits } from './limits.js';
import {
  OutgoingMessage,
  type Outgoing,
  type OutgoingCarrier,
  type SentMessage,
} from './outgoing-message.js';
import type { Report } from './report.js';

/** The messages that a session sends: each in order, all of them in turn, a chunk at a time. */
export class Outbox implements OutgoingCarrier, Source {
  readonly limits: MsrpLimits;
  readonly #clock: Clock;
  /** Every message that is still waited for, by Message-ID. */
  readonly #messages = new Map<string, OutgoingMessage>();
  #lane: Lane | undefined;
  #paths = { to: '', from: '' };
  #scheduled = false;

  constructor(clock: Clock, limits: MsrpLimits) {
    this.#clock = clock;
    this.limits = limits;
  }

  get paths(): { readonly to: string; readonly from: string } {
    return this.#paths;
  }

  /** @throws ParleyError `msrp-limit` when too many wait, or one with that Message-ID does. */
  send(message: Outgoing): SentMessage {
    if (this.#messages.size >= this.limits.queuedMessages)
      throw msrpError('msrp-limit', 'messages of a session');
    const sent = new OutgoingMessage(this, message, readContent(message.content, message.size));
    if (this.#messages.has(sent.messageId)) throw msrpError('msrp-limit', 'a Message-ID twice');
    this.#messages.set(sent.messageId, sent);
    sent.prefetch();
    this.wake();
    return sent;
  }

  /** The session is on a connection: what was not answered for goes out again, then the rest. */
  bound(lane: Lane, to: string, from: string): void {
    this.#lane = lane;
    this.#paths = { to, from };
    this.wake();
  }

  unbound(): void {
    this.#lane = undefined;
    for (const message of this.#messages.values()) message.interrupted();
  }

  report(report: Report): void {
    this.#messages.get(report.messageId)?.report(report);
  }

  close(): void {
    this.#lane = undefined;
    for (const message of [...this.#messages.values()]) message.close();
  }

  put(send: OutgoingSend, octets: Buffer, last: boolean): void {
    this.#lane!.open(send);
    if (octets.length > 0) this.#lane!.write(send, octets);
    this.#lane!.end(send, last ? '$' : '+');
  }

  cancel(send: OutgoingSend): boolean {
    return this.#lane?.cancel(send) ?? false;
  }

  end(messageId: string): void {
    if (!this.#lane) return;
    const send = endOfMessage(messageId, this.#paths.to, this.#paths.from);
    this.#lane.open(send);
    this.#lane.end(send, '#');
  }

  after(ms: number, fn: () => void): Timer {
    return this.#clock.after(ms, fn);
  }

  done(message: OutgoingMessage): void {
    this.#messages.delete(message.messageId);
  }

  wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** The lane is full. */
  hold(): void {}

  release(): void {
    this.wake();
  }

  #pump(): void {
    let moved = true;
    while (moved && this.#lane) {
      moved = false;
      for (const message of this.#messages.values()) {
        const lane = this.#lane;
        if (!lane) return;
        if (lane.full) {
          lane.holdWhileFull(this);
          return;
        }
        if (message.advance()) moved = true;
      }
    }
  }
}

/** A SEND without content whose `#` ends a message of which some was sent. */
export function endOfMessage(messageId: string, toPath: string, fromPath: string): OutgoingSend {
  return new OutgoingSend(
    {
      toPath,
      fromPath,
      messageId,
      start: 1,
      ranged: false,
      successReport: false,
      failureReport: 'no',
      fields: '',
      contentType: undefined,
    },
    { answered: () => {}, sent: () => {}, lost: () => {} },
  );
}
