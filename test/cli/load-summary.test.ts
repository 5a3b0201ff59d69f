import { expect, it } from 'vitest';
import { formatProgress, formatSummary } from '../../src/cli/load/summary.js';

const counters = {
  seconds: 3.2,
  created: 3010,
  successful: 2990,
  failed: 10,
  retransmissions: 7,
  failures: { UnexpectedMessage: 9, MaxUDPRetrans: 1 },
};

it('a progress line tells seconds, calls done, rate, failures and retransmissions', () => {
  expect(formatProgress(counters, 10_000)).toBe(
    '   3 s   3000 of 10000 calls   934/s   10 failed   7 retransmissions',
  );
});

it('a summary tells rate, failures with reasons, retransmissions and response-time percentiles', () => {
  const summary = formatSummary({
    ...counters,
    scenario: 'invite-aor',
    rate: 934,
    responseTimes: { 'INVITE to 200': { count: 2990, p50: 1, p90: 4, p99: 12, max: 20 } },
    firstError: "while expecting '200', received 'SIP/2.0 480 Temporarily Unavailable'",
  });
  expect(summary).toBe(
    [
      'scenario          invite-aor',
      'calls             2990 successful in 3.2 s, 934/s',
      'failed            10 (9 UnexpectedMessage, 1 MaxUDPRetrans)',
      'retransmissions   7',
      'INVITE to 200     p50 1 ms, p90 4 ms, p99 12 ms, max 20 ms (2990 taken)',
      "first error       while expecting '200', received 'SIP/2.0 480 Temporarily Unavailable'",
      '',
    ].join('\n'),
  );
});

it('a summary of calls that a server challenged says how they are not', () => {
  const firstError = "while expecting '100', received 'SIP/2.0 401 Unauthorized'";
  const summary = formatSummary({
    ...counters,
    scenario: 'register',
    rate: 0,
    responseTimes: {},
    firstError,
  });
  expect(summary).toMatch(/PARLEY_AUTH=none\n$/);
});
