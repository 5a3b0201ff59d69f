import { parsePreference, type Preference } from '../identity/caller-preferences.js';
import { cpmService, cpmServices, type CpmService } from '../identity/cpm-services.js';
import { featureSet, hasIcsi, referenceValue } from '../identity/feature-tags.js';
import { parseParams, splitList } from '../sip/message/lexer.js';
import type { SipRequest } from '../sip/message/message.js';

/** What RFC 3841 finds in the values of Accept-Contact or Reject-Contact; `*` precedes the parameters. */
export function preferences(request: SipRequest, field: 'Accept-Contact' | 'Reject-Contact'): Preference[] {
  return request.headers
    .lines(field)
    .flatMap(splitList)
    .map((value) =>
      parsePreference(parseParams(value, value.indexOf(';') < 0 ? value.length : value.indexOf(';'), field)),
    );
}

/**
 * The CPM service that a request asks for: what P-Asserted-Service names, else P-Preferred-Service (RFC 6050), else the feature
 * tags of Accept-Contact, else those of Contact (3GPP TS 24.229 §7.2A.8). Of several in one place the most special one counts.
 * @returns undefined when none is named, or when the first place that names any names none of CPM.
 */
export function cpmServiceOf(request: SipRequest): CpmService | undefined {
  for (const field of ['P-Asserted-Service', 'P-Preferred-Service']) {
    const named = request.headers.lines(field).flatMap(splitList);
    if (named.length > 0) return named.map(cpmService).find((service) => service !== undefined);
  }
  return (
    acceptedService(request, bySpeciality) ??
    request.contacts
      .map(({ params }) => serviceTagged(params, bySpeciality))
      .find((service) => service !== undefined)
  );
}

/** The first of these services that the first value of Accept-Contact with any of them names. */
function acceptedService(request: SipRequest, services: readonly CpmService[]): CpmService | undefined {
  for (const value of request.headers.lines('Accept-Contact').flatMap(splitList)) {
    const start = value.indexOf(';');
    const service =
      start < 0 ? undefined : serviceTagged(parseParams(value, start, 'Accept-Contact'), services);
    if (service !== undefined) return service;
  }
  return undefined;
}

function serviceTagged(
  params: ReadonlyMap<string, string | null>,
  services: readonly CpmService[],
): CpmService | undefined {
  const features = featureSet(params);
  return services.find((service) => hasIcsi(features, service));
}

/** A Contact lists everything that its device can do; a request for more than a message is told by the rarer service. */
const bySpeciality: readonly CpmService[] = [
  cpmServices.session,
  cpmServices.groupSession,
  cpmServices.largeMessage,
  cpmServices.largeMessageToGroup,
  cpmServices.fileTransfer,
  cpmServices.fileTransferToGroup,
  cpmServices.deferred,
  cpmServices.message,
  cpmServices.messageToGroup,
  cpmServices.systemMessage,
];

/** Invitations that devices show by their service, and the service that a device must have registered for each. */
const invitations: ReadonlyMap<CpmService, CpmService> = new Map([
  [cpmServices.session, cpmServices.session],
  [cpmServices.groupSession, cpmServices.session],
  [cpmServices.largeMessage, cpmServices.largeMessage],
  [cpmServices.largeMessageToGroup, cpmServices.largeMessage],
  [cpmServices.fileTransfer, cpmServices.fileTransfer],
  [cpmServices.fileTransferToGroup, cpmServices.fileTransfer],
]);

/** The service that a device must have for an INVITE; undefined when the INVITE, or request, is no CPM invitation. */
export function invitedService(request: SipRequest): CpmService | undefined {
  if (request.method !== 'INVITE') return undefined;
  const service = cpmServiceOf(request);
  return service === undefined ? undefined : invitations.get(service);
}

/**
 * Whether a request is a standalone message in pager mode: so marked by P-Asserted-Service, else by P-Preferred-Service, else by
 * Accept-Contact, or a message/cpim that nobody marked. Contact has no say: a MESSAGE should have none (RFC 3428 §4).
 */
export function isPagerMessage(request: SipRequest): boolean {
  if (request.method !== 'MESSAGE') return false;
  for (const field of ['P-Asserted-Service', 'P-Preferred-Service']) {
    const services = request.headers.lines(field).flatMap(splitList);
    if (services.length > 0) return services.some((service) => cpmService(service) === cpmServices.message);
  }
  return isCpim(request) || acceptedService(request, [cpmServices.message]) !== undefined;
}

/** Whether the body of a request is a message/cpim (RFC 3862). */
export const isCpim = (request: SipRequest): boolean =>
  /^\s*message\/cpim\s*(?:;|$)/i.test(request.get('Content-Type') ?? '');

const required = new Map<CpmService, Preference>();

/** Only devices that registered the service are rung for an invitation to it. */
export function serviceRequired(service: CpmService): Preference {
  let preference = required.get(service);
  if (preference === undefined) {
    preference = parsePreference([
      ['+g.3gpp.icsi-ref', `"${referenceValue([service])}"`],
      ['require', null],
      ['explicit', null],
    ]);
    required.set(service, preference);
  }
  return preference;
}
