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

/** Which events {@link MemoryTrail.recent} gives; what is left out does not matter. */
export interface TrailFilter {
  /** One of these. */
  readonly subjects?: readonly string[] | undefined;
  readonly trace?: string | undefined;
  readonly code?: string | undefined;
  readonly outcome?: Outcome | undefined;
  /** Only events with a higher number. */
  readonly after?: number | undefined;
  /** 100 unless given. */
  readonly limit?: number | undefined;
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

  /** Number of the newest event, -1 before the first one. */
  get newest(): number {
    return this.#sequence - 1;
  }

  /** The newest events that match, newest first. */
  recent(filter: TrailFilter = {}): RecordedEvent[] {
    const { after = -1, limit = 100 } = filter;
    const found: RecordedEvent[] = [];
    const oldest = Math.max(after + 1, this.#sequence - this.#ring.capacity);
    for (let sequence = this.newest; sequence >= oldest && found.length < limit; sequence--) {
      const event = this.#ring.get(sequence);
      if (matches(event, filter)) found.push(event);
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

function matches(event: RecordedEvent, { subjects, trace, code, outcome }: TrailFilter): boolean {
  return (
    (subjects === undefined || (event.subject !== undefined && subjects.includes(event.subject))) &&
    (trace === undefined || event.trace === trace) &&
    (code === undefined || event.code === code) &&
    (outcome === undefined || event.outcome === outcome)
  );
}
