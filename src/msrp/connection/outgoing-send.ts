import { formatByteRange, type ContinuationFlag, type FailureReport } from '../message/index.js';

/** Up to so many octets a chunk need not be interruptible (RFC 4975 §5.1). */
export const UNINTERRUPTIBLE_OCTETS = 2048;

/** What a SEND request says about its message. Values are Latin-1 as on the wire. */
export interface SendParts {
  readonly toPath: string;
  readonly fromPath: string;
  readonly messageId: string;
  /** Position of the first octet, counted from 1. */
  readonly start: number;
  readonly total?: number | undefined;
  /** False leaves Byte-Range out where RFC 4975 §7.1.1 lets it: in a small message sent whole. */
  readonly ranged: boolean;
  readonly successReport: boolean;
  readonly failureReport: FailureReport;
  /** Other header fields, each a whole line with CRLF. */
  readonly fields: string;
  /** Undefined for a request without content, which then has no body at all. */
  readonly contentType: string | undefined;
}

/** What becomes of a {@link OutgoingSend}. */
export interface SendEvents {
  /**
   * A chunk was answered, or not in time (408). Not called with Failure-Report `no`.
   * @param start position of its first octet. @param end position of its last.
   */
  answered(status: number, start: number, end: number): void;
  /** The last octet was handed to the socket. */
  sent(): void;
  /** The connection ended before that. */
  lost(): void;
}

/**
 * One run of octets of a message on its way out. On the wire it becomes one chunk, or several when others want the
 * connection meanwhile. Octets may be given while earlier ones are being sent.
 */
export class OutgoingSend {
  readonly parts: SendParts;
  readonly events: SendEvents;
  readonly #beforeRange: string;
  readonly #afterRange: string;
  #pieces: Buffer[] = [];
  #first = 0;
  #pending = 0;
  #flag: ContinuationFlag | undefined;
  /** Position of the next octet to be sent. */
  #position: number;
  #begun = false;

  constructor(parts: SendParts, events: SendEvents) {
    this.parts = parts;
    this.events = events;
    this.#position = parts.start;
    this.#beforeRange = `To-Path: ${parts.toPath}\r\nFrom-Path: ${parts.fromPath}\r\nMessage-ID: ${parts.messageId}\r\n`;
    this.#afterRange =
      (parts.successReport ? 'Success-Report: yes\r\n' : '') +
      (parts.failureReport === 'yes' ? '' : `Failure-Report: ${parts.failureReport}\r\n`) +
      parts.fields +
      (parts.contentType === undefined ? '' : `Content-Type: ${parts.contentType}\r\n\r\n`);
  }

  /** Octets given and not yet sent. */
  get pending(): number {
    return this.#pending;
  }

  /** Pieces given and not yet sent. */
  get pieces(): number {
    return this.#pieces.length - this.#first;
  }

  /** Octets of its header section, that of one chunk. */
  get headOctets(): number {
    return this.#beforeRange.length + this.#afterRange.length;
  }

  /** Position of the next octet. */
  get position(): number {
    return this.#position;
  }

  /** The flag it ends with, once that is known. */
  get flag(): ContinuationFlag | undefined {
    return this.#flag;
  }

  /** Whether a chunk of it has been on the wire. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Whether there is something to put on the wire now. */
  get sendable(): boolean {
    return this.#pending > 0 || this.#flag !== undefined;
  }

  get hasBody(): boolean {
    return this.parts.contentType !== undefined;
  }

  /** Small and complete: fits one chunk that need not be interruptible. */
  get whole(): boolean {
    return this.#flag !== undefined && this.#pending <= UNINTERRUPTIBLE_OCTETS;
  }

  /** For the lane alone, which counts what is pending. */
  append(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#pending += piece.length;
  }

  /** For the lane alone. An abort forgets what was not sent. @returns octets forgotten. */
  finish(flag: ContinuationFlag): number {
    this.#flag = flag;
    if (flag !== '#') return 0;
    const forgotten = this.#pending;
    this.#pieces = [];
    this.#first = 0;
    this.#pending = 0;
    return forgotten;
  }

  /** Start line and header section of the next chunk, with the blank line when a body follows. */
  chunkHead(transactionId: string): string {
    this.#begun = true;
    const { parts } = this;
    const whole = this.whole;
    // a chunk that only gives the message up says nothing about octets
    const end =
      whole && (this.#pending > 0 || this.#flag === '$') ? this.#position + this.#pending - 1 : undefined;
    const total = parts.total ?? (this.#flag === '$' ? end : undefined);
    const range =
      this.hasBody && (parts.ranged || !whole || this.#position > 1)
        ? `Byte-Range: ${formatByteRange(this.#position, end, total)}\r\n`
        : '';
    return `MSRP ${transactionId} SEND\r\n${this.#beforeRange}${range}${this.#afterRange}`;
  }

  /** The next octets to send, at most `max` of them; undefined when none wait. */
  take(max: number): Buffer | undefined {
    const piece = this.#pieces[this.#first];
    if (piece === undefined) return undefined;
    const taken = piece.length > max ? piece.subarray(0, max) : piece;
    if (taken === piece) this.#drop();
    else this.#pieces[this.#first] = piece.subarray(max);
    this.#pending -= taken.length;
    this.#position += taken.length;
    return taken;
  }

  #drop(): void {
    this.#first++;
    if (this.#first === this.#pieces.length) {
      this.#pieces = [];
      this.#first = 0;
    } else if (this.#first > 1024) {
      this.#pieces = this.#pieces.slice(this.#first);
      this.#first = 0;
    }
  }
}
