import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { MemoryTrail, RecordedEvent } from '../base/trail.js';

/** Refusals written a second, at most: a flood of bad requests must not become a flood of log lines. */
const LINES_A_SECOND = 50;
const SECOND_MS = 1_000;

/** Writes the decision trail into the log: refusals at `info`, as far as there are not too many, everything else at `debug`. */
export function logTrail(trail: MemoryTrail, clock: Clock, log: Logger): void {
  let lines = 0;
  const write = ({ code, outcome, clause, subject, trace, detail }: RecordedEvent): void => {
    const fields = { code, outcome, clause, subject, trace, detail };
    if (outcome !== 'refused') log.debug(fields, 'decision');
    else if (lines < LINES_A_SECOND) log.info(fields, 'decision');
    else log.debug(fields, 'decision');
    if (outcome !== 'refused') return;
    if (lines++ === 0) clock.after(SECOND_MS, report);
  };
  const report = (): void => {
    if (lines > LINES_A_SECOND)
      log.warn({ refusals: lines - LINES_A_SECOND }, 'more refusals were not logged, see the trail');
    lines = 0;
  };
  const debug = log.isLevelEnabled('debug');
  trail.onEvent(write, ({ outcome }) => debug || outcome === 'refused');
}
