import { TrailRing } from './trail-ring.js';

/**
 * The decision trail: every accept and every refusal is one event with a stable code and the clause it
 * rests on. The counters of `/metrics`, the log, the API and the `parley` command all come from the same call.
 */
export type Outcome = 'accepted' | 'refused' | 'noted';

/** What a decision was about. Values are already free of secrets; a full IMEI appears only at debug level. */
export interface TrailEvent {
  /** Stable, dotted: `register.binding-stored`, `core.gruu-not-registered`. */
  readonly code: string;
  readonly outcome: Outcome;
  /** The clause the decision rests on: `RFC 5627 §6.1`. */
  readonly clause: string;
  /** Whom it concerns: an address of record, a group identity, an IMPS user. */
  readonly subject?: string | undefined;
  /** Call-ID or transaction identifier that ties several events together. */
  readonly trace?: string | undefined;
  readonly detail?: string | undefined;
}

/** An event as kept, with its time (milliseconds since the epoch) and a number that only grows. */
export interface RecordedEvent extends TrailEvent {
  readonly sequence: number;
  readonly at: number;
}

export interface Trail {
  record(event: TrailEvent): void;
}

interface Listener {
  readonly hear: (event: RecordedEvent) => void;
  readonly wants: (event: TrailEvent) => boolean;
}

/** Keeps the newest events in a ring, counts all of them by code, and hands each to the listeners. */
export class MemoryTrail implements Trail {
  readonly #counts = new Map<string, number>();
  readonly #listeners = new Set<Listener>();
  readonly #now: () => number;
  readonly #ring: TrailRing;
  #sequence = 0;

  /** @param capacity how many events are kept; older ones are only counted. */
  constructor(now: () => number, capacity = 10_000) {
    this.#now = now;
    this.#ring = new TrailRing(capacity);
  }

  record(event: TrailEvent): void {
    this.#counts.set(event.code, (this.#counts.get(event.code) ?? 0) + 1);
    const sequence = this.#sequence++;
    this.#ring.put(sequence, this.#now(), event);
    let recorded: RecordedEvent | undefined;
    for (const { hear, wants } of this.#listeners)
      if (wants(event)) hear((recorded ??= this.#ring.get(sequence)));
  }

  /** How often each code was recorded since start. */
  counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** The newest events that match, newest first. */
  recent(filter: { subject?: string; trace?: string; code?: string; limit?: number } = {}): RecordedEvent[] {
    const limit = filter.limit ?? 100;
    const found: RecordedEvent[] = [];
    const oldest = Math.max(0, this.#sequence - this.#ring.capacity);
    for (let sequence = this.#sequence - 1; sequence >= oldest && found.length < limit; sequence--) {
      const event = this.#ring.get(sequence);
      if (filter.subject !== undefined && event.subject !== filter.subject) continue;
      if (filter.trace !== undefined && event.trace !== filter.trace) continue;
      if (filter.code !== undefined && event.code !== filter.code) continue;
      found.push(event);
    }
    return found;
  }

  /**
   * @param hear must not throw. @param wants which events are made up for it: most are of no use to a log.
   * @returns a function that ends the listening.
   */
  onEvent(
    hear: (event: RecordedEvent) => void,
    wants: (event: TrailEvent) => boolean = () => true,
  ): () => void {
    const listener = { hear, wants };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
