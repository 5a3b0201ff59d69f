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
  /** SUBSCRIBEs one after the other that failed, or made a subscription that was over at once. */
  failures = 0;
  retry: Timer | undefined;
  /** When the core accepted the subscription. */
  acceptedAt = -Infinity;
  /** When its last document came. */
  documentAt = -Infinity;
  /** Waits for the document that follows a REGISTER. */
  expected: Timer | undefined;
  /** Times one after the other that everything was asked for, because of documents that do not follow the last. */
  gaps = 0;
  /** Of those that the core refused or did not answer: it could bring nothing in them. */
  refused = 0;
  /** A refresh for that is on its way, or waits. */
  asking: Timer | undefined;

  constructor(key: string, user: WatchedUser) {
    this.key = key;
    this.user = user;
  }

  /** Nothing more is asked in the dialog. */
  rest(): void {
    this.retry?.cancel();
    this.expected?.cancel();
    this.asking?.cancel();
    this.expected = this.asking = undefined;
    this.gaps = this.refused = 0;
  }
}
