import { element } from '../../../src/imps/codec/element.js';
import type { CspMessage } from '../../../src/imps/codec/envelope.js';
import type { Phone } from './phone.js';
import type { World } from './world.js';

/** A request that every session may make and that changes nothing. */
export const getList = element('GetList-Request');

/** A message of one transaction in the session of a phone, for tests that write what goes over the wire themselves. */
export const envelopeOf = (phone: Phone, more: Partial<CspMessage> = {}): CspMessage => ({
  version: '1.3',
  sessionType: 'Inband',
  sessionId: phone.sessionId,
  transactions: [{ mode: 'Request', id: '1', primitive: getList }],
  poll: undefined,
  cir: undefined,
  ...more,
});

/** Posts octets to the server's CSP address. */
export const postTo = (
  { url }: Pick<World, 'url'>,
  body: string | Buffer,
  type: string,
  more: RequestInit = {},
): Promise<Response> =>
  fetch(`${url}/csp`, {
    method: 'POST',
    body: typeof body === 'string' ? body : new Uint8Array(body),
    headers: { 'Content-Type': type },
    ...more,
  });
