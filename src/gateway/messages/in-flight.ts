import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Aor } from '../../identity/aor.js';
import type { MessageRecord, StatusCode, UserId } from '../../imps/index.js';
import { table, type Store } from '../../store/store.js';

/** A message of a phone, and where it goes on the SIP side. */
export interface Outgoing {
  readonly message: MessageRecord;
  readonly recipient: UserId;
  readonly aor: Aor;
}

/** One that was accepted before the SIP side answered for it. */
interface PendingRecord extends Outgoing {
  /** Until then the process that has it on its way keeps it; of one that is done, how long it is remembered. */
  readonly until: number;
  /** What became of it; its content is gone then. */
  readonly status?: StatusCode | undefined;
}

export const pendingMessages = table<PendingRecord>('gateway-pending');

export interface InFlightOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Milliseconds that a phone waits for the answer of the SIP side. */
  readonly patienceMs: number;
  /** Messages on their way at once. */
  readonly limit: number;
  /** Sends it once. */
  attempt(message: Outgoing): Promise<StatusCode>;
  /** Has the sender told that an accepted message did not arrive; resolves when that cannot be lost. */
  failed(message: Outgoing, status: StatusCode): Promise<void>;
}

/** Longest time of one attempt: INVITE and non-INVITE transactions (RFC 3261 §17.1). After it another process may try. */
const LEASE_MS = 60_000;
/** How long before its end a lease is renewed. */
const RENEW_MS = 20_000;
/** How long a phone may repeat its request, as long as the IMPS server knows its answer again. */
const REMEMBER_MS = 600_000;
/** Messages of one user to one other that wait for each other. */
const IN_ORDER = 100;
/** Requests whose patience is kept in mind. */
const REQUESTS = 1_024;

/**
 * Messages of phones on their way to the SIP side. A phone waits only a short time for the answer: one that comes in time is the
 * answer to the phone; else the message is committed, the phone hears that it was accepted, and of its failure afterwards. What one user
 * sends to another arrives in order.
 */
export class InFlight {
  readonly #options: InFlightOptions;
  readonly #chains = new Map<string, { last: Promise<unknown>; length: number }>();
  /** Keys of what this process has on its way. */
  readonly #own = new Set<string>();
  /** When the patience of a request with several recipients ends. */
  readonly #patience = new Map<string, number>();
  #closed = false;

  constructor(options: InFlightOptions) {
    this.#options = options;
  }

  /** @returns the status of the SIP side; undefined when it is accepted, and its failure will be told; 503 and 507 when too much waits */
  async send(outgoing: Outgoing): Promise<StatusCode | undefined> {
    const key = keyOf(outgoing);
    if (await this.#options.store.get(pendingMessages, key)) return undefined;
    if (this.#own.size >= this.#options.limit) return 503;
    const attempt = this.#inOrder(outgoing);
    if (!attempt) return 507;
    this.#own.add(key);
    try {
      const status = await this.#within(attempt, outgoing.message.id);
      if (status === undefined) await this.#put(outgoing, LEASE_MS);
      if (status !== undefined) this.#own.delete(key);
      else this.#background(this.#settle(outgoing, attempt));
      return status;
    } catch (error) {
      this.#own.delete(key);
      throw error;
    }
  }

  /** The process stops: what has not arrived stays for the next one. */
  close(): void {
    this.#closed = true;
  }

  /**
   * Takes over what a process that ended left on its way.
   * @param alone whether no other process works on the store, so that everything is left over
   */
  async resume(limit: number, alone = false): Promise<void> {
    const { store, clock } = this.#options;
    const now = clock.now();
    for (const key of await store.due(pendingMessages, now + (alone ? LEASE_MS : RENEW_MS), limit)) {
      const found = await store.get(pendingMessages, key);
      if (!found) continue;
      const { status, until, ...outgoing } = found;
      if (status !== undefined) {
        if (until <= now) await this.#forget(key);
      } else if (this.#own.has(key)) await this.#put(outgoing, LEASE_MS);
      else if (await this.#takeOver(key, alone ? Infinity : now)) this.#again(outgoing, key);
    }
  }

  #again(outgoing: Outgoing, key: string): void {
    const attempt = this.#inOrder(outgoing);
    if (!attempt) return;
    this.#own.add(key);
    this.#background(this.#settle(outgoing, attempt));
  }

  async #settle(outgoing: Outgoing, attempt: Promise<StatusCode>): Promise<void> {
    try {
      const status = await attempt;
      // whoever comes after tries again what the end of this process cut short
      if (this.#closed && status !== 200) return;
      if (status !== 200) await this.#options.failed(outgoing, status);
      const message = { ...outgoing.message, content: '', contentBytes: undefined };
      await this.#put({ ...outgoing, message }, REMEMBER_MS, status);
    } finally {
      this.#own.delete(keyOf(outgoing));
    }
  }

  /** The status when it comes while the phone has patience; all recipients of one request share it. */
  #within(attempt: Promise<StatusCode>, request: string): Promise<StatusCode | undefined> {
    const { clock, patienceMs } = this.#options;
    const end = this.#patience.get(request) ?? clock.now() + patienceMs;
    this.#patience.set(request, end);
    if (this.#patience.size > REQUESTS) this.#patience.delete(this.#patience.keys().next().value!);
    return new Promise((resolve, reject) => {
      const timer = clock.after(end - clock.now(), () => resolve(undefined));
      attempt.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  /** After what the same user sent to the same address before; undefined when too much waits there. */
  #inOrder(outgoing: Outgoing): Promise<StatusCode> | undefined {
    const key = `${outgoing.message.sender.user ?? ''}\t${outgoing.aor}`;
    const chain = this.#chains.get(key) ?? { last: Promise.resolve(), length: 0 };
    if (chain.length >= IN_ORDER) return undefined;
    const attempt = chain.last.then(() => this.#options.attempt(outgoing));
    const last = attempt
      .catch(() => undefined)
      .finally(() => {
        chain.length--;
        if (chain.length === 0) this.#chains.delete(key);
      });
    chain.last = last;
    chain.length++;
    this.#chains.set(key, chain);
    return attempt;
  }

  /** One process alone gets a message whose time is over. */
  #takeOver(key: string, before: number): Promise<boolean> {
    const until = this.#options.clock.now() + LEASE_MS;
    return this.#options.store.update(pendingMessages, key, (current) =>
      current && current.status === undefined && current.until <= before
        ? { kind: 'put', value: { ...current, until }, deadline: until, result: true }
        : { kind: 'keep', result: false },
    );
  }

  #put(outgoing: Outgoing, ms: number, status?: StatusCode): Promise<void> {
    const until = this.#options.clock.now() + ms;
    return this.#options.store.update(pendingMessages, keyOf(outgoing), () => ({
      kind: 'put',
      value: { ...outgoing, until, ...(status === undefined ? {} : { status }) },
      deadline: until,
      result: undefined,
    }));
  }

  #forget(key: string): Promise<void> {
    return this.#options.store.update(pendingMessages, key, () => ({ kind: 'remove', result: undefined }));
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#options.log.error({ err: error }, 'a message of a phone is sent again later'),
    );
  }
}

const keyOf = ({ message, recipient }: Outgoing): string => `${message.id}\t${recipient}`;
