import { randomBytes } from 'node:crypto';

/** Milliseconds between two readings while there is traffic. */
const TICK_MS = 20;
/** A probe that is not back after so long was dropped, as the queue was full. */
const LOST_MS = 1_000;
const NONCE_BYTES = 12;

/** Octets of a probe: shorter than any SIP message or STUN header, longer than any keep-alive. */
export const PROBE_BYTES = NONCE_BYTES + 4;

/** A queue that a probe can stand in: a UDP socket that can send to itself. */
export interface ProbedQueue {
  sendToSelf(octets: Buffer): void;
}

/** What gets the readings, in milliseconds. @returns whether it wants more of them though no traffic comes. */
export type ReadingTaker = (delay: number) => boolean;

/**
 * Measures how long a request waits before it is looked at. When a datagram reached the kernel cannot be seen from
 * here, so one of our own stands in the same queue: its way from sendmsg through the socket's receive buffer to the event
 * loop takes as long as that of a request that came at the same time. The lateness of the timer shows what requests on
 * connections wait. Without traffic nothing is measured, and nothing wakes up.
 *
 * The timer is Node's own: the wheel of the clock would hide the lateness that is looked for.
 */
export class QueueMeter {
  readonly #now: () => number;
  readonly #onReading: ReadingTaker;
  readonly #probes: Probe[] = [];
  #timer: NodeJS.Timeout | undefined;
  #due = 0;
  #traffic = false;

  /** @param now monotonic milliseconds. */
  constructor(now: () => number, onReading: ReadingTaker) {
    this.#now = now;
    this.#onReading = onReading;
  }

  /** @returns what to call with every datagram of {@link PROBE_BYTES} octets that the socket received from itself. */
  watch(queue: ProbedQueue): (data: Buffer) => void {
    const probe = new Probe(queue);
    this.#probes.push(probe);
    return (data) => probe.received(data, this.#now());
  }

  /** Says that a message has come. */
  touch(): void {
    this.#traffic = true;
    if (!this.#timer) this.#schedule();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#probes.length = 0;
  }

  #schedule(): void {
    this.#due = this.#now() + TICK_MS;
    this.#timer = setTimeout(() => this.#tick(), TICK_MS).unref();
  }

  #tick(): void {
    const now = this.#now();
    let delay = Math.max(0, now - this.#due);
    for (const probe of this.#probes) delay = Math.max(delay, probe.delay(now));
    this.#timer = undefined;
    const goOn = this.#onReading(delay) || this.#traffic;
    this.#traffic = false;
    for (const probe of this.#probes) {
      if (goOn) probe.send(now);
      else probe.rest();
    }
    if (goOn) this.#schedule();
  }
}

class Probe {
  readonly #queue: ProbedQueue;
  readonly #nonce = randomBytes(NONCE_BYTES); // nobody else can send a datagram that is taken for the probe
  /** When the first of those was sent that have not come back. */
  #missingSince: number | undefined;
  #sentAt = 0;
  #last = 0;
  /** A socket whose probes never come back, because of a firewall, tells nothing. */
  #works = false;

  constructor(queue: ProbedQueue) {
    this.#queue = queue;
  }

  /** The delay of the last probe that came back, or the age of those that have not when that is more. */
  delay(now: number): number {
    return this.#works && this.#missingSince !== undefined
      ? Math.max(this.#last, now - this.#missingSince)
      : this.#last;
  }

  send(now: number): void {
    if (this.#missingSince !== undefined && now - this.#sentAt < LOST_MS) return;
    this.#missingSince ??= now;
    this.#sentAt = now;
    const octets = Buffer.alloc(PROBE_BYTES);
    this.#nonce.copy(octets);
    octets.writeUInt32BE(Math.trunc(now) >>> 0, NONCE_BYTES);
    this.#queue.sendToSelf(octets);
  }

  received(data: Buffer, now: number): void {
    if (data.compare(this.#nonce, 0, NONCE_BYTES, 0, NONCE_BYTES) !== 0) return;
    this.#works = true;
    const sentAt = data.readUInt32BE(NONCE_BYTES);
    this.#last = (Math.trunc(now) - sentAt) >>> 0;
    if (sentAt === Math.trunc(this.#sentAt) >>> 0) this.#missingSince = undefined;
  }

  /** Measuring stops: what was read will mean nothing when it starts again. */
  rest(): void {
    this.#missingSince = undefined;
    this.#last = 0;
  }
}
