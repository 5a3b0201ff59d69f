/** Real milliseconds between two ticks. */
const TICK = 20;

/**
 * Starts to count the milliseconds in which this process could run: a tick that comes late, since the machine had other
 * things to do, counts as one that came in time. It is what an upper limit of real time is held against.
 * @returns reads the count.
 */
export function runningTime(): () => number {
  let ticks = 0;
  setInterval(() => ticks++, TICK).unref();
  return () => ticks * TICK;
}
