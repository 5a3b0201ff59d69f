import { child, element, textOf, type Element } from '../../src/imps/codec/element.js';
import type { Phone } from '../imps/tools/phone.js';
import { until } from './world.js';

/** The next primitive of a name, with a text in it, that the server sends to a phone; all are acknowledged. */
export const next = (phone: Phone, name: string, text = ''): Promise<Element> =>
  until(async () =>
    (await phone.drain()).find(
      (primitive) => primitive.name === name && JSON.stringify(primitive).includes(text),
    ),
  );

/** CreateGroup named Picnic, which its creator joins as Alice. */
export const createGroup = (group: string): Element =>
  element(
    'CreateGroup-Request',
    element('GroupID', group),
    element('GroupProperties', element('Property', element('Name', 'Name'), element('Value', 'Picnic'))),
    element('JoinGroup', true),
    element('ScreenName', element('SName', 'Alice'), element('GroupID', group)),
    element('SubscribeNotification', true),
  );
/** Invite of users to a group. */
export const inviteTo = (group: string, id: string, ...users: readonly string[]): Element =>
  element(
    'Invite-Request',
    element('InviteID', id),
    element('InviteType', 'GR'),
    element(
      'Recipient',
      users.map((user) => element('User', element('UserID', user))),
    ),
    element('GroupID', group),
  );
/** JoinGroup with a screen name. */
export const joinGroup = (group: string, screenName: string): Element =>
  element(
    'JoinGroup-Request',
    element('GroupID', group),
    element('ScreenName', element('SName', screenName), element('GroupID', group)),
    element('JoinedRequest', true),
    element('SubscribeNotification', true),
  );
/** SendMessage of text to a group or somebody in it. */
export const toGroup = (text: string, recipient: Element, report = false): Element =>
  element(
    'SendMessage-Request',
    element('DeliveryReport', report),
    element(
      'MessageInfo',
      element('ContentType', 'text/plain'),
      element('ContentSize', text.length),
      element('Recipient', recipient),
    ),
    element('ContentData', text),
  );
export const everybody = (group: string): Element => element('Group', element('GroupID', group));
export const privately = (group: string, name: string): Element =>
  element('Group', element('ScreenName', element('SName', name), element('GroupID', group)));
/** The screen name of who sent a message of a group. */
export const sname = (primitive: Element): string | undefined => {
  const group = child(child(child(primitive, 'MessageInfo'), 'Sender'), 'Group');
  return textOf(child(group, 'ScreenName'), 'SName');
};
