import { malformed, msrpError } from '../errors.js';
import {
  endLineMarker,
  endOfHead,
  findEndLine,
  FLAG_AND_CRLF,
  isEndLine,
  LONGEST_END_LINE,
} from './end-line.js';
import { parseHead, type ContinuationFlag, type MessageHead } from './head.js';

/** What a {@link MessageParser} finds, in order: one head, any number of body pieces, one end. */
export interface MessageHandler {
  /** @param hasBody false when the end-line follows at once: there is no content, not even an empty one. */
  head(head: MessageHead, hasBody: boolean): void;
  /** A piece of the body, never empty. It is a view of what was pushed: keep it, but do not change it. */
  body(piece: Buffer): void;
  end(flag: ContinuationFlag): void;
}

export interface ParserLimits {
  /** Octets of start line and header section together. */
  readonly headOctets: number;
  /** Octets of the body of anything but a SEND (RFC 4975 §7.1: 10240). */
  readonly otherBodyOctets: number;
}

export const defaultParserLimits: ParserLimits = { headOctets: 16_384, otherBodyOctets: 10_240 };

const CR = 0x0d;
const LF = 0x0a;
const EMPTY = Buffer.alloc(0);

/**
 * Takes a stream of octets apart into MSRP messages, whatever the pieces it comes in (RFC 4975 §5.1, §7.3.1).
 *
 * A body is handed on as it arrives; never more than a possible beginning of the end-line is held back. The end is
 * always found by looking for the end-line, and the Byte-Range is not relied upon: a chunk may be interrupted
 * before its announced end, and the outcome must not depend on how TCP cut the octets. The search is the native
 * one of Buffer and runs at several gigabytes a second.
 */
export class MessageParser {
  readonly #handler: MessageHandler;
  readonly #limits: ParserLimits;
  /** An unfinished head, or the end of a body that may be the beginning of the end-line. */
  #held: Buffer = EMPTY;
  /** How the end-line of the message begins whose body is being read. */
  #marker: Buffer | undefined;
  /** Octets of the body stream still to be dropped: the CRLF of the blank line, see {@link #readHead}. */
  #prefix = 0;
  #bodyLeft = 0;
  #stopped = false;

  constructor(handler: MessageHandler, limits: ParserLimits = defaultParserLimits) {
    this.#handler = handler;
    this.#limits = limits;
  }

  /** True between the first octet of a message and its end-line. */
  get inMessage(): boolean {
    return this.#marker !== undefined || this.#held.length > 0;
  }

  /** Ignores the rest of what is being pushed and everything after it. The handler may call it. */
  stop(): void {
    this.#stopped = true;
    this.#held = EMPTY;
  }

  /**
   * Takes the next octets; calls the handler for what is complete before it returns.
   * @throws ParleyError `msrp-malformed`, `msrp-header-too-large` or `msrp-body-too-large`; the parser then takes
   * nothing more.
   */
  push(octets: Buffer): void {
    try {
      let rest: Buffer = octets;
      while (rest.length > 0 && !this.#stopped)
        rest = this.#marker ? this.#readBody(rest, this.#marker) : this.#readHead(rest);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** @returns what is left of `input`. */
  #readHead(input: Buffer): Buffer {
    let octets = this.#held.length > 0 ? Buffer.concat([this.#held, input]) : input;
    this.#held = EMPTY;
    // a CRLF between messages is a keep-alive of some clients
    while (octets[0] === CR && octets[1] === LF) octets = octets.subarray(2);

    const length = endOfHead(octets, this.#limits.headOctets);
    if (length < 0) {
      if (octets.length > this.#limits.headOctets + LONGEST_END_LINE)
        throw msrpError('msrp-header-too-large');
      return this.#hold(octets);
    }
    const hasBody = octets[length + 2] === CR;
    if (!hasBody && octets.indexOf(LF, length + 2) < 0) {
      if (octets.length > this.#limits.headOctets + LONGEST_END_LINE) throw malformed('end-line');
      return this.#hold(octets);
    }
    const head = parseHead(octets.toString('latin1', 0, length));
    const marker = endLineMarker(head.transactionId);
    if (hasBody) {
      if (head.method === undefined) throw malformed('a response with a body');
      this.#marker = marker;
      this.#bodyLeft = head.method === 'SEND' ? Infinity : this.#limits.otherBodyOctets;
      // Some clients that send no content put a blank line before the end-line all the same. Therefore the body is
      // read from the blank line on, whose CRLF may then be the one of the end-line.
      this.#prefix = 2;
      this.#handler.head(head, true);
      return octets.subarray(length + 2);
    }
    if (!isEndLine(octets, length, marker)) throw malformed('end-line');
    this.#handler.head(head, false);
    return this.#end(octets, length + marker.length);
  }

  #readBody(input: Buffer, marker: Buffer): Buffer {
    const whole = marker.length + FLAG_AND_CRLF;
    const held = this.#held;
    if (held.length > 0) {
      const joint = Buffer.concat([held, input.subarray(0, whole)]);
      const at = findEndLine(joint, marker);
      if (at >= 0 && at < held.length) {
        this.#body(held.subarray(0, at));
        if (at + whole > joint.length) return this.#hold(joint.subarray(at));
        return this.#end(joint, at + marker.length) && input.subarray(at + whole - held.length);
      }
      this.#held = EMPTY;
      this.#body(held);
    }
    const at = findEndLine(input, marker);
    if (at < 0) {
      this.#body(input);
      return EMPTY;
    }
    this.#body(input.subarray(0, at));
    if (at + whole > input.length) return this.#hold(input.subarray(at));
    return this.#end(input, at + marker.length);
  }

  #body(piece: Buffer): void {
    const content = this.#prefix > 0 ? piece.subarray(this.#prefix) : piece;
    this.#prefix = Math.max(0, this.#prefix - piece.length);
    if (content.length === 0 || this.#stopped) return;
    this.#bodyLeft -= content.length;
    if (this.#bodyLeft < 0) throw msrpError('msrp-body-too-large');
    this.#handler.body(content);
  }

  /** @param at position of the continuation flag. @returns what follows the end-line. */
  #end(octets: Buffer, at: number): Buffer {
    this.#marker = undefined;
    this.#held = EMPTY;
    if (!this.#stopped) this.#handler.end(String.fromCharCode(octets[at]!) as ContinuationFlag);
    return octets.subarray(at + FLAG_AND_CRLF);
  }

  /** Keeps a copy, so that somebody who sends single octets does not pin a read buffer for each. */
  #hold(octets: Buffer): Buffer {
    this.#held = Buffer.from(octets);
    return EMPTY;
  }
}
