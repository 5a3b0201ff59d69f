import type { MessageRecord, SessionRecord } from '../state/records.js';

/**
 * A message with its content as the session takes it (AcceptedTransferEncoding): octets as BASE64, and without BASE64 as
 * the text that they are. What a session that lists none takes is not established: it gets BASE64.
 * @returns undefined when the session has no encoding for it
 */
export function encodedFor(
  { capabilities }: SessionRecord,
  message: MessageRecord,
): MessageRecord | undefined {
  const { contentBytes, content, contentEncoding } = message;
  const isBase64 = contentEncoding.toUpperCase() === 'BASE64';
  if (contentBytes === undefined && !isBase64) return message;
  const takesBase64 = capabilities?.transferEncodings?.includes('BASE64') ?? true;
  if (contentBytes === undefined && takesBase64) return message;
  const octets = Buffer.from(contentBytes ?? Buffer.from(content, 'base64'));
  if (takesBase64) return withContent(message, 'BASE64', octets.toString('base64'));
  const text = message.contentType.startsWith('text/') ? utf8(octets) : undefined;
  return text === undefined ? undefined : withContent(message, 'None', text);
}

const withContent = (message: MessageRecord, contentEncoding: string, content: string): MessageRecord => ({
  ...message,
  contentEncoding,
  content,
  contentBytes: undefined,
  contentSize: content.length,
});

function utf8(octets: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    return undefined; // octets that are no text
  }
}
