import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, element, textOf, textsOf, type Element } from '../../../src/imps/codec/element.js';
import { CirLine } from '../tools/cir-line.js';
import { message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
const open: { destroy(): void }[] = [];
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
});
afterEach(async () => {
  for (const one of open.splice(0)) one.destroy();
  expect(here.errors).toEqual([]);
  await here.close();
});

function connectTo(port: number, from?: string): CirLine {
  const opened = new CirLine(port, from);
  open.push(opened.socket);
  return opened;
}

async function withCir(name: string, method: string): Promise<Phone> {
  const phone = here.phone(name);
  phone.cookie = `cookie-of-${name}`;
  await phone.login2();
  await phone.negotiate(element('SupportedCIRMethod', method), element('ServerPollMin', 10));
  return phone;
}
const send = (text: string) => alice.request(message(text, [userId('bob')]));

describe('CIR over TCP', () => {
  it('is told in the capabilities, takes HELO, answers PING, and brings the cookie when something waits', async () => {
    const bob = here.phone('bob');
    bob.cookie = 'cookie-of-bob';
    await bob.login2();
    const agreed = child(await bob.negotiate(element('SupportedCIRMethod', 'STCP')), 'AgreedCapabilityList');
    expect([textOf(agreed, 'TCPAddress'), textOf(agreed, 'TCPPort')]).toEqual([
      '127.0.0.1',
      String(here.cirPort),
    ]);
    const line = connectTo(here.cirPort);
    line.socket.write(`HELO ${bob.sessionId}\r\n`);
    expect(await line.until(1)).toEqual(['OK']);
    line.socket.write('PING\r\nPING \r\n');
    expect(await line.until(3)).toEqual(['OK', 'OK', 'OK']);
    await send('wake up');
    expect(await line.until(4)).toEqual(['OK', 'OK', 'OK', 'WVCI 1.3 cookie-of-bob']);
  });

  it('closes a connection without HELO after 10 seconds, and not before', async () => {
    const line = connectTo(here.cirPort);
    await once(line.socket, 'connect');
    await new Promise((resolve) => setImmediate(resolve));
    await waitFor(() => here.clock.pending > 1);
    here.clock.advance(9_990);
    expect(line.closed).toBe(false);
    here.clock.advance(20);
    expect(await line.end()).toEqual([]);
  });

  it.each([
    ['an unknown session', 'HELO nobody\r\n'],
    ['anything before HELO', 'PING\r\n'],
    ['a line without end', 'x'.repeat(400)],
    ['a long line', `HELO ${'x'.repeat(400)}\r\n`],
  ])('closes a connection that begins with %s, without a word', async (_title, text) => {
    const line = connectTo(here.cirPort);
    line.socket.write(text);
    expect(await line.end()).toEqual([]);
    expect(here.trail.counts().get('imps.cir-refused')).toBe(1);
  });

  it('takes 1000 connections without HELO at most, and counts those that it refuses', async () => {
    const lines = Array.from({ length: 1000 }, (_, index) =>
      connectTo(here.cirPort, `127.0.1.${1 + (index % 10)}`),
    );
    await Promise.all(lines.map(({ socket }) => once(socket, 'connect')));
    expect(await connectTo(here.cirPort).end()).toEqual([]);
    expect(here.trail.counts().get('imps.cir-refused')).toBe(1);
  });

  it('takes 100 connections without HELO from one address, and others from elsewhere', async () => {
    const lines = Array.from({ length: 100 }, () => connectTo(here.cirPort));
    await Promise.all(lines.map(({ socket }) => once(socket, 'connect')));
    expect(await connectTo(here.cirPort).end()).toEqual([]);
    const bob = await withCir('bob', 'STCP');
    const elsewhere = connectTo(here.cirPort, '127.0.1.1');
    elsewhere.socket.write(`HELO ${bob.sessionId}\r\n`);
    expect(await elsewhere.until(1)).toEqual(['OK']);
    // one that has gone makes room
    lines[0]!.socket.destroy();
    for (let answer: readonly string[] = []; answer.length === 0;) {
      const next = connectTo(here.cirPort);
      next.socket.write(`HELO ${bob.sessionId}\r\n`);
      answer = await next.until(1);
    }
  });

  it('tells at once when something waits already', async () => {
    const bob = await withCir('bob', 'STCP');
    await send('early');
    const line = connectTo(here.cirPort);
    line.socket.write(`HELO ${bob.sessionId}\r\n`);
    expect(await line.until(2)).toEqual(['OK', 'WVCI 1.3 cookie-of-bob']);
  });

  it('sends one CIR for many messages until the client has come', async () => {
    const bob = await withCir('bob', 'STCP');
    const line = connectTo(here.cirPort);
    line.socket.write(`HELO ${bob.sessionId}\r\n`);
    await line.until(1);
    here.clock.advance(1000);
    for (let number = 0; number < 20; number++) await send(`${number}`);
    await line.until(2);
    line.socket.write('PING\r\n');
    expect(await line.until(3)).toEqual(['OK', 'WVCI 1.3 cookie-of-bob', 'OK']);
    here.clock.advance(1000);
    expect(await bob.messages()).toHaveLength(20);
    here.clock.advance(1000);
    await send('later');
    expect((await line.until(4))[3]).toBe('WVCI 1.3 cookie-of-bob');
  });

  it('closes the older connection when the client opens another, and all when the session ends', async () => {
    const bob = await withCir('bob', 'STCP');
    const first = connectTo(here.cirPort);
    first.socket.write(`HELO ${bob.sessionId}\r\n`);
    await first.until(1);
    const second = connectTo(here.cirPort);
    second.socket.write(`HELO ${bob.sessionId}\r\n`);
    await first.end();
    await send('to the newer');
    expect(await second.until(2)).toEqual(['OK', 'WVCI 1.3 cookie-of-bob']);
    await bob.request(element('Logout-Request'));
    await second.end();
  });

  it('lost, is told by CIR F in the next answer, until the client has opened it again', async () => {
    const bob = await withCir('bob', 'STCP');
    const cir = async (): Promise<boolean | undefined> =>
      (
        await bob.post({
          transactions: [{ mode: 'Request', id: bob.nextTransaction(), primitive: keepAlive }],
        })
      )?.cir;
    const keepAlive = element('KeepAlive-Request');
    expect(await cir()).toBeUndefined();
    const line = connectTo(here.cirPort);
    line.socket.write(`HELO ${bob.sessionId}\r\n`);
    await line.until(1);
    line.socket.destroy();
    let told = await cir();
    for (let tries = 0; told === undefined && tries < 100; tries++) told = await cir();
    expect(told).toBe(false);
    const again = connectTo(here.cirPort);
    again.socket.write(`HELO ${bob.sessionId}\r\n`);
    await again.until(1);
    expect(await cir()).toBeUndefined();
  });
});

