import { Resolver as NodeResolver } from 'node:dns/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { parseUri } from '../../../src/sip/message/uri.js';
import { Resolver, type ResolverOptions } from '../../../src/sip/resolver/resolver.js';
import type { Protocol } from '../../../src/sip/stack.js';
import type { NextHop } from '../../../src/sip/transaction/layer.js';
import { DnsServer, type Zone } from '../../tools/dns-server.js';

let server: DnsServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

const all = (protocol: Protocol): boolean => protocol !== 'ws' && protocol !== 'wss';

async function resolver(zone: Zone, options: Partial<ResolverOptions> = {}): Promise<Resolver> {
  server = new DnsServer(zone);
  const dns = new NodeResolver({ timeout: 2000, tries: 1 });
  dns.setServers([await server.start()]);
  return new Resolver({
    dns,
    clock: new VirtualClock(),
    canSend: all,
    random: () => 0.5,
    hosts: new Map(),
    ...options,
  });
}

const written = (hops: readonly NextHop[]): string[] =>
  hops.map(({ protocol, address, port, serverName }) =>
    [`${protocol}:${address}:${port}`, ...(serverName === undefined ? [] : [serverName])].join(' '),
  );

async function resolve(zone: Zone, uri: string, options: Partial<ResolverOptions> = {}): Promise<string[]> {
  return written(await (await resolver(zone, options)).resolve(parseUri(uri)));
}

const addresses = { 'one.test': { a: ['192.0.2.1'] }, 'two.test': { a: ['192.0.2.2'] } };

describe('a numeric address (RFC 3263 §4.1, §4.2)', () => {
  const cases: [string, string[]][] = [
    ['sip:a@192.0.2.1', ['udp:192.0.2.1:5060']],
    ['sips:a@192.0.2.1', ['tls:192.0.2.1:5061']],
    ['sip:a@192.0.2.1:5080;transport=tcp', ['tcp:192.0.2.1:5080']],
    ['sip:a@192.0.2.1;transport=tls', ['tls:192.0.2.1:5061']],
    ['sips:a@192.0.2.1;transport=tcp', ['tls:192.0.2.1:5061']],
    ['sip:a@[2001:db8::1]', ['udp:2001:db8::1:5060']],
    ['sip:a@example.test:5070;maddr=192.0.2.9', ['udp:192.0.2.9:5070']],
    ['sip:a@192.0.2.1;transport=sctp', []],
    ['sips:a@192.0.2.1;transport=udp', []],
    ['sip:a@192.0.2.1;transport=ws', []],
  ];
  it.each(cases)('is used as it stands: %s', (uri, hops) => {
    const dns = new NodeResolver();
    dns.setServers(['127.0.0.1:9']);
    const found = new Resolver({ dns, clock: new VirtualClock(), canSend: all }).resolve(parseUri(uri));
    expect(found).not.toBeInstanceOf(Promise);
    expect(written(found as NextHop[])).toEqual(hops);
  });

  it('is secured when the next hop must be, whatever its scheme', async () => {
    const found = (await resolver({})).resolve(parseUri('sip:192.0.2.1'), true);
    expect(written(found as NextHop[])).toEqual(['tls:192.0.2.1:5061']);
  });
});

