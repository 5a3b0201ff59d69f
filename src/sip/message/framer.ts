import type { Headers } from './headers.js';
import {
  contentLength,
  defaultLimits,
  findHeadEnd,
  parseHead,
  type Parsed,
  type ParseLimits,
} from './parse.js';

/** Limits on what one stream may make us hold. */
export interface FramerLimits extends ParseLimits {
  /** Octets of one body; a longer one is answered 513 and skipped without being kept. */
  readonly bodyBytes: number;
}

export const defaultFramerLimits: FramerLimits = { ...defaultLimits, bodyBytes: 1_048_576 };

/**
 * What a stream holds, in order.
 * - `request`, `response`: a whole message with its body.
 * - `malformed`: as from the parser. `close` is true when the next message cannot be found any more: answer
 *   `request` when it is there, then close the connection. Otherwise the stream goes on behind the message.
 * - `ping`: CRLF CRLF between messages, to be answered with one CRLF (RFC 5626 §4.4.1).
 * - `pong`: one CRLF between messages: the answer to our ping, else to be ignored (RFC 3261 §7.5).
 */
export type Frame =
  | Exclude<Parsed, { kind: 'malformed' }>
  | (Extract<Parsed, { kind: 'malformed' }> & { readonly close: boolean })
  | { readonly kind: 'ping' }
  | { readonly kind: 'pong' };

type WholeMessage = Exclude<Parsed, { kind: 'malformed' }>;

const CR = 13;
const LF = 10;
const nothing = Buffer.alloc(0);
const ping: Frame = { kind: 'ping' };
const pong: Frame = { kind: 'pong' };

/**
 * Cuts one TCP or TLS stream into messages by Content-Length (RFC 3261 §18.3). Work is linear in the octets:
 * a whole message in one chunk is parsed where it lies, and what is incomplete is neither searched nor copied again and again.
 */
export class StreamFramer {
  readonly #limits: FramerLimits;
  /** Octets of an incomplete message, in the first `#held` octets of `#store`. */
  #store = nothing;
  #held = 0;
  /** How far the held octets are known not to end the head. */
  #searched = 0;
  /** The message whose body is awaited; then the held octets are of the body. */
  #awaiting: WholeMessage | undefined;
  #bodyBytes = 0;
  /** Octets of an unwanted body that are still to come. */
  #skip = 0;
  /** The last thing read was a single CRLF between messages. */
  #halfPing = false;
  #closed = false;

  constructor(limits: FramerLimits = defaultFramerLimits) {
    this.#limits = limits;
  }

  /** Octets held of an incomplete message, at least 1 in the midst of one: above zero for long, the peer is stalling. */
  get pendingBytes(): number {
    return this.#awaiting || this.#skip > 0 ? Math.max(1, this.#held) : this.#held;
  }

