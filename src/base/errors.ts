/**
 * The catalogue of errors. A code is stable: logs, the decision trail, the admin API and the documentation
 * use it, and tests assert on it. Each code has one SIP status (RFC 3261 §21) and one HTTP status.
 */
export interface ErrorEntry {
  /** Status of a SIP response that this error turns into. */
  readonly sip: number;
  /** Status of an admin API response. */
  readonly http: number;
  /** What went wrong, for a reason phrase or a log; never holds a secret. */
  readonly text: string;
  /** The clause that a refusal with this code rests on, for the decision trail: `RFC 5627 §6.1`. */
  readonly clause?: string;
  /** Seconds after which it may be tried again, for what passes by itself. */
  readonly retryAfter?: number;
}

const catalogue = new Map<string, ErrorEntry>();

/**
 * Adds the codes of one area to the catalogue and gives them back typed.
 * @throws if a code is defined twice: codes are global.
 */
export function defineErrors<const T extends Record<string, ErrorEntry>>(entries: T): T {
  for (const [code, entry] of Object.entries(entries)) {
    if (catalogue.has(code)) throw new Error(`error code ${code} is defined twice`);
    catalogue.set(code, entry);
  }
  return entries;
}

/** Every code that has been defined, for the generated page `docs/errors.md` and its test. */
export function errorCatalogue(): ReadonlyMap<string, ErrorEntry> {
  return catalogue;
}

/** A failure that a caller is expected to handle, as opposed to a bug. */
export class ParleyError extends Error {
  override readonly name: string = 'ParleyError';
  readonly code: string;
  readonly sip: number;
  readonly http: number;
  readonly clause: string | undefined;
  readonly retryAfter: number | undefined;

  /**
   * @param code a code of the catalogue.
   * @param detail what exactly, appended to the catalogue's text. Must not hold secrets.
   */
  constructor(code: string, detail?: string, options?: ErrorOptions) {
    const entry = catalogue.get(code);
    if (!entry) throw new Error(`error code ${code} is not in the catalogue`);
    super(detail ? `${entry.text}: ${detail}` : entry.text, options);
    this.code = code;
    this.sip = entry.sip;
    this.http = entry.http;
    this.clause = entry.clause;
    this.retryAfter = entry.retryAfter;
  }
}

/** What `read` gives; undefined when it fails with a {@link ParleyError}, because what it reads is no such thing. */
export function orNone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}
