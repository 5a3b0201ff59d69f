import { ParleyError } from '../../base/errors.js';
import type { SipMessage } from './message.js';

/**
 * The whole message as octets, with the right Content-Length as its last header field.
 * @throws ParleyError `sip-bad-message` when the start line holds a line break.
 */
export function serialize(message: SipMessage): Buffer {
  const head = headText(message);
  const text = message.charset === 'latin1' ? asLatin1(head) : head;
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

/**
 * What came as Latin-1 goes out as it came; what was added since and does not fit goes as UTF-8. Cut to octets,
 * a character above U+00FF could become a line break.
 */
function asLatin1(head: string): string {
  return head.replace(/[^\0-\xff]+/g, (words) => Buffer.from(words, 'utf8').toString('latin1'));
}
