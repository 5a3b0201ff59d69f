import type { Clock, Timer } from '../../base/clock.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Source } from '../stack.js';
import type { ServerTransaction } from '../transaction/layer.js';
import type { AdminLink } from './admin-link.js';
import { MAX_FRAME_OCTETS } from './pacing.js';
import { octetsOf } from './outgoing-text.js';

/** The server forgets a request 64 seconds after it came, an INVITE unless something above 100 was said. */
const FORGOTTEN_MS = 64_000;
const SILENT_MS = 50_000;

/** What a server transaction needs of the wire. */
export interface Answering {
  /** The response as the server is to get it, and what follows for the dialogs. */
  prepare(transaction: DrachtioServerTransaction, response: SipResponse): SipResponse;
  /** A 2xx came for an INVITE whose CANCEL the server has answered already, or to which another callee's 2xx has gone. */
  tooLate(transaction: DrachtioServerTransaction, response: SipResponse): void;
  answered(transaction: DrachtioServerTransaction): void;
  refused(transaction: DrachtioServerTransaction, status: number, why: string): void;
  /** The server has taken no 2xx to an INVITE: the caller hears nothing of it. */
  lost(transaction: DrachtioServerTransaction, response: SipResponse): void;
  /** The server has given up waiting for an answer. */
  forgotten(transaction: DrachtioServerTransaction): void;
  /** The server has given an RSeq of its own to a reliable provisional response. */
  numbered(callId: string, ours: number, theirs: number): void;
}

/** A request that a server has handed over. The server repeats the response itself. */
export class DrachtioServerTransaction implements ServerTransaction {
  readonly request: SipRequest;
  /** As the server knows it: before tags were put back. */
  readonly received: SipRequest;
  readonly source: Source;
  readonly kind: 'invite' | 'non-invite';
  readonly link: AdminLink;
  readonly id: string;
  readonly dialog: string;
  finalStatus: number | undefined;
  onCancel: ((cancel: SipRequest) => void) | undefined;
  onFailure: ((reason: 'transport' | 'no-ack') => void) | undefined;
  onSilence: (() => void) | undefined;
  /** Our RSeq of the last reliable provisional response. */
  #reliable: number | undefined;
  readonly #answering: Answering;
  #cancelled = false;
  /** Our To tag in the 2xx to an INVITE. */
  #acceptedTag: string | undefined;
  #patience: Timer | undefined;

  constructor(
    parts: {
      clock: Clock;
      request: SipRequest;
      received: SipRequest;
      source: Source;
      link: AdminLink;
      id: string;
      dialog: string;
    },
    answering: Answering,
  ) {
    this.request = parts.request;
    this.received = parts.received;
    this.source = parts.source;
    this.link = parts.link;
    this.id = parts.id;
    this.dialog = parts.dialog;
    this.kind = parts.request.method === 'INVITE' ? 'invite' : 'non-invite';
    this.#answering = answering;
    this.finalStatus = undefined;
    this.onCancel = undefined;
    this.onFailure = undefined;
    this.onSilence = undefined;
    if (this.kind === 'non-invite')
      this.#patience = parts.clock.after(FORGOTTEN_MS, () => answering.forgotten(this));
    else if (this.request.toTag === undefined)
      this.#patience = parts.clock.after(SILENT_MS, () => this.onSilence?.());
  }

  /** The server has answered the CANCEL, and the INVITE with 487. */
  cancelled(cancel: SipRequest): void {
    if (this.finalStatus !== undefined || this.#cancelled) return;
    this.#patience?.cancel();
    this.#cancelled = true;
    this.onCancel?.(cancel);
  }

  respond(response: SipResponse): boolean {
    const { status } = response;
    if (this.finalStatus !== undefined) return this.#again(response);
    if (status === 100) return true; // the server has said so itself
    if (status >= 200 || this.kind === 'invite') this.#patience?.cancel();
    if (this.#cancelled) {
      if (status < 200) return false;
      this.finalStatus = 487;
      if (status < 300) this.#answering.tooLate(this, response);
      this.#answering.answered(this);
      return true;
    }
    const sequence = status < 200 ? response.number('RSeq') : undefined;
    if (sequence !== undefined) {
      if (this.#reliable === sequence) return true; // the server sends it again by itself
      this.#reliable = sequence;
    }
    this.#send(this.#answering.prepare(this, response), response);
    if (status >= 200) {
      this.finalStatus = status;
      this.#acceptedTag = response.toTag;
      this.#answering.answered(this);
    }
    return true;
  }

  /** The server is gone. */
  abandon(): void {
    this.#patience?.cancel();
    this.onFailure?.('transport');
  }

  /**
   * A 2xx to INVITE is sent again until its ACK, which the server does. That of another callee (RFC 3261 §16.7 step 5) it would not send:
   * its leg is ended here, as the caller would.
   */
  #again(response: SipResponse): boolean {
    if (this.kind !== 'invite' || response.status >= 300 || (this.finalStatus ?? 300) >= 300) return false;
    if (response.toTag !== this.#acceptedTag) this.#answering.tooLate(this, response);
    return true;
  }

  #send(prepared: SipResponse, response: SipResponse): void {
    const octets = octetsOf(prepared);
    const { status } = response;
    if (octets.length > MAX_FRAME_OCTETS - 100 || prepared.body.includes(0)) {
      const why = prepared.body.includes(0) ? 'NUL in the body' : 'larger than drachtio-server takes';
      this.#answering.refused(this, status, why);
      this.link.command(
        `sip|${this.id}|`,
        Buffer.from('SIP/2.0 500 Response cannot be sent through drachtio-server\r\n\r\n'),
        () => {},
      );
      if (status >= 200 && status < 300) this.#failed(response);
      return;
    }
    const ours = this.#reliable;
    this.link.command(`sip|${this.id}|`, octets, ({ ok, reason, message }) => {
      if (!ok) {
        this.#answering.refused(this, status, reason);
        this.#failed(response);
      } else if (ours !== undefined && message && status < 200) {
        const sequence = /^RSeq:[ \t]*(\d+)/im.exec(message.toString('latin1'))?.[1];
        if (sequence !== undefined) this.#answering.numbered(this.request.callId, ours, Number(sequence));
      }
    });
  }

  #failed(response: SipResponse): void {
    this.onFailure?.('transport');
    const { status } = response;
    if (this.kind === 'invite' && this.request.toTag === undefined && status >= 200 && status < 300)
      this.#answering.lost(this, response);
  }
}
