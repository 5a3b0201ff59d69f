import { describe, expect, it, vi } from 'vitest';
import { startApp, type App } from '../../src/app.js';
import { silentLogger } from '../../src/base/log.js';
import { loadConfig } from '../../src/config/load.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import type { Dialog, ServerResponse } from '../../src/sip/stack.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import { afterThisTest, node, type Node } from '../sip/embedded/nodes.js';
import { missing } from '../tools/install.js';
import { RedisServer } from '../tools/redis.js';
import { until } from '../tools/until.js';
import { WebSocketPeer } from '../tools/websocket-peer.js';

async function redis(): Promise<RedisServer> {
  const server = await RedisServer.start();
  afterThisTest(() => server.dispose());
  return server;
}

/** @param drainSeconds what may run on when the node is stopped. */
async function parley(store: string, drainSeconds = 0.01): Promise<App> {
  const config = loadConfig(undefined, {
    PARLEY_STORE: store,
    PARLEY_AUTH: 'none',
    PARLEY_ROLES: 'core',
    PARLEY_SIP_LISTEN: 'udp:127.0.0.1:0,tcp:127.0.0.1:0',
    PARLEY_HTTP_LISTEN: '127.0.0.1:0',
  });
  const { registrar } = config;
  const brief = { ...registrar, expires: { ...registrar.expires, minimum: 1 } };
  const app = await startApp({ ...config, registrar: brief, drainSeconds }, silentLogger);
  let stopped = false;
  const stop = (): Promise<void> => app.stop();
  const once = { ...app, stop: async () => (stopped ? undefined : ((stopped = true), await stop())) };
  afterThisTest(() => once.stop());
  return once;
}

const uriOf = (app: App, protocol: 'udp' | 'tcp'): string => {
  const { address, port } = app.stack.listeners.find((one) => one.protocol === protocol)!;
  return `sip:${address}:${port}${protocol === 'udp' ? '' : `;transport=${protocol}`}`;
};

const instance = '"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"';

/** Registers a device of alice at one node. */
async function register(
  device: Node,
  app: App,
  protocol: 'udp' | 'tcp',
  contact: string,
  id = 'reg1',
  cseq = 1,
  expires = '600',
): Promise<number> {
  const route = [`<${uriOf(app, protocol)};lr>`];
  const answer = await device.stack.request('sip:ims.test', {
    method: 'REGISTER',
    route,
    headers: {
      From: '<sip:alice@ims.test>;tag=r',
      To: '<sip:alice@ims.test>',
      'Call-ID': id,
      CSeq: `${cseq} REGISTER`,
      Contact: contact,
      Supported: 'path, gruu, outbound',
      Expires: expires,
    },
  });
  return answer.status;
}

const message = (app: App, from: Node, to: string): Promise<{ status: number }> =>
  from.stack.request(to, {
    method: 'MESSAGE',
    route: [`<${uriOf(app, 'udp')};lr>`],
    headers: { From: '<sip:bob@ims.test>;tag=m', 'Content-Type': 'text/plain' },
    body: 'hello',
  });