  /**
   * Takes the next octets and gives what they complete, in order; nothing after a frame with `close`.
   * Bodies may share memory with `chunk`, which must not be written to afterwards. Never throws.
   */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    if (this.#closed) return frames;
    const data = this.#held === 0 ? chunk : this.#hold(chunk);
    const pos = this.#read(data, frames);
    if (this.#closed || pos === data.length) this.#release();
    else if (pos > 0 || this.#held === 0) this.#start(data.subarray(pos));
    return frames;
  }

  /** Reads messages as long as they are whole. @returns how many octets are done with. */
  #read(data: Buffer, frames: Frame[]): number {
    let pos = 0;
    while (pos < data.length && !this.#closed) {
      const before = pos;
      if (this.#skip > 0) pos += this.#skipBody(data.length - pos);
      else if (this.#awaiting) pos = this.#readBody(data, pos, frames);
      else if (data[pos] === CR) pos = this.#readKeepAlive(data, pos, frames);
      else pos = this.#readHead(data, pos, frames);
      if (pos === before) break;
    }
    return pos;
  }

  #skipBody(available: number): number {
    const skipped = Math.min(this.#skip, available);
    this.#skip -= skipped;
    return skipped;
  }

  #readBody(data: Buffer, pos: number, frames: Frame[]): number {
    if (data.length - pos < this.#bodyBytes) return pos;
    const frame = this.#awaiting!;
    frame.message.body = data.subarray(pos, pos + this.#bodyBytes);
    this.#awaiting = undefined;
    frames.push(frame);
    return pos + this.#bodyBytes;
  }

  /** A run of CRLFs gives one frame however long it is, so that a flood of pings costs one answer a read. */
  #readKeepAlive(data: Buffer, start: number, frames: Frame[]): number {
    let pos = start;
    while (data[pos] === CR && data[pos + 1] === LF) pos += 2;
    if (data[pos] === CR) {
      if (pos + 1 < data.length) return this.#fail(frames, 'CR without LF between messages', data.length);
      if (pos === start) return start;
    }
    const whole = this.#halfPing || pos - start >= 4;
    this.#halfPing = !whole;
    frames.push(whole ? ping : pong);
    return pos;
  }

  #readHead(data: Buffer, pos: number, frames: Frame[]): number {
    this.#halfPing = false;
    // a TLS hello or other noise is known by its first octet; waiting for the rest would only hold memory
    if (!isTokenStart(data[pos]!)) return this.#fail(frames, 'not SIP', data.length);
    const end = findHeadEnd(data, pos + this.#searched);
    const size = (end < 0 ? data.length : end) - pos;
    if (size > this.#limits.headBytes) return this.#fail(frames, 'header fields too large', data.length, 513);
    if (end < 0) {
      this.#searched = Math.max(0, size - 3);
      return pos;
    }
    this.#searched = 0;
    this.#finishHead(parseHead(data, pos, end, this.#limits), frames);
    return end + 4;
  }

  /** Decides by Content-Length where the message ends; when that is unknown the stream is lost. */
  #finishHead(parsed: Parsed, frames: Frame[]): void {
    if (parsed.kind === 'malformed') {
      const announced = parsed.headers && this.#trustedLength(parsed.headers);
      if (typeof announced === 'number') this.#skip = announced;
      else this.#closed = true;
      frames.push({ ...parsed, close: this.#closed });
      return;
    }
    const { headers } = parsed.message;
    const request = parsed.kind === 'request' ? parsed.message : undefined;
    const announced = contentLength(headers) ?? 'no Content-Length on a stream';
    if (typeof announced === 'string') {
      this.#closed = true;
      frames.push({ kind: 'malformed', why: announced, status: 400, request, headers, close: true });
    } else if (announced > this.#limits.bodyBytes) {
      this.#skip = announced;
      frames.push({ kind: 'malformed', why: 'body too large', status: 513, request, headers, close: false });
    } else if (announced === 0) frames.push(parsed);
    else {
      this.#awaiting = parsed;
      this.#bodyBytes = announced;
    }
  }

  /**
   * The length of a malformed message by which the next one is found. It is not believed when it is there twice or may
   * be, since each element of a chain might believe another one; nor from what is not SIP at all.
   */
  #trustedLength(headers: Headers): number | string | undefined {
    const wholeHead = headers.length < this.#limits.headerCount;
    if (!wholeHead || !headers.has('Via') || headers.lines('Content-Length').length !== 1) return undefined;
    return contentLength(headers);
  }

  #fail(frames: Frame[], why: string, pos: number, status = 400): number {
    this.#closed = true;
    frames.push({ kind: 'malformed', why, status, request: undefined, headers: undefined, close: true });
    return pos;
  }

  /** Begins to hold octets of an incomplete message in a store of its own: delivered bodies keep the old one. */
  #start(rest: Buffer): void {
    this.#store = Buffer.allocUnsafeSlow(Math.max(1024, rest.length * 2));
    rest.copy(this.#store);
    this.#held = rest.length;
  }

  /** Adds to the held octets; the store doubles, so that many small chunks cost linear work. */
  #hold(chunk: Buffer): Buffer {
    const size = this.#held + chunk.length;
    if (size > this.#store.length) {
      const larger = Buffer.allocUnsafeSlow(size * 2);
      this.#store.copy(larger, 0, 0, this.#held);
      this.#store = larger;
    }
    chunk.copy(this.#store, this.#held);
    this.#held = size;
    return this.#store.subarray(0, size);
  }

  #release(): void {
    this.#store = nothing;
    this.#held = 0;
  }
}

/** Whether a method or `SIP/` may begin with that octet (RFC 3261 §25.1 `token`). */
function isTokenStart(octet: number): boolean {
  return (octet >= 65 && octet <= 90) || (octet >= 97 && octet <= 122) || isRareTokenOctet(octet);
}

function isRareTokenOctet(octet: number): boolean {
  return (octet >= 48 && octet <= 57) || "-.!%*_+`'~".includes(String.fromCharCode(octet));
}
