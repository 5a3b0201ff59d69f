import { describe, expect, it } from 'vitest';
import { SystemClock, VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { createNetwork } from '../../../src/sip/embedded/network.js';
import { QueueingDelay, stunProbe } from '../../../src/sip/embedded/queueing-delay.js';
import { message, startStack } from './fixture.js';

function probed(): { clock: VirtualClock; delay: QueueingDelay; arrivals: (() => void)[] } {
  const clock = new VirtualClock();
  const arrivals: (() => void)[] = [];
  const delay = new QueueingDelay(clock, (arrived) => arrivals.push(arrived));
  delay.start();
  return { clock, delay, arrivals };
}

describe('the queueing delay', () => {
  it('is the time that the last probe took', () => {
    const { clock, delay, arrivals } = probed();
    expect(delay.milliseconds).toBe(0);
    clock.advance(130);
    arrivals[0]!();
    expect(delay.milliseconds).toBe(30);
    clock.advance(80);
    arrivals[1]!();
    expect(delay.milliseconds).toBe(10);
  });

  it('grows while a probe is overdue, and only one is on its way', () => {
    const { clock, delay, arrivals } = probed();
    clock.advance(600);
    expect(delay.milliseconds).toBe(500);
    expect(arrivals).toHaveLength(1);
  });

  it('forgets a probe that was dropped', () => {
    const { clock, delay, arrivals } = probed();
    clock.advance(2_200);
    expect(arrivals).toHaveLength(2);
    arrivals[0]!();
    clock.advance(20);
    arrivals[1]!();
    expect(delay.milliseconds).toBeLessThan(200);
  });

  it('leaves no timer behind', () => {
    const { clock, delay } = probed();
    delay.stop();
    expect(clock.pending).toBe(0);
  });

  it('is measured by STUN at our own listener', async () => {
    const clock = new SystemClock((error) => {
      throw error;
    });
    const trail = new MemoryTrail(() => clock.now());
    const network = createNetwork({ listen: ['udp:127.0.0.1:0'], clock, log: silentLogger, trail });
    await network.start();
    const { probe, close } = stunProbe(network.listeners[0]!, (error) => {
      throw error;
    });
    await new Promise<void>((resolve) => probe(resolve));
    close();
    await network.close();
    clock.close();
  });
});

describe('a stack with a limit on the queueing delay', () => {
  it('refuses new requests while it is above the limit', async () => {
    const { stack, wire, transactions, trail } = await startStack({ overloadDelay: 250 });
    stack.on('MESSAGE', (_request, response) => {
      response.send(200);
    });
    wire.queueingDelay = 250;
    expect(transactions.receive(message('MESSAGE', 'sip:ims.test')).statuses).toEqual([200]);
    wire.queueingDelay = 251;
    expect(transactions.receive(message('MESSAGE', 'sip:ims.test')).statuses).toEqual([503]);
    expect(trail.counts().get('sip.refused-overloaded')).toBe(1);
  });
});