describe('CIR over UDP', () => {
  const socketAt = async (): Promise<{ socket: UdpSocket; next: () => Promise<string> }> => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    open.push({ destroy: () => socket.close() });
    const waiting: string[] = [];
    socket.on('message', (text) => {
      waiting.push(text.toString());
      socket.emit('text');
    });
    const next = async (): Promise<string> => {
      while (waiting.length === 0) await once(socket, 'text');
      return waiting.shift()!;
    };
    return { socket, next };
  };

  it('takes HELO, and follows the client to the address of its last PING', async () => {
    const bob = await withCir('bob', 'SUDP');
    const first = await socketAt();
    first.socket.send(`HELO ${bob.sessionId}`, here.cirPort, '127.0.0.1');
    expect(await first.next()).toBe('OK');
    await send('one');
    expect(await first.next()).toBe('WVCI 1.3 cookie-of-bob');
    here.clock.advance(1000);
    await bob.messages();
    const moved = await socketAt();
    moved.socket.send(`PING ${bob.sessionId}`, here.cirPort, '127.0.0.1');
    expect(await moved.next()).toBe('OK');
    here.clock.advance(1000);
    await send('two');
    expect(await moved.next()).toBe('WVCI 1.3 cookie-of-bob');
  });

  it('reaches a client that says no HELO at the port it negotiated', async () => {
    const listener = await socketAt();
    const bob = here.phone('bob');
    await bob.login2();
    await bob.negotiate(
      element('SupportedCIRMethod', 'SUDP'),
      element('UDPPort', listener.socket.address().port),
    );
    await send('hello');
    expect(await listener.next()).toBe('WVCI 1.3 cookie-1');
  });

  it('shares the port of TCP, and is no reason not to start where any port will do and another has this one', async () => {
    const others: UdpSocket[] = [];
    const taking = (event: unknown): void => {
      const { port } = (event as { server: Server }).server.address() as AddressInfo;
      // those of HTTP and, the first time, of CIR
      if (others.length < 2) others.push(createSocket('udp4').bind(port, '127.0.0.1'));
    };
    subscribe('tracing:net.server.listen:asyncEnd', taking);
    try {
      const second = await world();
      expect(others.map((socket) => socket.address().port)).not.toContain(second.cirPort);
      await second.close();
    } finally {
      unsubscribe('tracing:net.server.listen:asyncEnd', taking);
      for (const socket of others) socket.close();
    }
    expect(others).toHaveLength(2);
  });

  it('is passed over where the client named what is no port, for the next of its methods', async () => {
    const bob = here.phone('bob');
    await bob.login2();
    await bob.negotiate(
      element('SupportedCIRMethod', 'SUDP'),
      element('SupportedCIRMethod', 'STCP'),
      element('UDPPort', 70_000),
    );
    const line = connectTo(here.cirPort);
    line.socket.write(`HELO ${bob.sessionId}\r\n`);
    await line.until(1);
    await send('hello');
    expect(await line.until(2)).toEqual(['OK', 'WVCI 1.3 cookie-1']);
  });

  it('finds the client again after a restart, at its last address', async () => {
    const bob = await withCir('bob', 'SUDP');
    const left = await socketAt();
    left.socket.send(`HELO ${bob.sessionId}`, here.cirPort, '127.0.0.1');
    expect(await left.next()).toBe('OK');
    const moved = await socketAt();
    moved.socket.send(`PING ${bob.sessionId}`, here.cirPort, '127.0.0.1');
    expect(await moved.next()).toBe('OK');
    here = await here.restart();
    alice = await here.phone('alice', { clientId: 'wv:second' }).start();
    await send('after the restart');
    expect(await moved.next()).toBe('WVCI 1.3 cookie-of-bob');
  });

  it('says nothing to who does not know a session', async () => {
    const stranger = await socketAt();
    const bob = await withCir('bob', 'SUDP');
    for (const text of ['HELO nobody', 'PING', 'x'.repeat(2000), '']) {
      stranger.socket.send(text, here.cirPort, '127.0.0.1');
    }
    stranger.socket.send(`PING ${bob.sessionId}`, here.cirPort, '127.0.0.1');
    expect(await stranger.next()).toBe('OK');
  });
});

