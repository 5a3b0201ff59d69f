import { orNone } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import type { RegisteredDevice } from '../../reg-event/devices.js';
import type { SipRequest } from '../../sip/message/message.js';
import { parseUri } from '../../sip/message/uri.js';
import { aimAtChosenDevice, namesDevice } from '../policy/chosen-device.js';
import type { SessionEnd, SessionRecord, SessionRecords } from './session-records.js';

/**
 * Whether an invitation is that of a focus (RFC 4579 §4.1): its Contact has `isfocus`, the network asserts the same identity, and that is
 * no user's. A user can write everything else that a focus sends.
 * @param isUser whether an identity is that of a user here.
 */
export async function isFromFocus(
  request: SipRequest,
  isUser: (aor: string) => Promise<boolean>,
): Promise<boolean> {
  const contact = request.contacts[0];
  const focus = contact?.params.has('isfocus') === true ? canonical(contact.uriText) : undefined;
  if (focus === undefined) return false;
  const asserted = request.addresses('P-Asserted-Identity').map(({ uriText }) => canonical(uriText));
  return asserted.includes(focus) && !(await isUser(focus));
}

/**
 * The session of a callee that an invitation of a focus takes the place of: its Session-Replaces names it, by Contribution-ID or as older
 * clients do by the dialog target, and it is one with who invites, the Referred-By of the focus (RFC 3892).
 * An inviter whom the focus calls by an alias is not held against the session, which the focus has done.
 * @param set of the callee. @param setOf key of the registration set of a user here, undefined for anybody else.
 */
export async function replacedSession(
  request: SipRequest,
  set: string,
  records: SessionRecords,
  setOf: (aor: string) => Promise<string | undefined>,
): Promise<SessionRecord | undefined> {
  const wanted = request.get('Session-Replaces');
  const inviter = canonical((request.addresses('Referred-By')[0] ?? request.from).uriText);
  if (wanted === undefined || inviter === undefined) return undefined;
  const inviterSet = await setOf(inviter);
  const isInviter = ({ user, set: owner }: SessionEnd): boolean =>
    canonical(user) === inviter || (owner !== undefined && owner === inviterSet);
  const anonymous = inviter.endsWith('@anonymous.invalid');
  for await (const record of records.list(set)) {
    const names = [record.contributionId, record.caller.device, record.callee.device];
    if (!names.includes(wanted)) continue;
    if (anonymous || isInviter(record.caller) || isInviter(record.callee)) return record;
  }
  return undefined;
}

/**
 * Aims an invitation at the device that has the session (RFC 3841 §7.2.4), unless it names one already.
 * @param devices of the user, as they are registered.
 * @returns false when that device cannot be told from the others of the user, which are not to be asked in its place.
 */
export function aimAtDeviceOf(
  { caller, callee }: SessionRecord,
  request: SipRequest,
  set: string,
  devices: readonly RegisteredDevice[],
): boolean {
  if (namesDevice(request)) return true;
  const { device } = callee.set === set ? callee : caller;
  const gr = device === undefined ? undefined : parseUri(device).param('gr');
  const instance = gr ? gr : devices.find(({ contact }) => samePlace(contact, device))?.instance;
  if (instance !== undefined) aimAtChosenDevice(request, { deliverTo: instance });
  return instance !== undefined || devices.length <= 1;
}

/** Whether two contacts are those of one device: parameters may come and go. */
function samePlace(contact: string, device: string | undefined): boolean {
  const place = (uri: string): string => {
    const { user, host, port } = parseUri(uri);
    return `${user}@${host}:${port}`;
  };
  return device !== undefined && place(contact) === place(device);
}

const canonical = (uri: string): string | undefined => orNone(() => parseAor(uri));
