import { createHash } from 'node:crypto';
import { cpmServices } from '../../identity/cpm-services.js';
import { ICSI_REF, referenceValue, SIP_INSTANCE } from '../../identity/feature-tags.js';
import { InstanceId } from '../../identity/instance-id.js';
import { parseClientIdFields, takesMessages, type SessionRecord, type UserId } from '../../imps/index.js';
import type { DeviceRecord } from '../records.js';

/** Where requests for a phone go: `<device>.<proof>.<user>`, which only this server's Path leads to. */
const CONTACT_USER = /^([0-9a-f-]{36})\.([0-9a-f]{32})\.([\w-]+)$/;

/**
 * The contact of a phone's session: its device and a proof that nobody outside can make.
 * @param host a name of the gateway; it is never resolved, since the Path leads to it.
 */
export const contactUri = (device: DeviceRecord, session: SessionRecord, host: string): string =>
  `sip:${device.uuid}.${proofOf(session)}.${Buffer.from(session.user).toString('base64url')}@${host}`;

/** What the user part of a contact holds, or undefined when it is none. */
export function readContactUser(
  text: string | undefined,
): { readonly uuid: string; readonly proof: string; readonly user: UserId } | undefined {
  const found = text === undefined ? null : CONTACT_USER.exec(text);
  if (!found) return undefined;
  const user = Buffer.from(found[3]!, 'base64url').toString() as UserId;
  return { uuid: found[1]!, proof: found[2]!, user };
}

/** Depends on the Session-ID, which nobody but the phone knows, and does not give it away. */
export const proofOf = ({ id }: SessionRecord): string =>
  createHash('sha256').update(`contact ${id}`).digest('hex').slice(0, 32);

/** Contact parameters of a phone: its Instance ID and what the services that it negotiated let it do (RFC 3840 §9). */
export function contactParams(device: DeviceRecord, session: SessionRecord, sessions: boolean): string {
  const able = takesMessages(session);
  const messages = [cpmServices.message, cpmServices.largeMessage];
  const services = able ? [...messages, ...(sessions ? [cpmServices.session] : [])] : [];
  const methods = ['MESSAGE', 'OPTIONS', 'SUBSCRIBE', ...(able ? ['INVITE', 'ACK', 'CANCEL', 'BYE'] : [])];
  return [
    `;${SIP_INSTANCE}="${InstanceId.fromUrn(device.instance).value}"`,
    services.length > 0 ? `;${ICSI_REF}="${referenceValue(services)}"` : '',
    `;methods="${methods.join(',')}"`,
    ';text',
    session.client.msisdn === undefined && session.version !== '1.1' ? '' : ';mobility="mobile"',
  ].join('');
}

/** What people call the phone: its maker and model, and the application beside it. */
export function deviceName({ client, applicationId }: SessionRecord): string {
  const fields = client.url === undefined ? undefined : parseClientIdFields(client.url);
  const handset = fields ? `${fields.vendor} ${fields.model}` : (client.url ?? 'IMPS phone');
  const name = applicationId === '' ? handset : `${handset} ${applicationId}`;
  return name.replace(/[^\x20-\x7e]/g, '').slice(0, 80);
}

/** The software of the phone, as User-Agent. */
export function userAgent({ client, version }: SessionRecord): string {
  const fields = client.url === undefined ? undefined : parseClientIdFields(client.url);
  return fields
    ? `${fields.softwareName}/${fields.softwareVersion || '0'} IMPS/${version}`
    : `IMPS/${version}`;
}
