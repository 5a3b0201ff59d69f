import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import { isWildcard, parseWildcard } from '../../identity/wildcard.js';
import type { Subscriber, Subscribers } from '../../registrar/subscribers.js';
import '../errors.js';
import type { Profiles } from './profiles.js';
import type { UserProfile } from './user-profile.js';

/**
 * Gives the identities of a subscriber the criteria of an `IMSSubscription`; identities that it does not name get the default profile.
 * @throws ParleyError `profile-invalid` when it is somebody else's, names identities that the subscriber has not, or bars one that is not barred.
 */
export async function importUserProfile(
  { privateId, serviceProfiles }: UserProfile,
  subscriber: Subscriber,
  { profiles, subscribers }: { profiles: Profiles; subscribers: Subscribers },
): Promise<void> {
  if (privateId !== subscriber.privateId)
    throw new ParleyError('profile-invalid', 'PrivateID of somebody else');
  const own = new Map<string, boolean>(subscriber.identities.map(({ aor, barred = false }) => [aor, barred]));
  for (const uri of subscriber.wildcards ?? []) own.set(uri, false);
  const given = new Map<string, number>();
  serviceProfiles.forEach(({ identities }, index) => {
    for (const { uri, barred } of identities) {
      const aor = isWildcard(uri) ? parseWildcard(uri).uri : parseAor(uri);
      if (own.get(aor) !== barred)
        throw new ParleyError(
          'profile-invalid',
          `${aor} is not an identity of the subscriber, barred or not as given`,
        );
      given.set(aor, index);
    }
  });
  const names = await Promise.all(serviceProfiles.map(({ criteria }) => profiles.putUnnamed(criteria)));
  for (const aor of own.keys()) {
    const index = given.get(aor);
    await subscribers.setProfile(privateId, aor, index === undefined ? undefined : names[index]);
  }
}
