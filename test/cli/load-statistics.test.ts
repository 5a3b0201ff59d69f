import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { firstError, parseStatistics, ResponseTimeTable } from '../../src/cli/load/statistics.js';

const captured = (name: string): string =>
  readFileSync(resolve(import.meta.dirname, '../fixtures/sipp', name), 'utf8');

describe('a statistics file of SIPp', () => {
  it('gives the counters of the whole run, with the time between the first and the last line', () => {
    const counters = parseStatistics(captured('invite-aor.stat.csv'));
    expect(counters).toMatchObject({
      created: 500,
      successful: 500,
      failed: 0,
      retransmissions: 0,
      failures: {},
    });
    expect(counters?.seconds).toBeCloseTo(1795232249.012509 - 1795232247.754725, 3);
  });

  it('names the reasons of failed calls', () => {
    expect(parseStatistics(captured('register-digest-refused.stat.csv'))).toMatchObject({
      successful: 0,
      failed: 25,
      failures: { UnexpectedMessage: 25 },
    });
  });

  it('counts retransmissions of calls that nobody answered', () => {
    expect(parseStatistics(captured('register-unanswered.stat.csv'))).toMatchObject({
      created: 4,
      successful: 0,
      failed: 4,
      retransmissions: 8,
      failures: { MaxUDPRetrans: 4 },
    });
  });

  it('has no counters while only its head is written, and none from a line that is not complete', () => {
    const [head, first, second] = captured('invite-aor.stat.csv').split('\n');
    expect(parseStatistics('')).toBeUndefined();
    expect(parseStatistics(`${head}\n`)).toBeUndefined();
    expect(parseStatistics(`${head}\n${first}`)).toBeUndefined();
    expect(parseStatistics(`${head}\n${first}\n${second?.slice(0, 300)}`)?.created).toBe(
      Number(first?.split(';')[12]),
    );
  });
});

describe('a response time file of SIPp', () => {
  it('gives percentiles by nearest rank for each counter', () => {
    const table = new ResponseTimeTable();
    for (const line of captured('invite-aor.rtt.csv').split('\n')) table.add(line);
    // cut -d';' -f2,3 invite-aor.rtt.csv | sort | uniq -c: 365 of 0 ms, 131 of 4 ms, 4 of 8 ms; and 446 of 0 ms, 54 of 4 ms
    expect(table.of(1)).toEqual({ count: 500, p50: 0, p90: 4, p99: 4, max: 8 });
    expect(table.of(2)).toEqual({ count: 500, p50: 0, p90: 4, p99: 4, max: 4 });
    expect(table.of(3)).toBeUndefined();
  });

  it('takes the value at rank 99 of 100 for the 99th percentile, not the one after it', () => {
    const table = new ResponseTimeTable();
    for (let milliseconds = 1; milliseconds <= 100; milliseconds++) table.add(`0;${milliseconds};1`);
    expect(table.of(1)).toEqual({ count: 100, p50: 50, p90: 90, p99: 99, max: 100 });
  });
});

describe('an error file of SIPp', () => {
  it('shows its first entry without the date and the quoted message', () => {
    expect(firstError(captured('register-digest-refused.errors.txt'))).toMatch(
      /^Aborting call on unexpected message for Call-Id '1-\d+@127\.0\.0\.1': while expecting '100' \(index 1\), received 'SIP\/2\.0 200 OK'$/,
    );
    expect(firstError('The following events occurred:\n')).toBeUndefined();
  });
});
