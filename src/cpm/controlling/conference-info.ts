import { escapeXml } from '../../msrp/xml.js';
import type { Group } from './group.js';
import { shownAs, type Member } from './member.js';

export const CONFERENCE_INFO_TYPE = 'application/conference-info+xml';
const NAMESPACE = 'urn:ietf:params:xml:ns:conference-info';

/** Members that are shown: once out, a member is reported and then forgotten. */
export const isShown = (member: Member): boolean =>
  member.state === 'connected' || member.state === 'invited';

/**
 * Octets of the members in one document. With the rest of it, and 8 KiB of header fields, a NOTIFY then fits the largest datagram, which
 * is what a watcher without TCP gets in the end (RFC 3261 §18.1.1).
 */
const USERS_OCTETS = 56 * 1024;

/** Members as a document shows them. */
export interface ShownUsers {
  /** The `user` elements. */
  readonly elements: string;
  /** Who found no place any more. */
  readonly left: readonly Member[];
}

/** As many members as a document holds, each of them whole. @param self whose subscription it is. @param octets that there is room for. */
export function showUsers(members: readonly Member[], self: string, octets = USERS_OCTETS): ShownUsers {
  let elements = '';
  let size = 0;
  for (const [index, member] of members.entries()) {
    const element = user(member, self);
    size += Buffer.byteLength(element);
    if (size > octets && index > 0) return { elements, left: members.slice(index) };
    elements += element;
  }
  return { elements, left: [] };
}

/** Takes members out of what a subscriber has who were shown as disconnected before (RFC 4575 §5.6). */
export function takeOut(gone: readonly Member[]): string {
  return gone.map((member) => `<user entity="${escapeXml(shownAs(member))}" state="deleted"/>\r\n`).join('');
}

/**
 * The whole state (RFC 4575 §5.2), for the first NOTIFY of a subscription.
 * @param version of the subscription. @param users `user` elements.
 */
export function formatFullInfo(group: Group, version: number, users: string): string {
  return document(group, 'full', version, [
    description(group),
    conferenceState(group),
    `<users state="full">\r\n${users}</users>\r\n`,
  ]);
}

/** What changed since the version before (RFC 4575 §4.6). @param version likewise. @param users `user` elements of who did. */
export function formatPartialInfo(group: Group, version: number, users: string): string {
  return document(group, 'partial', version, [
    conferenceState(group),
    `<users state="partial">\r\n${users}</users>\r\n`,
  ]);
}

/** Clients take a document without `entity` and `state` on its root for broken, so both are always there. */
function document(group: Group, state: string, version: number, parts: readonly string[]): string {
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<conference-info xmlns="${NAMESPACE}" entity="${escapeXml(group.uri)}"` +
    ` state="${state}" version="${version}">\r\n${parts.join('')}</conference-info>`
  );
}

/** By `conf-uris` who reads it knows how to join (RFC 4575 §5.3.1). */
function description({ subject, maximum, uri }: Group): string {
  const text = subject === undefined ? '' : `<subject>${escapeXml(subject)}</subject>`;
  return (
    `<conference-description>${text}<conf-uris><entry><uri>${escapeXml(uri)}</uri><purpose>participation</purpose></entry>` +
    `</conf-uris><maximum-user-count>${maximum}</maximum-user-count></conference-description>\r\n`
  );
}

function conferenceState({ members }: Group): string {
  const count = members.filter((member) => member.state === 'connected').length;
  return (
    `<conference-state><user-count>${count}</user-count><active>${count > 0}</active>` +
    '<locked>false</locked></conference-state>\r\n'
  );
}

function user(member: Member, self: string): string {
  const own = member.identity === self ? ' yourown="true"' : '';
  const name =
    member.nickname === undefined ? '' : `<display-text>${escapeXml(member.nickname)}</display-text>`;
  return (
    `<user entity="${escapeXml(shownAs(member))}" state="full"${own}>${name}` +
    `<roles><entry>${member.role}</entry></roles>\r\n${endpoints(member)}</user>\r\n`
  );
}

const MEDIA = '<media id="1"><type>message</type><status>sendrecv</status></media>';

function endpoints(member: Member): string {
  if (member.state === 'connected')
    return member.endpoints
      .map(({ id, joining }) =>
        endpoint(id, `<status>connected</status><joining-method>${joining}</joining-method>${MEDIA}`),
      )
      .join('');
  const whole = escapeXml(shownAs(member));
  if (member.state === 'invited') return endpoint(whole, '<status>dialing-out</status>');
  const { method = 'departed', reason } = member.disconnection ?? {};
  const info =
    reason === undefined
      ? ''
      : `<disconnection-info><reason>Reason: ${escapeXml(reason)}</reason></disconnection-info>`;
  return endpoint(
    whole,
    `<status>disconnected</status><disconnection-method>${method}</disconnection-method>${info}`,
  );
}

function endpoint(entity: string, content: string): string {
  return `<endpoint entity="${entity}" state="full">${content}</endpoint>\r\n`;
}
