import { Resolver } from 'node:dns/promises';
import { describe, expect, it } from 'vitest';
import { startDispatcher } from '../../bench/servers/steps.js';
import { startClient } from '../../bench/srv.js';
import type { SipStack } from '../../src/sip/stack.js';
import { useCleanups } from '../tools/cleanups.js';
import { DnsServer } from '../tools/dns-server.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();

interface Nodes {
  readonly ports: readonly number[];
  /** How many REGISTERs each has accepted. */
  registered(): number[];
  /** Ends one of them. */
  stop(index: number): Promise<void>;
}

async function twoNodes(): Promise<Nodes> {
  const redis = await RedisServer.start();
  cleanups.push(() => redis.dispose());
  const start = (): Promise<RunningParley> =>
    startParley({ auth: 'none', roles: ['core'], store: redis.url, sip: { timers: { t1: 500, t2: 4_000 } } });
  const nodes = [await start(), await start()];
  const running = new Set(nodes);
  cleanups.push(async () => {
    for (const node of running) await node.stop();
  });
  const accepted = ({ app }: RunningParley): number =>
    [...app.trail.counts()].reduce(
      (sum, [code, count]) => (code.startsWith('register.') ? sum + count : sum),
      0,
    );
  return {
    ports: nodes.map(({ port }) => port),
    registered: () => nodes.map(accepted),
    async stop(index) {
      running.delete(nodes[index]!);
      await nodes[index]!.stop();
    },
  };
}

describe.skipIf(missing('redis-server') ?? missing('kamailio'))('Kamailio in front of two Parleys', () => {
  it('keeps each user at one of them, reaches every user from both, and goes on with the one that is left', async () => {
    const nodes = await twoNodes();
    const kamailio = await startDispatcher(nodes.ports, 64);
    cleanups.push(() => kamailio.stop());
    const phones: Phone[] = [];
    for (let i = 0; i < 8; i++) {
      const phone = await Phone.open(`user${i}`, kamailio.port);
      cleanups.push(() => phone.close());
      phones.push(phone);
    }
    const registerAll = async (): Promise<number[]> => {
      const before = nodes.registered();
      const answers = await Promise.all(phones.map((phone) => phone.register('', { Supported: 'path' })));
      expect(answers.every(({ status }) => status === 200)).toBe(true);
      return nodes.registered().map((count, i) => count - before[i]!);
    };
    const sendToAll = async (): Promise<void> => {
      for (const [i, phone] of phones.entries()) {
        const other = phones[(i + 1) % phones.length]!;
        phone.send('MESSAGE', other.aor, { 'Content-Type': 'text/plain' }, 'hello');
        await other.answer('MESSAGE', 200);
        expect((await phone.peer.response(200)).status).toBe(200);
      }
    };
    const shares = await registerAll();
    expect(shares.every((share) => share > 0)).toBe(true);
    expect(await registerAll()).toEqual(shares);
    await sendToAll();
    await nodes.stop(0);
    expect(await registerAll()).toEqual([0, 8]);
    await sendToAll();
  }, 60_000);
});

describe.skipIf(missing('redis-server'))('two Parleys under one name of DNS (RFC 3263, RFC 2782)', () => {
  it('get their shares of a client that looks it up, and the one that is left gets all', async () => {
    const nodes = await twoNodes();
    const dns = new DnsServer({
      '_sip._udp.ims.test': { srv: nodes.ports.map((port) => `1 50 ${port} node.ims.test`) },
      'node.ims.test': { a: ['127.0.0.1'] },
    });
    cleanups.push(() => dns.close());
    const resolver = new Resolver();
    resolver.setServers([await dns.start()]);
    const registerAll = async (): Promise<number[]> => {
      const client = await startClient(resolver);
      cleanups.push(() => client.close());
      const before = nodes.registered();
      await Promise.all(
        Array.from({ length: 40 }, (_, i) => register(client.stack, `sip:user${i}@ims.test`)),
      );
      return nodes.registered().map((count, i) => count - before[i]!);
    };
    const shares = await registerAll();
    // 40 times the same one of two is one chance in 10^12
    expect(shares.every((share) => share > 0)).toBe(true);
    expect(shares[0]! + shares[1]!).toBe(40);
    await nodes.stop(0);
    expect(await registerAll()).toEqual([0, 40]);
  }, 60_000);
});

async function register(client: SipStack, user: string): Promise<void> {
  const answer = await client.request('sip:ims.test', {
    method: 'REGISTER',
    headers: { From: `<${user}>;tag=1`, To: `<${user}>`, Contact: '<sip:user@127.0.0.1:9>' },
  });
  expect(answer.status).toBe(200);
}
