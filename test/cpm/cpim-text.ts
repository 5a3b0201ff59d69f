/** A message/cpim of an anonymous RCS client. @param asked for notifications. */
export const cpimText = (text: string, id: string, asked = 'positive-delivery, negative-delivery'): string =>
  [
    'From: <sip:anonymous@anonymous.invalid>',
    'To: <sip:anonymous@anonymous.invalid>',
    'DateTime: 2026-11-26T10:00:00Z',
    'NS: imdn <urn:ietf:params:imdn>',
    `imdn.Message-ID: ${id}`,
    `imdn.Disposition-Notification: ${asked}`,
    '',
    'Content-Type: text/plain; charset=utf-8',
    '',
    text,
  ].join('\r\n');
