import type { Timer } from '../base/clock.js';
import type { Table } from '../store/store.js';
import { endedSessions } from './access/session-keeper.js';
import type { ImpsContext } from './context.js';
import { expireMessage } from './delivery/courier.js';
import { endSession } from './lifecycle.js';
import { deleteEmptyGroups } from './services/groups.js';
import { invitations } from './services/invitations.js';
import { searches } from './services/search.js';
import { systemMessages } from './services/system-messages.js';
import { concatenated, lettered } from './sms/parts.js';
import { attempts, challenges, replies, taken, userOutbox } from './state/records.js';

const EVERY_MS = 1000;
/** Records of each kind that are looked up at a time, those worked on at a time, and lookups of one round. */
const BATCH = 500;
const AT_ONCE = 50;
const LOOKUPS = 20;

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
  systemMessages,
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
    await context.outbox.remind();
    const { store, clock } = context;
    await this.#serve(
      (limit) => context.sessions.expired(limit),
      (session) => endSession(context, session, 600),
    );
    await this.#serve(
      (limit) => context.mailbox.expired(limit),
      ({ user, id }) => expireMessage(context, user, id),
    );
    await deleteEmptyGroups(context, BATCH);
    for (const table of passing) {
      await this.#serve(
        (limit) => store.due(table, clock.now(), limit),
        (key) => store.update(table, key, () => ({ kind: 'remove', result: undefined })),
      );
    }
  }

  /** Works on what is due until nothing is left. What fails is logged and holds up nothing but the rest of its kind. */
  async #serve<T>(
    due: (limit: number) => Promise<readonly T[]>,
    work: (item: T) => Promise<void>,
  ): Promise<void> {
    for (let lookup = 0; lookup < LOOKUPS && !this.#closed; lookup++) {
      const found = await due(BATCH);
      let failed = false;
      for (let at = 0; at < found.length; at += AT_ONCE) {
        const outcomes = await Promise.allSettled(found.slice(at, at + AT_ONCE).map(work));
        for (const outcome of outcomes) {
          if (outcome.status === 'fulfilled') continue;
          failed = true;
          this.#context.log.error({ err: outcome.reason as unknown }, 'an IMPS deadline could not be served');
        }
      }
      if (failed || found.length < BATCH) return;
    }
  }

  /** Ends after the round that runs. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }
}
