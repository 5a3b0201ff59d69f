import { cpmServices } from '../identity/cpm-services.js';
import { featureSet, hasIcsi } from '../identity/feature-tags.js';
import { parsePreference, type Preference } from '../identity/caller-preferences.js';
import { splitList } from '../sip/message/lexer.js';
import { parseParams } from '../sip/message/lexer.js';
import type { SipRequest } from '../sip/message/message.js';

const sessions = [cpmServices.session, cpmServices.groupSession];

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
 * Whether an INVITE is a CPM Session Invitation: it carries the session's service identifier in P-Asserted-Service,
 * P-Preferred-Service (RFC 6050), Accept-Contact or Contact (3GPP TS 24.229 §7.2A.8), looked for in this order.
 */
export function isCpmInvitation(request: SipRequest): boolean {
  if (request.method !== 'INVITE') return false;
  for (const field of ['P-Asserted-Service', 'P-Preferred-Service']) {
    const services = request.headers.lines(field).flatMap(splitList);
    if (services.length > 0)
      return services.some((service) => (sessions as string[]).includes(service.toLowerCase()));
  }
  const tagged = (params: ReadonlyMap<string, string | null>): boolean => {
    const features = featureSet(params);
    return sessions.some((service) => hasIcsi(features, service));
  };
  return (
    request.headers
      .lines('Accept-Contact')
      .flatMap(splitList)
      .some(
        (value) => value.includes(';') && tagged(parseParams(value, value.indexOf(';'), 'Accept-Contact')),
      ) || request.contacts.some((contact) => tagged(contact.params))
  );
}

/** Only devices that registered the session service are rung for a CPM Session Invitation. */
export const sessionRequired: Preference = parsePreference([
  ['+g.3gpp.icsi-ref', `"${cpmServices.session.replaceAll(':', '%3A')}"`],
  ['require', null],
  ['explicit', null],
]);
