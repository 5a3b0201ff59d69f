import { isIP } from 'node:net';
import { numberOfUser } from '../access/telephone.js';
import type { UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import { clients, keyOf, type ClientRecord } from '../state/records.js';

/** The only text of an offline notification (document 002 §9). */
const TEXT = 'WVON 1.3 Offline-Message-Notification';

/**
 * Tells the clients of a user who is not logged in that messages wait: one notification a client, until it logs in or
 * the operator's time for another is over. Only a client that negotiated a bearer and has an address is told, and
 * nobody who is let in no more or not yet.
 */
export async function notifyOffline(context: ImpsContext, user: UserId): Promise<void> {
  const { enabled, repeatAfter } = context.config.offlineNotification;
  if (!enabled || context.ports.pagers.length === 0) return;
  if ((await context.ports.users.find(user))?.state !== 'active') return;
  const now = context.clock.now();
  for await (const { key, value } of context.store.scan(clients, { prefix: keyOf(user, '') })) {
    if (value.notifiedAt !== undefined && now < value.notifiedAt + repeatAfter * 1000) continue;
    const sent = await page(context, user, value);
    if (!sent) continue;
    await context.store.update(clients, key, (current) =>
      current
        ? { kind: 'put', value: { ...current, notifiedAt: now }, result: undefined }
        : { kind: 'keep', result: undefined },
    );
  }
}

async function page(context: ImpsContext, user: UserId, client: ClientRecord): Promise<boolean> {
  const { remoteAddress: ip } = client;
  const msisdn = client.msisdn ?? (await numberOfUser(context, user));
  for (const bearer of client.offlineBearers) {
    const pager = context.ports.pagers.find(({ methods }) => methods.includes(bearer));
    const reachable = bearer === 'WAPUDP' ? isIP(ip ?? '') !== 0 : msisdn !== undefined;
    if (!pager || !reachable) continue;
    const taken = await pager.page(bearer, { msisdn, ip }, TEXT);
    context.trail.record({
      code: 'imps.offline-notification',
      outcome: taken ? 'accepted' : 'refused',
      clause: 'document 002 §9',
      subject: user,
      detail: bearer,
    });
    if (taken) return true;
  }
  return false;
}
