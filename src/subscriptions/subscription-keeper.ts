import type { Timer } from '../base/clock.js';
import type { HeaderMap } from '../sip/message/headers.js';
import type { SavedSubscription, ServerRequest, ServerResponse, SipStack } from '../sip/stack.js';
import type { StoredRecord } from '../store/store.js';
import { KeptSubscription } from './kept-subscription.js';
import { Rows, type RowsOptions, type SubscriptionRow } from './rows.js';

export interface SubscriptionKeeperOptions extends RowsOptions {
  readonly stack: SipStack;
  /** Whether a process, by its name, runs and goes on with its subscriptions itself. */
  readonly isAlive: (node: string) => boolean;
}

export interface NewSubscription {
  readonly request: ServerRequest;
  readonly response: ServerResponse;
  /** What is watched. */
  readonly resource: string;
  readonly watcher: string;
  /** Seconds granted; 0 fetches the state once. */
  readonly expires: number;
  /** For the 200, beside Expires. */
  readonly headers?: HeaderMap;
}

const SWEEP_MS = 60_000;
const SWEEP_BATCH = 1_000;
/** Subscriptions that are taken over at once. */
const AT_ONCE = 256;

/**
 * The subscriptions to one event package that outlive the process (RFC 6665 §4.2): each is in the store before its SUBSCRIBE is
 * answered. After a restart, or when another node has died, its dialog goes on here.
 */
export class SubscriptionKeeper {
  readonly #options: SubscriptionKeeperOptions;
  readonly #rows: Rows;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: SubscriptionKeeperOptions) {
    this.#options = options;
    this.#rows = new Rows(options);
    this.#schedule();
  }

  /** Answers a SUBSCRIBE outside dialogs with 200, once it is committed. @throws ParleyError `store-unavailable`, `sip-*` */
  async accept(wanted: NewSubscription): Promise<KeptSubscription> {
    const { request, response, resource, watcher, expires, headers } = wanted;
    const beforeAnswer = async (saved: SavedSubscription): Promise<void> => {
      if (expires > 0) await this.#rows.add(resource, watcher, saved);
    };
    const dialog = await this.#options.stack.createUAS(request, response, {
      headers: { ...headers, Expires: expires },
      beforeAnswer,
    });
    return new KeptSubscription({ resource, watcher }, dialog, 0, this.#rows, expires > 0);
  }

  /** Those that nobody goes on with, taken over by this process. @param resource only those to it. */
  async *orphans(resource?: string): AsyncGenerator<KeptSubscription> {
    let found: StoredRecord<SubscriptionRow>[] = [];
    for await (const record of this.#rows.scan(resource)) {
      if (!this.#isOrphan(record.value)) continue;
      found.push(record);
      if (found.length < AT_ONCE) continue;
      yield* await this.#take(found);
      found = [];
    }
    yield* await this.#take(found);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #isOrphan({ node, dialog }: SubscriptionRow): boolean {
    const { node: own, isAlive, clock } = this.#options;
    return node !== own && !isAlive(node) && dialog.expiresAt > clock.now();
  }

  async #take(found: readonly StoredRecord<SubscriptionRow>[]): Promise<KeptSubscription[]> {
    const { stack } = this.#options;
    const rows = this.#rows;
    const taken = await Promise.all(found.map(({ key, value }) => rows.take(key, value.node)));
    return taken.flatMap((row) => {
      if (!row) return [];
      return [new KeptSubscription(row, stack.resumeSubscription(row.dialog), row.version, rows, true)];
    });
  }

  #schedule(): void {
    const { clock, log } = this.#options;
    this.#timer = clock.after(SWEEP_MS, () => {
      this.#rows
        .sweep(SWEEP_BATCH)
        .catch((error: unknown) => log.error({ err: error }, 'subscriptions of nobody stay in the store'))
        .finally(() => {
          if (!this.#closed) this.#schedule();
        });
    });
  }
}
