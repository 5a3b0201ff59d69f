import { pino } from 'pino';
import { expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { LossWatch } from '../../src/store/redis/loss-watch.js';

// a Redis that is back with an older record, after a time that a real one would have to be waited for
it.each([
  { what: 'says what Redis lost after an outage of a minute', before: 1000, lines: 1 },
  { what: 'does not look at what was acknowledged long before the outage', before: 11_000, lines: 0 },
])('$what', async ({ before, lines }) => {
  const clock = new VirtualClock();
  const said: string[] = [];
  const log = pino({}, { write: (line: string) => said.push(line) });
  const lives = new Map<string, string>();
  const watch = new LossWatch(clock, log, (_shard, name, [verb, , value]) => {
    if (verb !== 'SET') return Promise.resolve(Buffer.alloc(0));
    const life = lives.get(name);
    if (life === undefined) lives.set(name, String(value));
    return Promise.resolve(life === undefined ? null : Buffer.from(life));
  });
  await watch.check(() => {});
  watch.acknowledged(1, 'record', 2);
  clock.advance(before);
  watch.connectionLost();
  clock.advance(60_000);
  watch.connectionLost();
  await watch.check(() => {});
  expect(said.filter((line) => line.includes('lost updates'))).toHaveLength(lines);
});
