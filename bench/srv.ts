import { Resolver } from 'node:dns/promises';
import { SystemClock } from '../src/base/clock.js';
import { silentLogger } from '../src/base/log.js';
import { MemoryTrail } from '../src/base/trail.js';
import { createNetwork } from '../src/sip/embedded/network.js';
import { createEmbeddedStack } from '../src/sip/embedded/stack.js';
import type { SipStack } from '../src/sip/stack.js';
import { DnsServer } from '../test/tools/dns-server.js';
import { markdown } from './load-runs.js';
import { startParley, type RunningParley } from './servers/parley.js';
import { startRedis } from './servers/setups.js';

const AT_ONCE = 32;

/**
 * What phones get of DNS SRV (RFC 3263 §4.2, RFC 2782): two Parleys of equal weight under one name, REGISTERs of a client that
 * resolves it, both alive and then one killed. SIPp resolves no SRV records; the client is Parley's own stack.
 * @returns a table in Markdown.
 */
export async function measureSrv(calls: number, told: (line: string) => void): Promise<string> {
  const { store, redis } = await startRedis();
  const nodes = [await startParley({ store }), await startParley({ store })] as const;
  const dns = new DnsServer({
    '_sip._udp.ims.test': { srv: nodes.map(({ port }) => `1 50 ${port} node.ims.test`) },
    'node.ims.test': { a: ['127.0.0.1'] },
  });
  const resolver = new Resolver();
  resolver.setServers([await dns.start()]);
  const client = await startClient(resolver);
  try {
    await register(client.stack, calls / 4);
    const before = await Promise.all(nodes.map(registered));
    const alive = await register(client.stack, calls);
    const after = await Promise.all(nodes.map(registered));
    const shares = after.map((count, i) => `${(((count - before[i]!) * 100) / calls).toFixed(1)} %`);
    told(`DNS SRV: both alive: ${alive.text}`);
    for (const pid of nodes[0].processes()) process.kill(pid, 'SIGKILL');
    const dead = await register(client.stack, calls);
    told(`DNS SRV: one killed: ${dead.text}`);
    return markdown(
      ['two Parleys under one SRV name', 'REGISTER sent to its 200', 'shares', 'failed'],
      [
        ['both alive', alive.text, shares.join(' and '), String(alive.failed)],
        ['one killed', dead.text, '', String(dead.failed)],
      ],
    );
  } finally {
    await client.close();
    await dns.close();
    await nodes[1].stop();
    await nodes[0].stop();
    await redis.stop();
  }
}

/** A stack on UDP of loopback that looks names up with `dns`. */
export async function startClient(dns: Resolver): Promise<{ stack: SipStack; close(): Promise<void> }> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const common = { clock, log: silentLogger, trail: new MemoryTrail(() => clock.now()) };
  const wire = createNetwork({ ...common, listen: ['udp:127.0.0.1:0'], dns });
  const stack = createEmbeddedStack({ ...common, wire, domain: 'client.test' });
  await stack.start();
  return {
    stack,
    async close() {
      await stack.close();
      clock.close();
    },
  };
}

/** Registers so many users, or as many times, some at once. */
async function register(stack: SipStack, calls: number): Promise<{ text: string; failed: number }> {
  const times: number[] = [];
  let next = 0;
  let failed = 0;
  const lane = async (): Promise<void> => {
    while (next < calls) {
      const user = `sip:user${next++}@ims.test`;
      const begun = performance.now();
      const { status } = await stack.request('sip:ims.test', {
        method: 'REGISTER',
        headers: {
          From: `<${user}>;tag=1`,
          To: `<${user}>`,
          Contact: '<sip:user@127.0.0.1:9>',
          Expires: '600',
        },
      });
      if (status === 200) times.push(performance.now() - begun);
      else failed++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  times.sort((a, b) => a - b);
  const at = (part: number): string =>
    `${(times[Math.min(times.length - 1, Math.floor(part * times.length))] ?? NaN).toFixed(1)} ms`;
  return { text: `p50 ${at(0.5)}, p99 ${at(0.99)}, at most ${at(1)}`, failed };
}

/** How many REGISTERs a node has accepted. */
async function registered({ api }: RunningParley): Promise<number> {
  const text = await (await fetch(new URL('/metrics', api))).text();
  const lines = text.matchAll(/\{[^}]*code="register\.(?:stored|updated)"[^}]*\} (\d+)/g);
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}
