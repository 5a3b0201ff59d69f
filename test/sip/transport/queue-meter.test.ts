import { createSocket } from 'node:dgram';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { QueueMeter } from '../../../src/sip/transport/queue-meter.js';
import { options, startServer, until, type Server } from './bench.js';

let server: Server | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

describe('the meter of the queueing delay', () => {
  it('reads how long a datagram lay in the socket while the event loop was busy', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const readings: number[] = [];
    server.transports.onDelay = (delay) => {
      readings.push(delay);
      return readings.length < 20;
    };
    const phone = createSocket('udp4');
    let blocked = 0;
    server.layer.onRequest = () => {
      const end = performance.now() + 120;
      while (performance.now() < end) blocked++;
    };
    phone.send(options('UDP 127.0.0.1', 'one'), server.port('udp'), '127.0.0.1');
    await until(() => readings.length === 20);
    expect(blocked).toBeGreaterThan(0);
    expect(Math.max(...readings)).toBeGreaterThan(80);
    expect(Math.min(...readings)).toBeLessThan(80);
    phone.close();
  });
});

describe('its readings', () => {
  let now: number;
  let readings: number[];
  let sent: Buffer[];
  let wanted: boolean;
  let meter: QueueMeter;
  let received: (data: Buffer) => void;

  beforeEach(() => {
    vi.useFakeTimers();
    now = 1000;
    readings = [];
    sent = [];
    wanted = false;
    const take = (delay: number): boolean => {
      readings.push(delay);
      return wanted;
    };
    meter = new QueueMeter(() => now, take);
    received = meter.watch({ sendToSelf: (octets) => sent.push(octets) });
  });

  afterEach(() => {
    meter.close();
    vi.useRealTimers();
  });

  /** One turn of the timer, `late` milliseconds after it was due. */
  const tick = (late = 0): void => {
    now += 20 + late;
    vi.advanceTimersByTime(20);
  };

  it('come every 20 ms while there is traffic or while they are wanted, and then stop', () => {
    expect(vi.getTimerCount()).toBe(0);
    meter.touch();
    meter.touch();
    tick();
    tick();
    expect([readings, vi.getTimerCount()]).toEqual([[0, 0], 0]);
    wanted = true;
    meter.touch();
    for (let i = 0; i < 5; i++) tick();
    expect([readings.length, vi.getTimerCount()]).toEqual([7, 1]);
  });

  it('are the lateness of the timer', () => {
    meter.touch();
    tick(70);
    expect(readings).toEqual([70]);
  });

  it('are the way of the last probe', () => {
    wanted = true;
    meter.touch();
    tick();
    now += 15;
    received(sent[0]!);
    now -= 15;
    tick();
    expect(readings).toEqual([0, 15]);
  });

  it('are the age of the probes that have not come back, once one has', () => {
    wanted = true;
    meter.touch();
    tick();
    for (let i = 0; i < 100; i++) tick();
    expect(Math.max(...readings)).toBe(0);
    received(sent.at(-1)!);
    for (let i = 0; i < 100; i++) tick();
    expect(readings.at(-1)).toBe(1980);
    expect(sent).toHaveLength(5); // one is taken for lost after a second
  });

  it('take no other datagram for a probe', () => {
    wanted = true;
    meter.touch();
    tick();
    received(Buffer.alloc(16, 1));
    for (let i = 0; i < 100; i++) tick();
    expect(Math.max(...readings)).toBe(0);
  });
});