describe('a domain (RFC 3263 §4.1)', () => {
  const preferTcp: Zone = {
    ...addresses,
    'ims.test': {
      naptr: ['50 50 "s" "SIP+D2T" _sip._tcp.ims.test', '90 50 "s" "SIP+D2U" _sip._udp.ims.test'],
    },
    '_sip._tcp.ims.test': { srv: ['0 1 5062 one.test', '1 1 5063 two.test'] },
    '_sip._udp.ims.test': { srv: ['0 1 5064 two.test'] },
  };

  it('says by NAPTR which transport it prefers, and by SRV which servers', async () => {
    expect(await resolve(preferTcp, 'sip:bob@ims.test')).toEqual([
      'tcp:192.0.2.1:5062',
      'tcp:192.0.2.2:5063',
      'udp:192.0.2.2:5064',
    ]);
  });

  it('is not asked for services that we cannot use', async () => {
    const hops = await resolve(preferTcp, 'sip:bob@ims.test', { canSend: (protocol) => protocol === 'udp' });
    expect(hops).toEqual(['udp:192.0.2.2:5064']);
    expect(server!.questions).not.toContain('srv _sip._tcp.ims.test');
  });

  it('of a sips URI is reached by SIPS services alone, and must prove its own name (RFC 5922 §7.1)', async () => {
    const zone: Zone = {
      ...preferTcp,
      'ims.test': {
        naptr: ['10 10 "s" "SIP+D2U" _sip._udp.ims.test', '50 50 "s" "SIPS+D2T" _sips._tcp.ims.test'],
      },
      '_sips._tcp.ims.test': { srv: ['0 1 5061 one.test'] },
    };
    expect(await resolve(zone, 'sips:bob@ims.test')).toEqual(['tls:192.0.2.1:5061 ims.test']);
  });

  it('without NAPTR records is asked for SRV records in the order of what we prefer', async () => {
    const zone: Zone = { ...addresses, 'ims.test': {}, '_sip._tcp.ims.test': { srv: ['0 1 5060 one.test'] } };
    expect(await resolve(zone, 'sip:bob@ims.test')).toEqual(['tcp:192.0.2.1:5060']);
    expect(server!.questions.slice(0, 4)).toEqual([
      'naptr ims.test',
      'srv _sips._tcp.ims.test',
      'srv _sip._udp.ims.test',
      'srv _sip._tcp.ims.test',
    ]);
  });

  it('without SRV records is asked for its addresses, at the default port', async () => {
    expect(await resolve({ 'one.test': { a: ['192.0.2.1'] } }, 'sip:bob@one.test')).toEqual([
      'udp:192.0.2.1:5060',
    ]);
    await server!.close();
    expect(await resolve({ 'one.test': { a: ['192.0.2.1'] } }, 'sips:bob@one.test')).toEqual([
      'tls:192.0.2.1:5061 one.test',
    ]);
  });

  it('with a transport parameter is asked for the SRV records of that transport, and never for NAPTR', async () => {
    expect(await resolve(preferTcp, 'sip:bob@ims.test;transport=udp')).toEqual(['udp:192.0.2.2:5064']);
    expect(server!.questions).toEqual(['srv _sip._udp.ims.test', 'a two.test', 'aaaa two.test']);
  });

  it('with a port is asked for its addresses alone', async () => {
    expect(await resolve(preferTcp, 'sip:bob@one.test:5099')).toEqual(['udp:192.0.2.1:5099']);
    expect(server!.questions.sort()).toEqual(['a one.test', 'aaaa one.test']);
  });

  it('has addresses of both IP versions, and only those are given that we can send to', async () => {
    const zone: Zone = { 'one.test': { a: ['192.0.2.1'], aaaa: ['2001:db8::1'] } };
    expect(await resolve(zone, 'sip:one.test:5060')).toEqual(['udp:192.0.2.1:5060', 'udp:2001:db8::1:5060']);
    await server!.close();
    const six = { canSend: (protocol: Protocol, family: 4 | 6) => all(protocol) && family === 6 };
    expect(await resolve(zone, 'sip:one.test:5060', six)).toEqual(['udp:2001:db8::1:5060']);
  });

  it('whose SRV target is "." is decidedly not there (RFC 2782)', async () => {
    const zone: Zone = { 'ims.test': { a: ['192.0.2.1'] }, '_sip._udp.ims.test': { srv: ['0 0 0 .'] } };
    expect(await resolve(zone, 'sip:ims.test;transport=udp')).toEqual([]);
  });

  it('that does not exist has no servers', async () => {
    expect(await resolve({}, 'sip:bob@nowhere.test')).toEqual([]);
  });

  it('named in the hosts file is not asked for', async () => {
    const hosts = new Map([['pcscf.test', ['192.0.2.7']]]);
    expect(await resolve({}, 'sip:pcscf.test;transport=tls', { hosts })).toEqual([
      'tls:192.0.2.7:5061 pcscf.test',
    ]);
    expect(server!.questions).toEqual([]);
  });
});

describe('servers of one priority (RFC 2782)', () => {
  const zone: Zone = {
    ...addresses,
    'three.test': { a: ['192.0.2.3'] },
    '_sip._udp.ims.test': { srv: ['10 1 5060 one.test', '10 3 5060 two.test', '20 0 5060 three.test'] },
  };

  it.each([
    [0, ['1', '2', '3']],
    [0.2, ['1', '2', '3']],
    [0.5, ['2', '1', '3']],
    [0.99, ['2', '1', '3']],
  ])('are drawn by weight: at %d of 1', async (drawn, order) => {
    const hops = await resolve(zone, 'sip:ims.test;transport=udp', { random: () => drawn });
    expect(hops.map((hop) => hop.split(':')[1]!.at(-1))).toEqual(order);
  });

  it('share first place as their weights say', async () => {
    let seed = 1;
    const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    const found = await resolver(zone, { random });
    let second = 0;
    for (let i = 0; i < 1000; i++) {
      const [first] = await found.resolve(parseUri('sip:ims.test;transport=udp'));
      if (first!.address === '192.0.2.2') second++;
    }
    // RFC 2782 draws from 0 to the sum, so weight 3 of 4 wins 3 draws of 5
    expect(second).toBeGreaterThan(550);
    expect(second).toBeLessThan(650);
  });
});

describe('answers of DNS', () => {
  it('are believed for their time to live, and one question is asked once at a time', async () => {
    const clock = new VirtualClock();
    const found = await resolver({ 'one.test': { a: ['192.0.2.1'], ttl: 20 } }, { clock });
    const uri = parseUri('sip:one.test:5060');
    await Promise.all([found.resolve(uri), found.resolve(uri)]);
    clock.advance(9_000);
    await found.resolve(uri);
    expect(server!.questions.sort()).toEqual(['a one.test', 'aaaa one.test']);
    clock.advance(11_000);
    await found.resolve(uri);
    expect(server!.questions.filter((question) => question === 'a one.test')).toHaveLength(2);
  });

  it('that there is nothing are believed for ten seconds', async () => {
    const clock = new VirtualClock();
    const found = await resolver({}, { clock });
    const uri = parseUri('sip:one.test:5060');
    await found.resolve(uri);
    clock.advance(9_990);
    await found.resolve(uri);
    expect(server!.questions).toHaveLength(2);
    clock.advance(10);
    await found.resolve(uri);
    expect(server!.questions).toHaveLength(4);
  });

  it('that fail are told to who asked, and asked again soon', async () => {
    const clock = new VirtualClock();
    const found = await resolver({ 'one.test': { a: ['192.0.2.1'] } }, { clock });
    server!.broken = true;
    const uri = parseUri('sip:one.test:5060');
    await expect(found.resolve(uri)).rejects.toMatchObject({ code: 'ESERVFAIL' });
    server!.broken = false;
    clock.advance(2_000);
    expect(written(await found.resolve(uri))).toEqual(['udp:192.0.2.1:5060']);
  });
});
