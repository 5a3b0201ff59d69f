import { expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import type { Logger } from '../../../src/base/log.js';
import { Callers } from '../../../src/sip/drachtio/callers.js';

/** Keeps the warnings. */
class WarningLog implements Logger {
  readonly warnings: object[] = [];
  trace(): void {}
  debug(): void {}
  info(): void {}
  error(): void {}
  warn(fields: object): void {
    this.warnings.push(fields);
  }
  isLevelEnabled = (): boolean => true;
  child = (): Logger => this;
}

it('only servers of the settings may connect to us, and strangers fill no log', async () => {
  const clock = new VirtualClock();
  const log = new WarningLog();
  const settings = { servers: [{ host: '127.0.0.1', port: 9022 }], from: ['192.0.2.7'] };
  const callers = new Callers({ settings, clock, log });
  await callers.learn();
  expect(['127.0.0.1', '192.0.2.7'].map((one) => callers.takes(one))).toEqual([true, true]);
  clock.advance(10_000);
  for (let i = 0; i < 1_000; i++) expect(callers.takes(`198.51.100.${i % 250}`)).toBe(false);
  expect(log.warnings).toEqual([{ address: '198.51.100.0', refused: 1 }]);
  clock.advance(10_000);
  expect(callers.takes('198.51.100.1')).toBe(false);
  expect(log.warnings.at(-1)).toEqual({ address: '198.51.100.1', refused: 1_000 });
});

it('a server whose name led nowhere at the start is known soon after it has been refused', async () => {
  const clock = new VirtualClock();
  const settings = { servers: [{ host: 'localhost', port: 9022 }], from: [] };
  const callers = new Callers({ settings, clock, log: new WarningLog() });
  expect(callers.takes('127.0.0.1')).toBe(false);
  await expect.poll(() => callers.takes('127.0.0.1'), { timeout: 20_000 }).toBe(true);
});
