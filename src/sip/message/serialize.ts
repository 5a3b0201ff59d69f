import { ParleyError } from '../../base/errors.js';
import type { Charset, SipMessage } from './message.js';

/** Octets that are still to be written to their place. */
export interface Writing {
  /** How many they are at most. */
  readonly most: number;
  /** @param target has room for {@link most} at `at`. @returns where they end. */
  writeTo(target: Buffer, at: number): number;
}

/** A whole message, with the right Content-Length as its last header field. */
export class MessageWriting implements Writing {
  readonly most: number;
  readonly #text: string;
  readonly #charset: Charset;
  readonly #body: Uint8Array;

  /** @throws ParleyError `sip-bad-message` when the start line holds a line break. */
  constructor(message: SipMessage) {
    this.#text = octetText(message);
    this.#charset = message.charset;
    this.#body = message.body;
    // a UTF-16 unit is three octets at most
    this.most = 3 * this.#text.length + this.#body.length;
  }

  writeTo(target: Buffer, at: number): number {
    const bodyStart = at + target.write(this.#text, at, this.#charset);
    if (this.#body.length > 0) target.set(this.#body, bodyStart);
    return bodyStart + this.#body.length;
  }
}

/**
 * The octets of a {@link MessageWriting}, by themselves.
 * @throws ParleyError as that.
 */
export function serialize(message: SipMessage): Buffer {
  const text = octetText(message);
  if (message.body.length === 0) return Buffer.from(text, message.charset);
  const size = Buffer.byteLength(text, message.charset);
  const data = Buffer.allocUnsafe(size + message.body.length);
  data.write(text, 0, message.charset);
  data.set(message.body, size);
  return data;
}

/** Start line, header fields and the empty line. */
export function headText(message: SipMessage): string {
  const start = message.startLine();
  if (start.includes('\n') || start.includes('\r'))
    throw new ParleyError('sip-bad-message', 'line break in the start line');
  return `${start}\r\n${message.headers.toWire()}Content-Length: ${message.body.length}\r\n\r\n`;
}

/** The head, to be written in the message's charset. */
function octetText(message: SipMessage): string {
  const head = headText(message);
  return message.charset === 'latin1' ? asLatin1(head) : head;
}

/**
 * What came as Latin-1 goes out as it came; what was added since and does not fit goes as UTF-8. Cut to octets,
 * a character above U+00FF could become a line break.
 */
function asLatin1(head: string): string {
  return head.replace(/[^\0-\xff]+/g, (words) => Buffer.from(words, 'utf8').toString('latin1'));
}
