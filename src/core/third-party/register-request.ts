import { escapeXml } from '../../msrp/xml.js';
import type { AnsweredRegister } from '../../registrar/registration.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import { buildMultipart, type NewPart } from '../../sip/message/multipart.js';
import { serialize } from '../../sip/message/serialize.js';
import type { FilterCriterion } from '../triggers/criteria.js';
import { distrust } from '../trust-domain.js';

/** What an application server is told of a user's registration. */
export interface ThirdPartyRegister {
  readonly criterion: FilterCriterion;
  /** The identity that To names. */
  readonly identity: string;
  /** Seconds that the user stays registered; 0 when nothing of it is any more. */
  readonly seconds: number;
  /** The REGISTER behind it, if there is one. */
  readonly register: AnsweredRegister | undefined;
  /** A node of the trust domain sent that REGISTER: what it says of the network is believed. */
  readonly believed: boolean;
}

/** Of the REGISTER of the device, for servers of the trust domain (3GPP TS 24.229 §5.4.1.7, RFC 7315). */
const carried = [
  'P-Access-Network-Info',
  'P-Visited-Network-ID',
  'P-Charging-Vector',
  'P-Charging-Function-Addresses',
];

/**
 * A third-party REGISTER but for its Request-URI, which is the server's (3GPP TS 24.229 §5.4.1.7).
 * @param self URI of this server, as the S-CSCF.
 */
export function thirdPartyRegister(
  told: ThirdPartyRegister,
  self: string,
): { headers: HeaderMap; body: Uint8Array } {
  const { identity, seconds } = told;
  const { type, body } = bodyOf(told);
  return {
    headers: {
      From: `<${self}>`,
      To: `<${identity}>`,
      Contact: `<${self}>;expires=${seconds}`,
      Expires: seconds,
      ...carriedHeaders(told),
      'Content-Type': type,
    },
    body,
  };
}

function carriedHeaders({ register, believed }: ThirdPartyRegister): HeaderMap {
  if (!register) return {};
  const headers = register.request.headers.clone();
  if (!believed) distrust(headers);
  return Object.fromEntries(
    carried.flatMap((name) => {
      const lines = headers.lines(name);
      return lines.length > 0 ? [[name, lines]] : [];
    }),
  );
}

const none = new Uint8Array(0);

/** Service information, the REGISTER of the device and its 200, as the criterion asks (3GPP TS 24.229 §5.4.1.7A, §7.6). */
function bodyOf({ criterion, register }: ThirdPartyRegister): { type: string | undefined; body: Uint8Array } {
  const { serviceInfo, includeRegisterRequest, includeRegisterResponse } = criterion;
  const parts: NewPart[] = [];
  if (serviceInfo !== undefined)
    parts.push(part('application/3gpp-ims+xml', serviceInfoDocument(serviceInfo)));
  if (register && includeRegisterRequest === true)
    parts.push(part('message/sip', serialize(register.request)));
  if (register && includeRegisterResponse === true)
    parts.push(part('message/sip', serialize(register.answer())));
  const [only] = parts;
  if (!only) return { type: undefined, body: none };
  if (parts.length === 1)
    return { type: String(only.headers['Content-Type']), body: only.body as Uint8Array };
  const { contentType, body } = buildMultipart(parts);
  return { type: contentType, body };
}

const part = (type: string, body: Uint8Array): NewPart => ({ headers: { 'Content-Type': type }, body });

function serviceInfoDocument(text: string): Uint8Array {
  return Buffer.from(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      `<ims-3gpp version="1"><service-info>${escapeXml(text)}</service-info></ims-3gpp>\n`,
  );
}
