import { v5 } from 'uuid';
import { imeiCheckDigit, InstanceId } from '../../identity/instance-id.js';
import { parseClientIdFields, type ClientId, type UserId } from '../../imps/index.js';

/**
 * Name space of the UUIDs that stand for IMPS clients: version 5 of the DNS name space and `imps-client.parley`.
 * It is fixed, so that anybody who knows a user's address and Client-ID computes the same Instance ID.
 */
export const CLIENT_NAME_SPACE = '5047cd30-03d1-5d32-9e99-8975f0ac5adf';

/** What tells the devices of one user apart on the IMPS side. */
export interface ImpsClient {
  readonly user: UserId;
  readonly client: ClientId;
  /** Empty when the session named no application. */
  readonly applicationId: string;
}

/** The name-based UUID of a client: version 5 over User-ID, canonical Client-ID and, when there is one, ApplicationID (RFC 9562 §5.5). */
export function clientUuid({ user, client, applicationId }: ImpsClient): string {
  const parts = [user, canonicalClientId(client), ...(applicationId === '' ? [] : [applicationId])];
  return v5(parts.join('\n'), CLIENT_NAME_SPACE);
}

/** The URI exactly as written, or the digits of a telephone number that stands alone. */
export function canonicalClientId(client: ClientId): string {
  return client.url ?? `msisdn:${(client.msisdn ?? '').replace(/\D/g, '')}`;
}

/**
 * The IMEI that a client shows, as an Instance ID: 15 digits whose last one is their check digit. Fewer digits, or a wrong
 * last one, may be any number.
 * @param networkImei from a trusted network element; believed before what the client says.
 */
export function imeiOf({ client, applicationId }: ImpsClient, networkImei?: string): InstanceId | undefined {
  // several applications of one handset are several instances, and share its IMEI
  if (applicationId !== '') return undefined;
  const claimed = client.url === undefined ? undefined : parseClientIdFields(client.url)?.uniqueId;
  for (const digits of [networkImei, claimed]) {
    if (digits === undefined || !/^\d{15}$/.test(digits)) continue;
    const device = digits.slice(0, 14);
    if (/^0+$/.test(device) || imeiCheckDigit(device) !== Number(digits[14])) continue;
    return InstanceId.fromUrn(`urn:gsma:imei:${device.slice(0, 8)}-${device.slice(8)}-0`);
  }
  return undefined;
}

/** The handset that a Client-ID of the recommended structure names, whatever software runs on it. */
export function handsetOf(client: ClientId): string | undefined {
  const fields = client.url === undefined ? undefined : parseClientIdFields(client.url);
  return fields && `${fields.vendor}.${fields.model}.${fields.uniqueId}`;
}
