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

/** Who is believed about the IMEI of a handset. */
export type ImeiSource = 'network' | 'client';

/**
 * The IMEI of a client's handset as an Instance ID (RFC 7254 §4): what a trusted network element says before what the client says. Several
 * applications of one handset are several instances and share its IMEI, so an application has none.
 * @param networkImei as the network wrote it: IMEI with or without its check digit, IMEISV, or the URN.
 * @param believed sources in the order in which they are asked
 */
export function imeiOf(
  { client, applicationId }: ImpsClient,
  networkImei: string | undefined,
  believed: readonly ImeiSource[] = ['network', 'client'],
): InstanceId | undefined {
  if (applicationId !== '') return undefined;
  for (const source of believed) {
    const device = source === 'network' ? networkDevice(networkImei) : claimedDevice(client);
    if (device === undefined || /^0+$/.test(device)) continue;
    return InstanceId.fromUrn(`urn:gsma:imei:${device.slice(0, 8)}-${device.slice(8)}-0`);
  }
  return undefined;
}

/** TAC and serial number of 15 digits whose last one is their check digit: fewer, or with a wrong one, they may be any number. */
function claimedDevice({ url }: ClientId): string | undefined {
  const claimed = url === undefined ? undefined : parseClientIdFields(url)?.uniqueId;
  return claimed !== undefined && /^\d{15}$/.test(claimed) && isChecked(claimed)
    ? claimed.slice(0, 14)
    : undefined;
}

/** The network has 14 digits, 15 with a check digit or the spare 0 of signalling (3GPP TS 23.003 §6.2.1), or 16 with a software version. */
function networkDevice(asserted: string | undefined): string | undefined {
  const digits = asserted?.replace(/^(?:urn:gsma:)?imei[:=]/i, '').replaceAll('-', '');
  if (digits === undefined || !/^\d{14,16}$/.test(digits)) return undefined;
  const wrong = digits.length === 15 && digits[14] !== '0' && !isChecked(digits);
  return wrong ? undefined : digits.slice(0, 14);
}

const isChecked = (digits: string): boolean => imeiCheckDigit(digits.slice(0, 14)) === Number(digits[14]);

/** The handset that a Client-ID of the recommended structure names, whatever software runs on it. */
export function handsetOf(client: ClientId): string | undefined {
  const fields = client.url === undefined ? undefined : parseClientIdFields(client.url);
  return fields && `${fields.vendor}.${fields.model}.${fields.uniqueId}`;
}
