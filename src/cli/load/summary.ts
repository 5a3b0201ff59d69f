import type { ScenarioName } from './scenarios.js';
import type { Counters, ResponseTimes } from './statistics.js';

export interface LoadSummary extends Counters {
  readonly scenario: ScenarioName;
  /** Successful calls a second, over the whole run. */
  readonly rate: number;
  /** By what was measured (`INVITE to 200`), in whole milliseconds. */
  readonly responseTimes: Readonly<Record<string, ResponseTimes>>;
  /** The first thing that went wrong, as SIPp tells it. */
  readonly firstError: string | undefined;
}

const perSecond = (count: number, seconds: number): string =>
  `${(seconds > 0 ? count / seconds : 0).toFixed(0)}/s`;

/** One line while it runs: `  3 s   2997 of 10000 calls   999/s   0 failed   0 retransmissions` */
export function formatProgress(counters: Counters, calls: number): string {
  const { seconds, successful, failed, retransmissions } = counters;
  return [
    `${seconds.toFixed(0).padStart(4)} s`,
    `${successful + failed} of ${calls} calls`,
    perSecond(successful, seconds),
    `${failed} failed`,
    `${retransmissions} retransmissions`,
  ].join('   ');
}

const WANTS_DIGEST =
  'the server asks who calls: use register-digest with its subscribers, or a server with PARLEY_AUTH=none';

export function formatSummary(summary: LoadSummary): string {
  const reasons = Object.entries(summary.failures).map(([reason, count]) => `${count} ${reason}`);
  const lines = [
    `scenario          ${summary.scenario}`,
    `calls             ${summary.successful} successful in ${summary.seconds.toFixed(1)} s, ${perSecond(summary.successful, summary.seconds)}`,
    `failed            ${summary.failed}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`,
    `retransmissions   ${summary.retransmissions}`,
  ];
  for (const [name, times] of Object.entries(summary.responseTimes)) {
    lines.push(
      `${name.padEnd(17)} p50 ${times.p50} ms, p90 ${times.p90} ms, p99 ${times.p99} ms, max ${times.max} ms (${times.count} taken)`,
    );
  }
  if (summary.firstError !== undefined) {
    lines.push(`first error       ${summary.firstError}`);
    if (summary.firstError.includes('SIP/2.0 401 ')) lines.push(`                  ${WANTS_DIGEST}`);
  }
  return `${lines.join('\n')}\n`;
}
