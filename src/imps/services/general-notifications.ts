import type { UserId } from '../address/wv-address.js';
import { child, element, textsOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { CspRefusal, status } from '../status.js';

/** Types of general notification of 1.3. */
export const notificationTypes = [
  'AC',
  'ANC',
  'AND',
  'ANU',
  'ATCL',
  'BLC',
  'BLUC',
  'CLC',
  'CLCR',
  'CLD',
  'EC',
  'GC',
  'GD',
  'GLC',
  'GLUC',
  'GMAU',
  'GMG',
  'GMR',
  'GMU',
  'GR',
  'IA',
  'IC',
  'IR',
  'OEU',
  'PPU',
  'SPA',
] as const;
export type NotificationType = (typeof notificationTypes)[number];

function typesOf(primitive: Element): string[] {
  const list = child(primitive, 'NotificationTypeList');
  if (!list) throw new CspRefusal(400, 'no NotificationTypeList');
  const types = textsOf(list, 'NotificationType').map((text) => text.trim());
  const unknown = types.find((type) => !notificationTypes.some((known) => known === type));
  if (unknown !== undefined) throw new CspRefusal(402, `notification type ${unknown.slice(0, 10)}`);
  return types;
}

export const subscribeNotification: Handler = async (context, { session, primitive }) => {
  const types = typesOf(primitive);
  await context.sessions.change(session.id, (current) => ({
    ...current,
    notifications: [...new Set([...current.notifications, ...types])],
  }));
  return status(200);
};

export const unsubscribeNotification: Handler = async (context, { session, primitive }) => {
  const types = typesOf(primitive);
  await context.sessions.change(session.id, (current) => ({
    ...current,
    notifications: current.notifications.filter((type) => !types.includes(type)),
  }));
  return status(200);
};

/**
 * Sends a Notification-Request to every session of a user that subscribed to its type.
 * @param data elements after NotificationType
 * @returns how many sessions were told
 */
export async function notifyTypes(
  context: ImpsContext,
  user: UserId,
  type: NotificationType,
  data: readonly (Element | undefined)[],
  options: { readonly except?: string } = {},
): Promise<number> {
  let told = 0;
  for (const session of await context.sessions.ofUser(user)) {
    if (session.id === options.except || session.version !== '1.3' || !session.notifications.includes(type))
      continue;
    await context.outbox.add(
      session.id,
      element('Notification-Request', element('NotificationType', type), data),
    );
    told++;
  }
  return told;
}
