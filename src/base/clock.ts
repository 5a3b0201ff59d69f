/**
 * Time as every part of Parley sees it: a reading in milliseconds and one-shot timers.
 *
 * All timers live in one hashed wheel (Varghese and Lauck, scheme 6), so that starting and cancelling
 * one costs the same however many run: a REGISTER at 20,000 a second leaves 640,000 of them behind
 * (Timer J of RFC 3261 §17.2.2). The real clock turns the wheel with one `setTimeout` until something may be due; a test turns it by hand.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. Never runs backwards within a process. */
  now(): number;
  /** Calls `fn` once, `ms` milliseconds from now at the earliest. Negative or zero means the next turn. */
  after(ms: number, fn: () => void): Timer;
}

/** A started timer. Cancelling one that has fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

const TICK_MS = 10;
const SLOTS = 4096;

class Entry implements Timer {
  next: Entry | undefined;
  previous: Entry | undefined;
  slot = -1;
  readonly dueTick: number;
  fn: (() => void) | undefined;
  readonly #wheel: Wheel;

  constructor(wheel: Wheel, dueTick: number, fn: () => void) {
    this.#wheel = wheel;
    this.dueTick = dueTick;
    this.fn = fn;
  }

  cancel(): void {
    if (this.fn === undefined) return;
    this.fn = undefined;
    this.#wheel.remove(this);
  }
}

/** The wheel itself: ticks of 10 ms, 4096 slots, doubly linked lists, timers beyond one turn wait more turns. */
class Wheel {
  readonly #slots: (Entry | undefined)[] = new Array<Entry | undefined>(SLOTS).fill(undefined);
  size = 0;
  tick: number;

  constructor(tick: number) {
    this.tick = tick;
  }

  add(dueTick: number, fn: () => void): Entry {
    const entry = new Entry(this, Math.max(dueTick, this.tick + 1), fn);
    const slot = entry.dueTick % SLOTS;
    const head = this.#slots[slot];
    entry.slot = slot;
    entry.next = head;
    if (head) head.previous = entry;
    this.#slots[slot] = entry;
    this.size++;
    return entry;
  }

  remove(entry: Entry): void {
    if (entry.slot < 0) return;
    if (entry.previous) entry.previous.next = entry.next;
    else this.#slots[entry.slot] = entry.next;
    if (entry.next) entry.next.previous = entry.previous;
    entry.slot = -1;
    entry.next = entry.previous = undefined;
    this.size--;
  }

  /** The first tick at which a timer may be due; those of later turns count too. There must be a timer. */
  nextTick(): number {
    let tick = this.tick + 1;
    while (!this.#slots[tick % SLOTS]) tick++;
    return tick;
  }

  /** Fires everything due up to and including `tick`, in order of ticks, oldest start first within a tick. */
  advanceTo(tick: number, onError: (error: unknown) => void): void {
    while (this.tick < tick) {
      if (this.size === 0) {
        this.tick = tick;
        return;
      }
      this.tick++;
      const head = this.#slots[this.tick % SLOTS];
      if (!head) continue;
      const due: Entry[] = [];
      for (let entry: Entry | undefined = head; entry; entry = entry.next) {
        if (entry.dueTick <= this.tick) due.push(entry);
      }
      for (let i = due.length - 1; i >= 0; i--) {
        const entry = due[i]!;
        const fn = entry.fn;
        if (!fn) continue; // cancelled by one that fired before it in this tick
        entry.fn = undefined;
        this.remove(entry);
        try {
          fn();
        } catch (error) {
          onError(error);
        }
      }
    }
  }
}

/** The clock of a running server. */
export class SystemClock implements Clock {
  readonly #wheel = new Wheel(0);
  readonly #startedAt = Date.now();
  readonly #origin = performance.now();
  readonly #onError: (error: unknown) => void;
  #driver: NodeJS.Timeout | undefined;
  /** When the driver turns the wheel. */
  #wakeTick = Infinity;

  /** @param onError gets what a timer's function throws; the other timers go on. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  now(): number {
    return this.#startedAt + Math.trunc(performance.now() - this.#origin);
  }

  after(ms: number, fn: () => void): Timer {
    const elapsed = performance.now() - this.#origin;
    if (this.#wheel.size === 0) this.#wheel.tick = Math.trunc(elapsed / TICK_MS);
    const timer = this.#wheel.add(Math.ceil((elapsed + Math.max(0, ms)) / TICK_MS), fn);
    if (timer.dueTick < this.#wakeTick) this.#wakeAt(timer.dueTick);
    return timer;
  }

  /** Stops turning the wheel; timers that run are dropped. */
  close(): void {
    clearTimeout(this.#driver);
    this.#wakeTick = Infinity;
  }

  #currentTick(): number {
    return Math.trunc((performance.now() - this.#origin) / TICK_MS);
  }

  #wakeAt(tick: number): void {
    clearTimeout(this.#driver);
    this.#wakeTick = tick;
    const ms = tick * TICK_MS - (performance.now() - this.#origin);
    // unref: a waiting Timer J must not keep a drained process alive
    this.#driver = setTimeout(this.#turn, Math.ceil(ms)).unref();
  }

  readonly #turn = (): void => {
    this.#wheel.advanceTo(this.#currentTick(), this.#onError);
    this.#wakeTick = Infinity;
    if (this.#wheel.size > 0) this.#wakeAt(this.#wheel.nextTick());
  };
}

/** A clock that stands still until it is moved: tests pass through 64·T1 without waiting. */
export class VirtualClock implements Clock {
  readonly #wheel: Wheel;
  #now: number;

  /** @param startAt milliseconds since the epoch. */
  constructor(startAt = Date.UTC(2026, 0, 1)) {
    this.#now = startAt;
    this.#wheel = new Wheel(Math.trunc(startAt / TICK_MS));
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#wheel.size;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, fn: () => void): Timer {
    return this.#wheel.add(Math.ceil((this.#now + Math.max(0, ms)) / TICK_MS), fn);
  }

  /** Moves time forward tick by tick, firing what falls due; a throwing timer fails the test that moved time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    const rethrow = (error: unknown): never => {
      throw error;
    };
    while (this.#now < end) {
      this.#now = Math.min(end, (Math.trunc(this.#now / TICK_MS) + 1) * TICK_MS);
      this.#wheel.advanceTo(Math.trunc(this.#now / TICK_MS), rethrow);
    }
  }

  /** Like {@link advance}, but lets promises settle after every tick that fired something. */
  async advanceAsync(ms: number, stepMs = TICK_MS): Promise<void> {
    const end = this.#now + ms;
    while (this.#now < end) {
      this.advance(Math.min(stepMs, end - this.#now));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}
