import type { Outcome, Trail } from '../base/trail.js';

/** Ways through the gateway. */
export type Direction = 'message-to-cpm' | 'message-to-phone' | 'report-to-cpm' | 'report-to-phone';

/** One thing that went through, or did not. */
export interface Passage {
  readonly direction: Direction;
  readonly outcome: Outcome;
  readonly clause: string;
  readonly subject: string;
  readonly trace: string;
  /** A status or one word of a fixed set: it labels a counter. */
  readonly reason: string;
}

/** Passages of one direction with one outcome and reason since the start. */
export interface PassageCount {
  readonly direction: Direction;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly count: number;
}

/** Reasons that are counted by name; others count as `other`, so that nobody outside makes counters. */
const MOST = 500;

/** Counts what goes through the gateway by direction and reason, and notes it in the trail. */
export class Traffic {
  readonly #trail: Trail;
  readonly #counts = new Map<string, PassageCount>();

  constructor(trail: Trail) {
    this.#trail = trail;
  }

  note({ direction, outcome, reason, ...event }: Passage): void {
    this.#trail.record({ ...event, code: `gateway.${direction}`, outcome, detail: reason });
    const counted = this.#counts.size < MOST ? reason : 'other';
    const key = `${direction} ${outcome} ${reason}`;
    const known = this.#counts.get(key) ?? this.#counts.get(`${direction} ${outcome} ${counted}`);
    const next = known ?? { direction, outcome, reason: counted, count: 0 };
    this.#counts.set(`${direction} ${outcome} ${next.reason}`, { ...next, count: next.count + 1 });
  }

  counts(): readonly PassageCount[] {
    return [...this.#counts.values()];
  }
}