describe.skipIf(missing('redis-server'))('two Parleys on one Redis', () => {
  it('are one registrar: what registers at A over TCP is reached through B, over A', async () => {
    const { url } = await redis();
    const [a, b] = [await parley(url), await parley(url)];
    const [device, sender] = [await node(), await node()];
    const seen: SipRequest[] = [];
    device.stack.on('MESSAGE', (request, response) => {
      seen.push(request);
      response.send(200);
    });
    expect(
      await register(
        device,
        a,
        'tcp',
        `<sip:alice@device.invalid;transport=tcp>;+sip.instance=${instance};reg-id=1`,
      ),
    ).toBe(200);
    await until(async () => (await message(b, sender, 'sip:alice@ims.test')).status === 200);
    expect(seen).toHaveLength(1);
    expect(seen[0]!.headers.list('Via')).toHaveLength(3);
    // what B asserts A believes, though neither trusts an address
    expect(seen[0]!.get('P-Asserted-Identity')).toBe('<sip:bob@ims.test>');
    expect(seen[0]!.has('Parley-Node-Seal')).toBe(false);
    expect((await message(a, sender, 'sip:alice@ims.test')).status).toBe(200);
  });

  it('carry a call from B to a device whose connection is at A, in both directions and to its end', async () => {
    const { url } = await redis();
    const [a, b] = [await parley(url), await parley(url)];
    const [device, caller] = [await node(), await node()];
    const session = { headers: { 'Content-Type': 'application/sdp' }, body: 'v=0\r\n' };
    const called: Dialog[] = [];
    device.stack.on('INVITE', async (request, response) => {
      called.push(await device.stack.createUAS(request, response, session));
    });
    const contact = `<sip:alice@device.invalid;transport=tcp>;+sip.instance=${instance};reg-id=1`;
    expect(await register(device, a, 'tcp', contact)).toBe(200);
    const call = await caller.stack.createUAC('sip:alice@ims.test;gr=' + instance.slice(2, -2), {
      method: 'INVITE',
      route: [`<${uriOf(b, 'udp')};lr>`],
      ...session,
      headers: { ...session.headers, From: '<sip:bob@ims.test>;tag=c' },
    });
    call.onRequest((_request, response) => void response.send(298));
    await until(() => called.length === 1);
    called[0]!.onRequest((_request, response) => void response.send(299));
    expect((await call.send({ method: 'INFO' })).status).toBe(299);
    expect((await called[0]!.send({ method: 'INFO' })).status).toBe(298);
    await call.destroy();
    expect(called[0]!.state).toBe('terminated');
  });

  it('take at B the refresh of a flow that lives at A: requests then travel through B', async () => {
    const { url } = await redis();
    const [a, b] = [await parley(url), await parley(url)];
    const [device, sender] = [await node(), await node()];
    device.stack.on('MESSAGE', (_request, response) => void response.send(200));
    const contact = `<sip:alice@device.invalid;transport=tcp>;+sip.instance=${instance};reg-id=1`;
    expect(await register(device, a, 'tcp', contact)).toBe(200);
    expect(await register(device, b, 'tcp', contact, 'reg1', 2)).toBe(200);
    expect((await b.registrar!.lookup('sip:alice@ims.test'))?.bindings).toHaveLength(1);
    await a.stop();
    expect((await message(b, sender, 'sip:alice@ims.test')).status).toBe(200);
  });

  it('take at A, while it drains, what B sends to a device whose connection is there, and nothing new from others', async () => {
    const { url } = await redis();
    const [a, b] = [await parley(url, 60), await parley(url)];
    const [device, sender] = [await node(), await node()];
    const waiting: ServerResponse[] = [];
    device.stack.on('MESSAGE', (_request, response) => {
      if (waiting.length > 0) response.send(200);
      else waiting.push(response);
    });
    const contact = `<sip:alice@device.invalid;transport=tcp>;+sip.instance=${instance};reg-id=1`;
    expect(await register(device, a, 'tcp', contact)).toBe(200);
    const first = message(b, sender, 'sip:alice@ims.test');
    await until(() => waiting.length === 1);
    const stopped = a.stop();
    await until(() => a.stack.trouble() === 'draining');
    expect((await message(b, sender, 'sip:alice@ims.test')).status).toBe(200);
    expect((await message(a, sender, 'sip:alice@ims.test')).status).toBe(503);
    waiting[0]!.send(200);
    expect((await first).status).toBe(200);
    await stopped;
    // with the connection its binding has gone
    expect((await message(b, sender, 'sip:alice@ims.test')).status).toBe(480);
  });

  it('let a binding expire once', async () => {
    const { url } = await redis();
    const [a, b] = [await parley(url), await parley(url)];
    const device = await node();
    expect(await register(device, a, 'udp', `<${device.uri()}>`, 'brief', 1, '1')).toBe(200);
    const expired = (): number =>
      [a, b].reduce((sum, { trail }) => sum + (trail.counts().get('register.expired') ?? 0), 0);
    await until(() => expired() > 0);
    const looked = vi.spyOn(RedisStore.prototype, 'due');
    afterThisTest(async () => looked.mockRestore());
    // the second look of a node begins when its first one has acted
    const looks = (): number[] => {
      const stores = looked.mock.contexts.filter((_, i) => looked.mock.calls[i]![0].name === 'registrations');
      return [...new Set(stores)].map((store) => stores.filter((one) => one === store).length);
    };
    await until(() => looks().filter((times) => times >= 2).length === 2);
    expect(expired()).toBe(1);
  });

  it('route a GRUU minted at A at B', async () => {
    const { url } = await redis();
    const [a, b] = [await parley(url), await parley(url)];
    const [device, sender] = [await node(), await node()];
    device.stack.on('MESSAGE', (_request, response) => void response.send(200));
    expect(await register(device, a, 'udp', `<${device.uri()}>;+sip.instance=${instance}`)).toBe(200);
    const gruu = 'sip:alice@ims.test;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6';
    expect((await message(b, sender, gruu)).status).toBe(200);
  });

  it('reach through A, where its WebSocket is, a device for which a request comes to B', async () => {
    const { url } = await redis();
    const [a, b] = [await parley(url), await parley(url)];
    const browser = await WebSocketPeer.open(Number(new URL(a.http.url).port));
    afterThisTest(() => browser.close());
    browser.send(`REGISTER sip:ims.test SIP/2.0
      Via: SIP/2.0/WS browser.invalid;branch=z9hG4bKws1
      Max-Forwards: 70
      From: <sip:alice@ims.test>;tag=w
      To: <sip:alice@ims.test>
      Call-ID: ws-1
      CSeq: 1 REGISTER
      Contact: <sip:alice@browser.invalid;transport=ws>;reg-id=1;+sip.instance=${instance}
      Supported: path, outbound
      Expires: 600
      Content-Length: 0`);
    expect((await browser.final()).status).toBe(200);
    const sender = await node();
    // B was started last and knows A from its start
    const sent = message(b, sender, 'sip:alice@ims.test');
    const arrived = await browser.request('MESSAGE');
    expect(arrived.headers.list('Via')).toHaveLength(3);
    expect(arrived.headers.list('Via')[0]).toMatch(/^SIP\/2\.0\/WS/);
    browser.answer(arrived, 200);
    expect((await sent).status).toBe(200);
  });

  it('lose with a node what its connections reached, and ring the other devices', async () => {
    const { url } = await redis();
    const [a, b] = [await parley(url), await parley(url)];
    const [onTcp, onUdp, sender] = [await node(), await node(), await node()];
    onUdp.stack.on('MESSAGE', (_request, response) => void response.send(200));
    await register(
      onTcp,
      a,
      'tcp',
      `<sip:alice@device.invalid;transport=tcp>;+sip.instance=${instance};reg-id=1`,
    );
    await register(onUdp, b, 'udp', `<${onUdp.uri()}>`, 'reg2');
    await a.stop();
    await until(async () => (await b.registrar!.lookup('sip:alice@ims.test'))?.bindings.length === 1);
    expect((await message(b, sender, 'sip:alice@ims.test')).status).toBe(200);
  });
});
