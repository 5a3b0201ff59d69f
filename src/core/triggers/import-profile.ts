import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import { isWildcard, parseWildcard } from '../../identity/wildcard.js';
import type { Subscriber, Subscribers } from '../../registrar/subscribers.js';
import '../errors.js';
import type { FilterCriterion } from './criteria.js';
import type { Profiles } from './profiles.js';
import type { UserProfile } from './user-profile.js';

/** The profile whose criteria a shared set of an HSS stands for (3GPP TS 29.228 §6.7). */
const sharedProfile = (set: number): string => `shared-ifc-${set}`;

/**
 * Gives the identities of a subscriber the criteria of an `IMSSubscription`; identities that it does not name get the default profile. Shared
 * sets of criteria are the profiles `shared-ifc-NUMBER`, as they are now.
 * @throws ParleyError `profile-invalid` when it is somebody else's, names identities that the subscriber has not, bars one that is not barred, has
 * aliases with different profiles or in different implicit sets, or a shared set that is not here.
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
  const aliases = new Map<string, string>();
  const setOf = (aor: string): number =>
    subscriber.implicitSets.findIndex((set) => set.some((member) => member === aor));
  serviceProfiles.forEach(({ identities }, index) => {
    for (const { uri, barred, aliasGroup } of identities) {
      const aor = isWildcard(uri) ? parseWildcard(uri).uri : parseAor(uri);
      if (own.get(aor) !== barred)
        throw new ParleyError(
          'profile-invalid',
          `${aor} is not an identity of the subscriber, barred or not as given`,
        );
      given.set(aor, index);
      if (aliasGroup === undefined) continue;
      const alias = aliases.get(aliasGroup) ?? aor;
      aliases.set(aliasGroup, alias);
      if (given.get(alias) !== index || setOf(alias) !== setOf(aor))
        throw new ParleyError(
          'profile-invalid',
          `${alias} and ${aor} are aliases, and not in one implicit set with one service profile`,
        );
    }
  });
  const names = await Promise.all(
    serviceProfiles.map(async ({ criteria, sharedSets = [] }) =>
      profiles.putUnnamed([...criteria, ...(await criteriaOf(sharedSets, profiles))]),
    ),
  );
  for (const aor of own.keys()) {
    const index = given.get(aor);
    await subscribers.setProfile(privateId, aor, index === undefined ? undefined : names[index]);
  }
}

async function criteriaOf(sets: readonly number[], profiles: Profiles): Promise<readonly FilterCriterion[]> {
  const found = await Promise.all(sets.map((set) => profiles.get(sharedProfile(set))));
  return found.flatMap((profile, index) => {
    if (profile) return profile.criteria;
    throw new ParleyError('profile-invalid', `no profile ${sharedProfile(sets[index]!)} for SharedIFCSetID`);
  });
}
