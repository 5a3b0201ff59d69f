import { readFileSync } from 'node:fs';
import type { Logger } from '../base/log.js';
import type { Config } from '../config/schema.js';
import { importUserProfile } from '../core/triggers/import-profile.js';
import { Profiles } from '../core/triggers/profiles.js';
import { parseUserProfile } from '../core/triggers/user-profile.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { Store } from '../store/store.js';

/**
 * The service profiles of the store, and those of the configuration, which wins over what the store has under their names.
 * @throws ParleyError `profile-invalid`, `profile-malformed` and what reading a file throws.
 */
export async function openProfiles(
  config: Config,
  parts: { store: Store; subscribers: Subscribers; log: Logger },
): Promise<Profiles> {
  const { store, subscribers, log } = parts;
  const profiles = await Profiles.open(store, log);
  await giveProfiles(config, profiles, { subscribers, log });
  return profiles;
}

/** Puts the profiles of the configuration into the store, and gives them to its subscribers. Throws as {@link openProfiles}. */
export async function giveProfiles(
  config: Config,
  profiles: Profiles,
  { subscribers, log }: { subscribers: Subscribers; log: Logger },
): Promise<void> {
  for (const profile of config.profiles) await profiles.put(profile);
  for (const { privateId, profile, imsSubscription } of config.subscribers) {
    const subscriber = await subscribers.get(privateId);
    if (!subscriber) continue;
    if (profile !== undefined)
      for (const { aor } of subscriber.identities) await subscribers.setProfile(privateId, aor, profile);
    if (imsSubscription !== undefined)
      await importUserProfile(parseUserProfile(readFileSync(imsSubscription)), subscriber, {
        profiles,
        subscribers,
      });
    if (profile !== undefined || imsSubscription !== undefined)
      log.info({ subscriber: privateId }, 'service profile of the configuration was given');
  }
}