describe('CIR by HTTP poll', () => {
  const url = async (phone: Phone, version: '1.2' | '1.3'): Promise<string> => {
    await phone.login2();
    const agreed = await phone.negotiate(
      element('SupportedCIRMethod', 'SHTTP'),
      element('ServerPollMin', 10),
    );
    const name = version === '1.3' ? 'CIRHTTPAddress' : 'CIRURL';
    return textOf(child(child(agreed, 'AgreedCapabilityList'), name), 'URL') ?? '';
  };

  it.each(['1.2', '1.3'] as const)(
    'of CSP %s is 204 when nothing waits and 200 as long as something does',
    async (version) => {
      const bob = here.phone('bob', { version });
      const address = await url(bob, version);
      expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/cir\?pc=[0-9a-f]{32}$/);
      expect(address).not.toContain(bob.sessionId);
      const poll = async (): Promise<number> => {
        here.clock.advance(10_000);
        return (await fetch(address)).status;
      };
      expect(await poll()).toBe(204);
      await send('hello');
      expect([await poll(), await poll()]).toEqual([200, 200]);
      await bob.messages();
      expect(await poll()).toBe(204);
    },
  );

  it('enforces the interval that was agreed', async () => {
    const address = await url(here.phone('bob'), '1.3');
    expect((await fetch(address)).status).toBe(204);
    here.clock.advance(5_000);
    expect((await fetch(address)).status).toBe(429);
    here.clock.advance(5_000);
    expect((await fetch(address)).status).toBe(204);
  });

  it('of an unknown cookie is 404, and of another method 405', async () => {
    expect((await fetch(`${here.url}/cir?pc=x`)).status).toBe(404);
    expect((await fetch(`${here.url}/cir`)).status).toBe(404);
    expect((await fetch(`${here.url}/cir?pc=x`, { method: 'POST' })).status).toBe(405);
  });
});

