import type { UserId } from '../address/wv-address.js';
import type { Element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { askFor } from './presence-authorization.js';
import { presenceOf } from './presence-store.js';
import { isWatched, tellWatcher, watches } from './presence-subscriptions.js';

/** Presence of users of this server, for watchers of another system. */
export interface OutsidePresence {
  /** Attributes that the watcher may see; undefined while the owner has not decided, who is asked then. */
  ask(
    owner: UserId,
    watcher: UserId,
    attributes: readonly string[],
  ): Promise<ReadonlySet<string> | undefined>;
  /** Those attributes as a PresenceSubList. */
  read(owner: UserId, attributes: ReadonlySet<string>): Promise<Element>;
  /** Whether somebody of this server watches the user. */
  isWatched(user: UserId): Promise<boolean>;
  /** Whether that watcher does. */
  watches(user: UserId, watcher: UserId): Promise<boolean>;
  /** Tells one watcher what it may see of a user elsewhere, as a PresenceSubList. */
  tell(user: UserId, watcher: UserId, list: Element): Promise<void>;
}

export function outsidePresence(context: ImpsContext): OutsidePresence {
  return {
    ask: (owner, watcher, attributes) => askFor(context, owner, watcher, attributes),
    read: (owner, attributes) => presenceOf(context, owner, attributes, '1.2'),
    isWatched: (user) => isWatched(context, user),
    watches: (user, watcher) => watches(context, user, watcher),
    tell: (user, watcher, list) => tellWatcher(context, user, watcher, list),
  };
}
