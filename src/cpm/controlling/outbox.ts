import type { Clock, Timer } from '../../base/clock.js';
import type { GroupMessage, MediaSession } from './media.js';
import type { LogEntry, MessageLog } from './message-log.js';

/** Octets, and messages, that may be under way to one session. */
const WINDOW_OCTETS = 256 * 1024;
const WINDOW_MESSAGES = 32;
/** Of what is only of use now, at a time: a member that does not answer gets no more of it. */
const MOST_PASSING = 8;
/** When a connected peer that did not answer is tried again, milliseconds: longer each time in a row, up to the last. */
const TRY_AGAIN_MS = [2_000, 10_000, 60_000] as const;

export interface OutboxOptions {
  readonly identity: string;
  readonly endpoint: string;
  readonly media: MediaSession;
  readonly log: MessageLog;
  readonly clock: Clock;
  /** Gets what the peer will never take. */
  onRefused(entry: LogEntry, status: number): void;
  /** Whether another session of the member has still to answer for a message. */
  isElsewhere(entry: LogEntry): boolean;
}

/**
 * What goes to one session, in order. A session that takes nothing holds up nobody: what waits is in the log, and only what is under way
 * is in memory.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  /** Not yet answered for, in order; the first {@link #sent} are under way. */
  readonly #queue: LogEntry[] = [];
  #sent = 0;
  #octets = 0;
  /** The peer takes nothing until it gives a sign of life or is tried again. */
  #stalled: boolean;
  /** Times in a row that the peer did not answer. */
  #unanswered = 0;
  #retry: Timer | undefined;
  /** A run of sending that was lost leaves answers behind that mean nothing any more. */
  #run = 0;
  #reading = false;
  #closed = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#stalled = !options.media.connected;
    options.media.onConnected(() => this.resume());
  }

  get identity(): string {
    return this.#options.identity;
  }

  get endpoint(): string {
    return this.#options.endpoint;
  }

  get media(): MediaSession {
    return this.#options.media;
  }

  /** Messages under way that nobody waits for. */
  #passing = 0;

  /** Messages that are not answered for. */
  get length(): number {
    return this.#queue.length;
  }

  /** Whether a message has still to be answered for. */
  has(entry: LogEntry): boolean {
    return this.#queue.includes(entry);
  }

  add(entry: LogEntry): void {
    entry.queued++;
    this.#queue.push(entry);
  }

  /** What is only of use now: not sent to who is behind, and not kept. */
  transient(message: GroupMessage): void {
    if (this.#stalled || this.#closed || this.#queue.length > this.#sent || this.#passing >= MOST_PASSING)
      return;
    this.#passing++;
    void this.media.send(message).finally(() => this.#passing--);
  }

  /** The peer is there again. */
  resume(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#stalled = false;
    this.pump();
  }

  /** Sends what can be sent now. */
  pump(): void {
    while (!this.#stalled && !this.#closed && !this.#reading) {
      const entry = this.#queue[this.#sent];
      if (!entry || this.#sent >= WINDOW_MESSAGES || (this.#octets >= WINDOW_OCTETS && this.#sent > 0))
        return;
      if (entry.gone) {
        this.#queue.splice(this.#sent, 1);
        entry.queued--;
        continue;
      }
      // it would overtake one that is being stored
      if (!entry.committed) return;
      const refusal = this.#refusalOf(entry);
      if (refusal !== undefined) {
        this.#queue.splice(this.#sent, 1);
        this.#settled(entry, refusal);
        continue;
      }
      const message = this.#options.log.read(entry);
      if (message instanceof Promise) {
        this.#reading = true;
        void this.#sendWhenRead(entry, message);
        return;
      }
      if (message) this.#send(entry, message);
    }
  }

  /** Nothing goes there any more; what it has not answered for waits on for its member. */
  close(): void {
    this.#closed = true;
    this.#run++;
    this.#retry?.cancel();
    for (const entry of this.#queue.splice(0)) {
      entry.queued--;
      this.#options.log.settle(entry);
    }
  }

  /** The status of what is not sent to this session, for which others of its member may be there. */
  #refusalOf(entry: LogEntry): number | undefined {
    if (entry.private && !this.media.privateMessages) return 428;
    return this.media.accepts(entry.wrapped) ? undefined : 415;
  }

  async #sendWhenRead(entry: LogEntry, reading: Promise<GroupMessage | undefined>): Promise<void> {
    try {
      const message = await reading;
      this.#reading = false;
      if (message && entry === this.#queue[this.#sent] && !this.#stalled && !this.#closed)
        this.#send(entry, message);
    } catch {
      // the store cannot be read now
      this.#reading = false;
      this.#lost();
    }
    this.pump();
  }

  #send(entry: LogEntry, message: GroupMessage): void {
    const run = this.#run;
    this.#sent++;
    this.#octets += entry.size;
    void this.media.send(message).then((status) => {
      if (run !== this.#run) return;
      if (status === 408 || status === 481 || status === 506) {
        this.#lost();
        return;
      }
      this.#unanswered = 0;
      this.#sent--;
      this.#octets -= entry.size;
      this.#queue.splice(this.#queue.indexOf(entry), 1);
      this.#settled(entry, status);
      this.pump();
    });
  }

  #settled(entry: LogEntry, status: number): void {
    entry.queued--;
    const { log } = this.#options;
    const isWanted = entry.waiting.has(this.identity);
    // what one device does not take, another one of the member may
    if (status === 200 || !this.#options.isElsewhere(entry)) {
      if (status !== 200 && isWanted) this.#options.onRefused(entry, status);
      log.done(entry, this.identity);
    }
    log.settle(entry);
  }

  /** Nothing gets through now: what is under way is sent again when the peer has connected, has said something, or after a while. */
  #lost(): void {
    this.#run++;
    this.#sent = 0;
    this.#octets = 0;
    this.#stalled = true;
    if (this.#closed || !this.media.connected) return;
    const wait = TRY_AGAIN_MS[Math.min(this.#unanswered++, TRY_AGAIN_MS.length - 1)]!;
    this.#retry?.cancel();
    this.#retry = this.#options.clock.after(wait, () => this.resume());
  }
}
