/** Reads what SIPp 3.6 writes with `-trace_stat`, `-trace_rtt` and `-trace_err`. */

/** The counters of one line of a statistics file, cumulative from the start of the run. */
export interface Counters {
  /** Seconds from the start of the run to this line. */
  readonly seconds: number;
  readonly created: number;
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** Failed calls by SIPp's name of the reason (`UnexpectedMessage`, `MaxUDPRetrans`); only those above zero. */
  readonly failures: Readonly<Record<string, number>>;
}

/** Response times of one counter of a scenario, in whole milliseconds as SIPp takes them. */
export interface ResponseTimes {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Seconds since the epoch, from `2026-11-21<TAB>03:30:05.286813<TAB>1795231805.286813`. */
const epochSeconds = (value: string): number => Number(value.split('\t')[2]);

/**
 * The newest report of a statistics file: its first line is the head, each further one a report.
 * @returns undefined while there is no report yet; a line still being written is left out.
 */
export function parseStatistics(text: string): Counters | undefined {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  const report = lines.at(-2)?.split(';');
  if (lines.length < 3 || report === undefined) return undefined;
  const columns = lines[0]!.split(';');
  const cell = (column: string): string => report[columns.indexOf(column)] ?? '';
  const failures: Record<string, number> = {};
  for (const column of columns) {
    const reason = /^Failed(?!Call\()(.+)\(C\)$/.exec(column)?.[1];
    if (reason !== undefined && Number(cell(column)) > 0) failures[reason] = Number(cell(column));
  }
  return {
    seconds: epochSeconds(cell('CurrentTime')) - epochSeconds(cell('StartTime')),
    created: Number(cell('TotalCallCreated')),
    successful: Number(cell('SuccessfulCall(C)')),
    failed: Number(cell('FailedCall(C)')),
    retransmissions: Number(cell('Retransmissions(C)')),
    failures,
  };
}

/** Counts response times by counter and millisecond, so that a run of millions of calls needs little memory. */
export class ResponseTimeTable {
  readonly #counters = new Map<number, Map<number, number>>();

  /** Adds one line `date;milliseconds;counter`; the head of the file is passed over. */
  add(line: string): void {
    const [date, milliseconds, counter] = line.split(';');
    if (date === 'Date_ms' || milliseconds === undefined || counter === undefined) return;
    let counts = this.#counters.get(Number(counter));
    if (counts === undefined) this.#counters.set(Number(counter), (counts = new Map<number, number>()));
    const rounded = Math.round(Number(milliseconds));
    counts.set(rounded, (counts.get(rounded) ?? 0) + 1);
  }

  /** Percentiles by the nearest-rank method; undefined when the counter was never taken. */
  of(counter: number): ResponseTimes | undefined {
    const counts = this.#counters.get(counter);
    if (counts === undefined) return undefined;
    const sorted = [...counts].sort(([a], [b]) => a - b);
    const count = sorted.reduce((sum, [, times]) => sum + times, 0);
    const rank = (percent: number): number => {
      let seen = 0;
      for (const [milliseconds, times] of sorted) {
        seen += times;
        if (seen >= Math.ceil((percent / 100) * count)) return milliseconds;
      }
      return 0;
    };
    return { count, p50: rank(50), p90: rank(90), p99: rank(99), max: rank(100) };
  }
}

/** The first entry of an error file, without its date and without the message that SIPp quotes, but for its first line. */
export function firstError(text: string): string | undefined {
  const entry = text.split('\n').find((line) => /\t\d+\.\d+: /.test(line));
  return entry
    ?.replace(/^.*?\t\d+\.\d+: /, '')
    .trim()
    .replace(/received '[^']*$/, "$&'");
}
