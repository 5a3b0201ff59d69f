import type { ClientId } from '../address/client-id.js';
import { userPartOf, type UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';

/** What a client claims as its number in its Client-ID, if it is one; nothing else is written to. */
export const claimedNumber = ({ msisdn }: ClientId): string | undefined =>
  msisdn !== undefined && /^\+?\d{5,15}$/.test(msisdn) ? msisdn : undefined;

/**
 * Telephone number of a user whose client told none: the provisioned one, or the one that is the user's address. The
 * server must be able to obtain it where it is required (document 002 §8.1.1).
 */
export async function numberOfUser(context: ImpsContext, user: UserId): Promise<string | undefined> {
  const { msisdn } = (await context.ports.users.find(user)) ?? {};
  return msisdn ?? /^\+\d{5,15}$/.exec(userPartOf(user))?.[0];
}
