import type { Outcome, RecordedEvent, TrailEvent } from './trail.js';

/** Octets of an event's subject, trace and detail together; what does not fit is cut off. */
const TEXT_OCTETS = 384;
/** Between the three texts: no header field value holds it. */
const SEPARATOR = '\x1f';
const SUBJECT = 1;
const TRACE = 2;
const DETAIL = 4;

/** What events of one kind have in common. */
interface Kind {
  readonly code: string;
  readonly outcome: Outcome;
  readonly clause: string;
}

/**
 * The newest events in columns outside the heap. As objects, 10,000 of them that come and go at the rate of requests
 * would live just long enough to be copied by the garbage collector twice, each with the datagram that its texts were cut from.
 */
export class TrailRing {
  readonly capacity: number;
  readonly #kinds: Kind[] = [];
  /** Numbers of the kinds with that code: nearly always one. */
  readonly #byCode = new Map<string, number[]>();
  readonly #kind: Uint16Array;
  readonly #at: Float64Array;
  readonly #present: Uint8Array;
  readonly #length: Uint16Array;
  readonly #text: Buffer;

  /** @param capacity how many events are kept. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#kind = new Uint16Array(capacity);
    this.#at = new Float64Array(capacity);
    this.#present = new Uint8Array(capacity);
    this.#length = new Uint16Array(capacity);
    this.#text = Buffer.allocUnsafeSlow(capacity * TEXT_OCTETS);
  }

  /** Puts an event in the place of the one that came `capacity` earlier. */
  put(sequence: number, at: number, event: TrailEvent): void {
    const slot = sequence % this.capacity;
    const { subject, trace, detail } = event;
    this.#kind[slot] = this.#kindOf(event);
    this.#at[slot] = at;
    this.#present[slot] =
      (subject === undefined ? 0 : SUBJECT) |
      (trace === undefined ? 0 : TRACE) |
      (detail === undefined ? 0 : DETAIL);
    const text = (subject ?? '') + SEPARATOR + (trace ?? '') + SEPARATOR + (detail ?? '');
    this.#length[slot] = this.#text.write(text, slot * TEXT_OCTETS, TEXT_OCTETS, 'utf8');
  }

  /** The event of that number, which must be one of the newest. */
  get(sequence: number): RecordedEvent {
    const slot = sequence % this.capacity;
    const { code, outcome, clause } = this.#kinds[this.#kind[slot]!]!;
    const start = slot * TEXT_OCTETS;
    const text = this.#text.toString('utf8', start, start + this.#length[slot]!);
    const [subject = '', trace = '', ...detail] = text.split(SEPARATOR);
    const present = this.#present[slot]!;
    return {
      sequence,
      at: this.#at[slot]!,
      code,
      outcome,
      clause,
      subject: (present & SUBJECT) === 0 ? undefined : subject,
      trace: (present & TRACE) === 0 ? undefined : trace,
      detail: (present & DETAIL) === 0 ? undefined : detail.join(SEPARATOR),
    };
  }

  #kindOf({ code, outcome, clause }: TrailEvent): number {
    const known = this.#byCode.get(code) ?? [];
    for (const number of known) {
      const kind = this.#kinds[number]!;
      if (kind.outcome === outcome && kind.clause === clause) return number;
    }
    const number = this.#kinds.push({ code, outcome, clause }) - 1;
    this.#byCode.set(code, [...known, number]);
    return number;
  }
}
