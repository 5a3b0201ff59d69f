import { clientIdElement } from '../address/client-id.js';
import { formatDateTime } from '../codec/date-time.js';
import { element, type Element } from '../codec/element.js';
import type { MessageRecord, Party } from '../state/records.js';
import type { CspVersion } from '../vocabulary/versions.js';

/** User, Group or Group with ScreenName of a party. */
export function partyElement(party: Party, version: CspVersion): Element {
  if (party.group !== undefined) {
    return element(
      'Group',
      party.screenName === undefined
        ? element('GroupID', party.group)
        : element('ScreenName', element('SName', party.screenName), element('GroupID', party.group)),
    );
  }
  return element(
    'User',
    element('UserID', party.user ?? ''),
    party.clientId
      ? clientIdElement(party.clientId)
      : party.applicationId !== undefined && version === '1.3'
        ? element('ApplicationID', party.applicationId)
        : undefined,
  );
}

/** MessageInfo as a recipient or a list sees it; the order is that of the content model. */
export function messageInfo(message: MessageRecord, version: CspVersion, now: number): Element {
  const is13 = version === '1.3';
  return element(
    'MessageInfo',
    element('MessageID', message.id),
    element('ContentType', message.contentType),
    message.contentEncoding === 'None' ? undefined : element('ContentEncoding', message.contentEncoding),
    element('ContentSize', message.contentSize),
    is13 && message.contentName !== undefined ? element('ContentName', message.contentName) : undefined,
    element('Recipient', partyElement(message.recipient, version)),
    element('Sender', partyElement(message.sender, version)),
    element('DateTime', formatDateTime(message.sentAt)),
    is13 ? message.font : undefined,
    element('Validity', Math.max(1, Math.ceil((message.expiresAt - now) / 1000))),
  );
}

/** ContentData of a message. */
export const contentData = (message: MessageRecord): Element =>
  message.contentBytes === undefined
    ? element('ContentData', message.content)
    : { ...element('ContentData'), bytes: message.contentBytes };