describe('the choice of the CIR method', () => {
  it('agrees only to what the version knows and the server has, and to WAP push alone over WSP', async () => {
    const methods = async (version: '1.1' | '1.3', ...bearers: string[]): Promise<string[]> => {
      const phone = here.phone('bob', { version, clientId: `wv:${version}${bearers.join('')}` });
      await phone.login2();
      const asked = ['WAPSMS', 'SSMS', 'STCP', 'SHTTP'].map((method) =>
        element('SupportedCIRMethod', method),
      );
      const agreed = await phone.negotiate(
        ...asked,
        ...bearers.map((bearer) => element('SupportedBearer', bearer)),
      );
      const list = child(agreed, version === '1.1' ? 'CapabilityList' : 'AgreedCapabilityList');
      return (list?.children ?? [])
        .filter(({ name }) => name === 'SupportedCIRMethod')
        .map(({ text }) => text);
    };
    expect(await methods('1.1')).toEqual(['STCP']);
    expect(await methods('1.3')).toEqual(['STCP', 'SHTTP']);
    await here.close();
    here = await world({}, { pagers: [{ methods: ['WAPSMS', 'SSMS'], page: async () => true }] });
    alice = await here.phone('alice').start();
    expect(await methods('1.3')).toEqual(['WAPSMS', 'SSMS', 'STCP', 'SHTTP']);
    expect(await methods('1.3', 'WSP')).toEqual(['WAPSMS']);
  });

  it('stays WAP push alone over WSP when the capabilities are agreed anew without a word of bearers', async () => {
    await here.close();
    here = await world({}, { pagers: [{ methods: ['WAPSMS'], page: async () => true }] });
    alice = await here.phone('alice').start();
    const bob = here.phone('bob');
    await bob.login2();
    const method = (name: string) => element('SupportedCIRMethod', name);
    const agreed = async (...capabilities: Element[]): Promise<string[]> =>
      textsOf(
        child(
          await bob.request(element('ClientCapability-Request', element('CapabilityList', capabilities))),
          'AgreedCapabilityList',
        ),
        'SupportedCIRMethod',
      );
    expect(await agreed(element('SupportedBearer', 'WSP'), method('WAPSMS'))).toEqual(['WAPSMS']);
    expect(await agreed(method('STCP'), method('WAPSMS'))).toEqual(['WAPSMS']);
    expect(await agreed(element('SupportedBearer', 'HTTP'), method('STCP'))).toEqual(['STCP']);
  });

  it.each([
    { listed: ['STCP', 'SSMS'], used: 'STCP' },
    { listed: ['SSMS', 'STCP'], used: 'SSMS' },
    { listed: ['SHTTP', 'SSMS'], used: 'SSMS' },
    { listed: ['WAPSMS', 'STCP', 'SSMS'], used: 'STCP' },
  ])('is the first of $listed that works: $used', async ({ listed, used }) => {
    await here.close();
    const pages: string[] = [];
    const page = async (_: string, __: object, text: string) => pages.push(text) > 0;
    here = await world({}, { pagers: [{ methods: ['SSMS'], page }] });
    alice = await here.phone('alice').start();
    const bob = here.phone('bob', { msisdn: '+46701234567' });
    await bob.login2();
    await bob.negotiate(...listed.map((method) => element('SupportedCIRMethod', method)));
    const line = connectTo(here.cirPort);
    line.socket.write(`HELO ${bob.sessionId}\r\n`);
    await line.until(1);
    await send('hello');
    await waitFor(() => here.trail.counts().get('imps.cir-sent') === 1);
    expect(here.trail.recent({ code: 'imps.cir-sent' })[0]?.detail).toBe(used);
    expect(pages).toHaveLength(used === 'SSMS' ? 1 : 0);
    if (used === 'STCP') expect(await line.until(2)).toEqual(['OK', 'WVCI 1.3 cookie-1']);
  });

  it('pages nobody who polls over HTTP and listed that first', async () => {
    await here.close();
    const pages: string[] = [];
    const page = async (_: string, __: object, text: string) => pages.push(text) > 0;
    here = await world({}, { pagers: [{ methods: ['SSMS'], page }] });
    alice = await here.phone('alice').start();
    const bob = here.phone('bob', { msisdn: '+46701234567' });
    await bob.login2();
    const agreed = await bob.negotiate(
      element('SupportedCIRMethod', 'SHTTP'),
      element('SupportedCIRMethod', 'SSMS'),
      element('ServerPollMin', 10),
    );
    const url = textOf(child(child(agreed, 'AgreedCapabilityList'), 'CIRHTTPAddress'), 'URL') ?? '';
    expect((await fetch(url)).status).toBe(204);
    await send('found by the poll');
    await waitFor(() => here.trail.counts().get('imps.cir-sent') === 1);
    expect(here.trail.recent({ code: 'imps.cir-sent' })[0]?.detail).toBe('SHTTP');
    here.clock.advance(31_000);
    await bob.messages();
    here.clock.advance(1000);
    await send('it stopped polling');
    await waitFor(() => pages.length > 0);
    expect(pages).toEqual(['WVCI 1.3 cookie-1']);
  });

  it('pages a client over SMS, with its number', async () => {
    await here.close();
    const pages: string[] = [];
    const page = async (method: string, { msisdn }: { msisdn?: string | undefined }, text: string) =>
      pages.push(`${method} ${msisdn} ${text}`) > 0;
    here = await world({}, { pagers: [{ methods: ['SSMS'], page }] });
    alice = await here.phone('alice').start();
    const bob = here.phone('bob', { msisdn: '+46701234567' });
    await bob.login2();
    await bob.negotiate(element('SupportedCIRMethod', 'SSMS'));
    await send('hello');
    await waitFor(() => pages.length > 0);
    expect(pages).toEqual(['SSMS +46701234567 WVCI 1.3 cookie-1']);
  });
});

/** Lets the loop turn until something holds; a test that never gets there ends by its timeout. */
async function waitFor(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
