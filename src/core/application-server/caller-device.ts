import { orNone, ParleyError } from '../../base/errors.js';
import { aorDomain, parseAor } from '../../identity/aor.js';
import { parseGruu, sameGruu, type Gruu } from '../../identity/gruu.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { RegisteredDevice } from '../../reg-event/devices.js';
import type { Address } from '../../sip/message/address.js';
import { unquote } from '../../sip/message/lexer.js';
import { parseUri } from '../../sip/message/uri.js';
import { parseVia } from '../../sip/message/via.js';
import type { ServerRequest } from '../../sip/stack.js';
import '../errors.js';
import type { SendingDevice } from '../service.js';

/** What another core has told of its users. */
export interface KnownDevices {
  /** The registered devices of a user. */
  of(aor: string): Promise<readonly RegisteredDevice[]>;
  /** Key of the user that an identity belongs to, undefined for one that nobody told of. */
  keyOf(aor: string): string | undefined;
  /** The same; the identity itself when nothing is known of it. */
  setOf(aor: string): string;
}

type KnownDevice = RegisteredDevice & Required<Pick<RegisteredDevice, 'instance' | 'instanceKey'>>;

const SIP_PORT = 5060;
const SIPS_PORT = 5061;

/**
 * Finds the device that sent a request which another core has asserted to be its user's: by its own address in Contact; by the
 * address in its Via, since a MESSAGE has no Contact (RFC 3428 §4); by the GRUU or Instance ID in Contact. A device is known by
 * its Instance ID; what fits several is no evidence. A device that its Via names, and whose Contact names another one of the user, is the one of the
 * Via: services refuse what it claims.
 * @param served the user for whom the core asks. A request that somebody else sent (a diversion) has no device of that user.
 * @param domains home domains, lower-case.
 * @throws ParleyError `core-foreign-gruu` for a public GRUU of another user in Contact (RFC 5627 §6.1).
 */
export async function callerDevice(
  request: ServerRequest,
  served: string,
  known: KnownDevices,
  domains: readonly string[],
): Promise<SendingDevice | undefined> {
  const user = known.keyOf(served);
  const asserted = request.addresses('P-Asserted-Identity')[0];
  if (user === undefined || (asserted && keyOf(asserted, known) !== user)) return undefined;
  const contact = request.contacts[0];
  const claim = contact && claimOf(contact);
  if (claim?.gruu?.kind === 'public' && isForeign(claim.gruu, user, known, domains))
    throw new ParleyError('core-foreign-gruu');
  const devices = await known.of(served);
  const byContact = only(devices.filter((device) => device.contact === contact?.uriText));
  if (byContact) return seen(byContact, devices);
  const claimed = claim && only(devices.filter((device) => isClaimed(device, claim)));
  // a claim that nobody knows may be that of a device which has just registered
  const bySentBy = claim && !claimed ? undefined : only(devices.filter(sentBy(request)));
  const sender = bySentBy ?? claimed;
  return sender && seen(sender, devices);
}

/** What a Contact says of the device, beside its address. */
interface Claim {
  readonly uri: string;
  readonly gruu: Gruu | undefined;
  readonly instance: InstanceId | undefined;
}

/** Undefined for a Contact that is but an address. An Instance ID that cannot be read is left to the services. */
function claimOf({ uri, uriText, params }: Address): Claim | undefined {
  const gruu = uri.isSip ? orNone(() => parseGruu(uriText)) : undefined;
  const value = params.get('+sip.instance');
  const instance = typeof value === 'string' ? orNone(() => InstanceId.parse(unquote(value))) : undefined;
  return gruu || instance ? { uri: uriText, gruu, instance } : undefined;
}

function isClaimed(device: RegisteredDevice, { uri, gruu, instance }: Claim): boolean {
  const { publicGruu, temporaryGruu, instanceKey } = device;
  if (gruu?.kind === 'public' && gr(publicGruu) === gruu.gr) return true;
  if (gruu?.kind === 'temporary' && temporaryGruu !== undefined && sameGruu(temporaryGruu, uri)) return true;
  // the core may have put the UUID in its place that hides a hardware identity (RFC 7255 §7)
  return instance !== undefined && (instance.key === instanceKey || instance.urn === gr(publicGruu));
}

/** Whether a GRUU of this network is of no identity of the user. */
function isForeign({ aor }: Gruu, user: string, known: KnownDevices, domains: readonly string[]): boolean {
  const domain = aorDomain(aor);
  return domain !== undefined && domains.includes(domain) && known.keyOf(aor) !== user;
}

function keyOf({ uriText }: Address, known: KnownDevices): string | undefined {
  const aor = orNone(() => parseAor(uriText));
  return aor === undefined ? undefined : known.keyOf(aor);
}

/** Whether a device has registered the address that a request came from: its sent-by, or what the first server saw (RFC 3581 §4). */
function sentBy(request: ServerRequest): (device: RegisteredDevice) => boolean {
  const line = request.headers.list('Via').at(-1);
  const via = line === undefined ? undefined : orNone(() => parseVia(line));
  if (!via) return () => false;
  const { transport, host, port, params } = via;
  const standard = transport === 'TLS' || transport === 'WSS' ? SIPS_PORT : SIP_PORT;
  const places = new Set([
    `${host}:${port ?? standard}`,
    `${params.get('received') ?? host}:${params.get('rport') ?? port ?? standard}`,
  ]);
  return ({ contact }) => {
    const uri = orNone(() => parseUri(contact));
    if (!uri?.isSip) return false;
    const secure = uri.scheme === 'sips' || uri.param('transport')?.toLowerCase() === 'tls';
    return places.has(`${uri.host}:${uri.port ?? (secure ? SIPS_PORT : SIP_PORT)}`);
  };
}

/** The device that all of these are, by one of its flows. */
function only(devices: readonly RegisteredDevice[]): KnownDevice | undefined {
  const last = devices.at(-1);
  return last && isKnown(last) && devices.every(({ instanceKey }) => instanceKey === last.instanceKey)
    ? last
    : undefined;
}

const isKnown = (device: RegisteredDevice): device is KnownDevice =>
  device.instance !== undefined && device.instanceKey !== undefined;

function seen(
  { instance, instanceKey, publicGruu }: KnownDevice,
  devices: readonly RegisteredDevice[],
): SendingDevice {
  const own = devices.filter((device) => device.instanceKey === instanceKey);
  return {
    instance,
    instanceKey,
    publicGruu,
    grs: [...new Set(own.flatMap((device) => gr(device.publicGruu) ?? []))],
  };
}

function gr(publicGruu: string | undefined): string | undefined {
  const gruu = publicGruu === undefined ? undefined : orNone(() => parseGruu(publicGruu));
  return gruu?.kind === 'public' ? gruu.gr : undefined;
}
