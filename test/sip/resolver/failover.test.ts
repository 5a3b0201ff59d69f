import { createSocket } from 'node:dgram';
import { Resolver as DnsResolver } from 'node:dns/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock, VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { createNetwork } from '../../../src/sip/embedded/network.js';
import { createEmbeddedStack } from '../../../src/sip/embedded/stack.js';
import type { SipStack } from '../../../src/sip/stack.js';
import { DnsServer } from '../../tools/dns-server.js';
import { SipPeer } from '../../tools/sip-peer.js';

/** A UDP port of loopback where nobody listens. */
async function deadPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

describe('a request to a domain with several servers (RFC 3263 §4.3)', () => {
  let first: SipPeer;
  let second: SipPeer;
  let dns: DnsServer;
  let clock: SystemClock | VirtualClock;
  let stack: SipStack;

  async function start(
    firstPort: number,
    ticking: SystemClock | VirtualClock = new SystemClock((error) => {
      throw error;
    }),
  ): Promise<void> {
    dns = new DnsServer({
      '_sip._udp.ims.example': {
        srv: [`1 0 ${firstPort} server.example`, `2 0 ${second.port} server.example`],
      },
      'server.example': { a: ['127.0.0.1'] },
    });
    const resolver = new DnsResolver({ timeout: 2000, tries: 1 });
    resolver.setServers([await dns.start()]);
    clock = ticking;
    const common = { clock, log: silentLogger, trail: new MemoryTrail(() => clock.now()) };
    const wire = createNetwork({ ...common, listen: ['udp:127.0.0.1:0'], dns: resolver });
    stack = createEmbeddedStack({ ...common, wire, domain: 'ims.test' });
    await stack.start();
  }

  beforeEach(async () => {
    first = await SipPeer.open();
    second = await SipPeer.open();
  });

  afterEach(async () => {
    await stack.close();
    await dns.close();
    if (clock instanceof SystemClock) clock.close();
    first.close();
    second.close();
  });

  it('goes to the next when the first is not there', async () => {
    await start(await deadPort());
    const answer = stack.request('sip:bob@ims.example', { method: 'OPTIONS' });
    second.answer(await second.request('OPTIONS'), 200);
    expect((await answer).status).toBe(200);
  });

  it('goes to the next without waiting when many are sent at once to the first, which is not there', async () => {
    // on which no time passes: nothing is sent again
    await start(await deadPort(), new VirtualClock());
    const answers = Array.from({ length: 20 }, () =>
      stack.request('sip:bob@ims.example', { method: 'OPTIONS' }),
    );
    for (let i = 0; i < answers.length; i++) second.answer(await second.request('OPTIONS'), 200);
    expect((await Promise.all(answers)).every(({ status }) => status === 200)).toBe(true);
  });

  it('goes to the next with a fresh branch when the first answers 503', async () => {
    await start(first.port);
    const answer = stack.request('sip:bob@ims.example', { method: 'OPTIONS' });
    const there = await first.request('OPTIONS');
    first.answer(there, 503);
    const here = await second.request('OPTIONS');
    second.answer(here, 200);
    expect((await answer).status).toBe(200);
    expect(here.via.params.get('branch')).not.toBe(there.via.params.get('branch'));
    expect(here.callId).toBe(there.callId);
  });

  it('is answered 503 when there is none left', async () => {
    await start(await deadPort());
    const answer = stack.request('sip:bob@ims.example', { method: 'OPTIONS' });
    second.answer(await second.request('OPTIONS'), 503);
    expect((await answer).status).toBe(503);
  });

  it('is answered 503 when the domain does not exist', async () => {
    await start(first.port);
    expect((await stack.request('sip:bob@nowhere.example', { method: 'OPTIONS' })).status).toBe(503);
  });
});
