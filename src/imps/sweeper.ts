import type { Timer } from '../base/clock.js';
import type { Table } from '../store/store.js';
import { endedSessions } from './access/session-keeper.js';
import type { ImpsContext } from './context.js';
import { expireMessages } from './delivery/courier.js';
import { endSession } from './lifecycle.js';
import { deleteEmptyGroups } from './services/groups.js';
import { invitations } from './services/invitations.js';
import { searches } from './services/search.js';
import { concatenated, lettered } from './sms/parts.js';
import { attempts, challenges, replies, taken, userOutbox } from './state/records.js';

const EVERY_MS = 1000;
/** Records of each kind that one round takes. */
const BATCH = 500;

/** Tables whose records simply go when they are due. */
const passing: readonly Table<unknown>[] = [
  challenges,
  attempts,
  replies,
  searches,
  invitations,
  userOutbox,
  taken,
  endedSessions,
  concatenated,
  lettered,
];

/** Acts on deadlines, every second: sessions and messages end with consequences, the rest is forgotten. */
export class Sweeper {
  readonly #context: ImpsContext;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(context: ImpsContext) {
    this.#context = context;
  }

  start(): void {
    this.#timer = this.#context.clock.after(EVERY_MS, () => {
      this.#running = this.sweep()
        .catch((error: unknown) =>
          this.#context.log.error({ err: error }, 'IMPS deadlines could not be served'),
        )
        .finally(() => {
          if (!this.#closed) this.start();
        });
    });
  }

  /** One round. */
  async sweep(): Promise<void> {
    const context = this.#context;
    for (const session of await context.sessions.expired(BATCH)) await endSession(context, session, 600);
    await expireMessages(context, BATCH);
    await deleteEmptyGroups(context, BATCH);
    for (const table of passing) {
      for (const key of await context.store.due(table, context.clock.now(), BATCH)) {
        await context.store.update(table, key, () => ({ kind: 'remove', result: undefined }));
      }
    }
  }

  /** Ends after the round that runs. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }
}
