const FIRST_MS = 1_000;
const LAST_MS = 60_000;

/** Milliseconds before the next try after so many that failed: 1, 2, 4 … 60 s. */
export function backOff(failures: number): number {
  return Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(failures, 10));
}
