import { element, type Element } from '../../../src/imps/codec/element.js';
import { userId } from './world.js';

/** Alice's group, and the requests about it that tests make. */
export const groupName = 'wv:alice/chess@ims.test';
export const group = element('GroupID', groupName);

export const property = (name: string, value: string): Element =>
  element('Property', element('Name', name), element('Value', value));

export const properties = (given: Readonly<Record<string, string>>): Element =>
  element(
    'GroupProperties',
    Object.entries(given).map(([name, value]) => property(name, value)),
  );

export const creating = (
  given: Readonly<Record<string, string>> = {},
  ...more: readonly Element[]
): Element => element('CreateGroup-Request', group, properties(given), more);

export const screenName = (name: string): Element => element('ScreenName', element('SName', name), group);

export const joining = (...more: readonly Element[]): Element =>
  element(
    'JoinGroup-Request',
    group,
    more,
    element('JoinedRequest', true),
    element('SubscribeNotification', true),
  );

export const userIds = (...names: readonly string[]): Element =>
  element(
    'UserIDList',
    names.map((name) => element('UserID', userId(name))),
  );
