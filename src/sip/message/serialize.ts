import type { SipMessage } from './message.js';

/** The whole message as octets, with the right Content-Length as its last header field. */
export function serialize(message: SipMessage): Buffer {
  const head = headText(message);
  if (message.body.length === 0) return Buffer.from(head, message.charset);
  const size = Buffer.byteLength(head, message.charset);
  const data = Buffer.allocUnsafe(size + message.body.length);
  data.write(head, 0, message.charset);
  data.set(message.body, size);
  return data;
}

/** Start line, header fields and the empty line. */
export function headText(message: SipMessage): string {
  return `${message.startLine()}\r\n${message.headers.toWire()}Content-Length: ${message.body.length}\r\n\r\n`;
}
