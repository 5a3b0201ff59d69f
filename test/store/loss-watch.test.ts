import { pino } from 'pino';
import { expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { LossWatch } from '../../src/store/redis/loss-watch.js';

// a Redis that is back with an older record, after a time that a real one would have to be waited for
it.each([
  { what: 'says what Redis lost after an outage of a minute', before: 1000, outage: 60_000, records: [2] },
  {
    what: 'does not look at what was acknowledged long before the outage',
    before: 11_000,
    outage: 60_000,
    records: [],
  },
  {
    what: 'takes no removal for lost when Redis was away until it had forgotten their number',
    before: 1000,
    outage: 86_400_000,
    records: [1],
  },
])('$what', async ({ before, outage, records }) => {
  const clock = new VirtualClock();
  const said: string[] = [];
  const log = pino({}, { write: (line: string) => said.push(line) });
  const lives = new Map<string, string>();
  const watch = new LossWatch(clock, log, 'node', (_shard, name, [verb, , value]) => {
    if (verb === 'GET') return Promise.resolve(Buffer.from('2'));
    if (verb === 'GETRANGE') return Promise.resolve(Buffer.alloc(0));
    const life = lives.get(name);
    if (life === undefined) lives.set(name, String(value));
    return Promise.resolve(life === undefined ? null : Buffer.from(life));
  });
  await watch.check(() => {});
  watch.put(1, 'record', 2);
  watch.removed(1, 'other', 3);
  clock.advance(before);
  watch.connectionLost();
  clock.advance(outage);
  watch.connectionLost();
  await watch.check(() => {});
  const lost = said.map((line) => JSON.parse(line) as { msg: string; records: number });
  expect(lost.filter(({ msg }) => msg.includes('lost updates')).map((line) => line.records)).toEqual(records);
});
