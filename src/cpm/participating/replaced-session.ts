import { orNone } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import type { SipRequest } from '../../sip/message/message.js';
import { parseUri } from '../../sip/message/uri.js';
import { aimAtChosenDevice } from '../policy/chosen-device.js';
import type { SessionRecord, SessionRecords } from './session-records.js';

/**
 * The session of a callee that an invitation to a group takes the place of: its Session-Replaces names it, and it is one with who invites,
 * the Referred-By of the focus (RFC 3892). A user who brings such a field along gains nothing by it but the device.
 * @param set of the callee.
 */
export async function replacedSession(
  request: SipRequest,
  set: string,
  records: SessionRecords,
): Promise<SessionRecord | undefined> {
  const wanted = request.get('Session-Replaces');
  const inviter = canonical((request.addresses('Referred-By')[0] ?? request.from).uriText);
  if (wanted === undefined || inviter === undefined) return undefined;
  for await (const record of records.list(set)) {
    const users = [record.caller.user, record.callee.user].map(canonical);
    if (record.contributionId === wanted && users.includes(inviter)) return record;
  }
  return undefined;
}

/** Aims an invitation at the device that has the session (RFC 3841 §7.2.4), unless it names one already. */
export function aimAtDeviceOf({ caller, callee }: SessionRecord, request: SipRequest, set: string): void {
  const { device } = callee.set === set ? callee : caller;
  const gr = device === undefined ? undefined : parseUri(device).param('gr');
  if (gr) aimAtChosenDevice(request, { deliverTo: gr });
}

const canonical = (uri: string): string | undefined => orNone(() => parseAor(uri));
