import type { Timer } from '../base/clock.js';
import type { Dialog } from '../sip/stack.js';
import type { WatchedUser } from './watched-user.js';

/** One user, and the dialog in which the core tells of it; without one at nodes that only know what another one is told. */
export class Watch {
  readonly key: string;
  user: WatchedUser;
  dialog: Dialog | undefined;
  /** Waits for its turn, or a SUBSCRIBE is on its way. */
  subscribing = false;
  /** The core says that nothing is registered any more. */
  ending = false;
  /** When the core said last that the user is registered. */
  heardAt = -Infinity;
  /** SUBSCRIBEs that failed one after the other. */
  failures = 0;
  retry: Timer | undefined;

  constructor(key: string, user: WatchedUser) {
    this.key = key;
    this.user = user;
  }
}
