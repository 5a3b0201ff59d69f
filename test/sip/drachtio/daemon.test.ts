import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Dialog } from '../../../src/sip/stack.js';
import { Daemon, noDaemon } from '../../tools/drachtio-daemon.js';
import { drachtioStack, startedDrachtioStack } from '../../tools/drachtio-stack.js';
import { freePort } from '../../tools/free-port.js';
import { runningTime } from '../../tools/running-time.js';
import { until } from '../../tools/until.js';
import { afterThisTest, node } from '../embedded/nodes.js';

/** What connects to `port` goes on to `onward`. @returns the connections that are open now. */
async function passOn(port: number, onward: number): Promise<ReadonlySet<Socket>> {
  const open = new Set<Socket>();
  const server = createTcpServer((near) => {
    const far = connect(onward, '127.0.0.1');
    open.add(near);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk: Buffer) => to.write(chunk));
      from.on('error', () => {});
      from.on('close', () => {
        open.delete(near);
        to.destroy();
      });
    }
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  afterThisTest(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return open;
}

/** `<request-handlers>` by which the server connects to that port with each new request. */
const outbound = (port: number, method = '*', scheme = 'tcp'): string =>
  `<request-handlers><request-handler sip-method="${method}">${scheme}://127.0.0.1:${port}</request-handler></request-handlers>`;

const file = (name: string): string => fileURLToPath(new URL(`../transport/certs/${name}`, import.meta.url));

describe.skipIf(noDaemon)('a real drachtio-server', () => {
  it('that is killed in mid-call is missed, and calls go through it within 5 s of its return', async () => {
    const server = await Daemon.start();
    const stack = await startedDrachtioStack(server.url);
    const caller = await node();
    const dialogs: Dialog[] = [];
    stack.on(
      'INVITE',
      async (request, response) => void dialogs.push(await stack.createUAS(request, response)),
    );
    const target = `sip:x@127.0.0.1:${server.sip}`;
    await caller.stack.createUAC(target, { method: 'INVITE' });
    await server.kill();
    await until(() => stack.trouble() !== undefined);
    expect((await dialogs[0]!.send({ method: 'INFO' })).status).toBe(503);
    server.start();
    const passed = runningTime();
    await until(() => stack.trouble() === undefined);
    expect(passed()).toBeLessThan(5_000);
    const again = await caller.stack.createUAC(target, { method: 'INVITE' });
    await again.destroy();
    expect(dialogs[1]!.state).toBe('terminated');
  }, 20_000);

  it('with another secret is no use, the stack says why, and who has the right one is served', async () => {
    const server = await Daemon.start();
    const { stack } = drachtioStack(server.url.replace('cymru', 'wrong'));
    await until(() => stack.trouble()?.includes('incorrect secret') === true);
    expect((await stack.request('sip:127.0.0.1:9', { method: 'OPTIONS' })).status).toBe(503);
    expect((await startedDrachtioStack(server.url)).trouble()).toBeUndefined();
  }, 20_000);

  it('one of several: requests come through both', async () => {
    const [one, two] = [await Daemon.start(), await Daemon.start()];
    const stack = await startedDrachtioStack(
      `drachtio://:cymru@127.0.0.1:${one.admin},127.0.0.1:${two.admin}`,
    );
    await until(() => stack.listeners.length === 4);
    stack.on('OPTIONS', (_request, response) => void response.send(200));
    const peer = await node();
    for (const { sip } of [one, two])
      expect((await peer.stack.request(`sip:127.0.0.1:${sip}`, { method: 'OPTIONS' })).status).toBe(200);
  }, 20_000);

  it('gives new requests to the other application as soon as one drains', async () => {
    const server = await Daemon.start();
    const [one, two] = [await startedDrachtioStack(server.url), await startedDrachtioStack(server.url)];
    for (const stack of [one, two]) stack.on('MESSAGE', (_request, response) => void response.send(202));
    await one.drain(1);
    const peer = await node();
    for (let i = 0; i < 4; i++)
      expect((await peer.stack.request(`sip:127.0.0.1:${server.sip}`, { method: 'MESSAGE' })).status).toBe(
        202,
      );
  }, 20_000);

  it('that connects to us with each request has it answered', async () => {
    const port = await freePort();
    const server = await Daemon.start({ handlers: outbound(port, 'MESSAGE') });
    const stack = await startedDrachtioStack(`${server.url}?listen=127.0.0.1:${port}`);
    let seen = 0;
    stack.on('MESSAGE', (_request, response) => {
      seen++;
      response.send(202);
    });
    const peer = await node();
    const answer = await peer.stack.request(`sip:127.0.0.1:${server.sip}`, { method: 'MESSAGE' });
    expect([answer.status, seen]).toEqual([202, 1]);
  }, 20_000);

  it('that connects to us over TLS has each request answered, and is not heard without', async () => {
    const port = await freePort();
    const files = `cert=${file('server.pem')}&key=${file('server.key')}`;
    const server = await Daemon.start({ handlers: outbound(port, 'MESSAGE', 'tls') });
    const stack = await startedDrachtioStack(`${server.url}?listen=127.0.0.1:${port}&${files}`);
    stack.on('MESSAGE', (_request, response) => void response.send(202));
    const peer = await node();
    const answer = await peer.stack.request(`sip:127.0.0.1:${server.sip}`, { method: 'MESSAGE' });
    expect(answer.status).toBe(202);

    const plain = connect(port, '127.0.0.1');
    let heard = '';
    plain.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
    plain.write('1#x');
    await once(plain, 'close');
    expect(heard).not.toContain('authenticate');
  }, 20_000);

  it('that connects to us has each connection closed when nothing more can come over it, whoever ends what came', async () => {
    const [named, port] = [await freePort(), await freePort()];
    const open = await passOn(named, port);
    const server = await Daemon.start({ handlers: outbound(named) });
    const stack = await startedDrachtioStack(`${server.url}?listen=127.0.0.1:${port}`);
    const dialogs: Dialog[] = [];
    stack.on('INVITE', async (request, response) => {
      if (request.requestUri.user === 'busy') response.send(486);
      else dialogs.push(await stack.createUAS(request, response));
    });
    stack.on('SUBSCRIBE', async (request, response) => {
      dialogs.push(await stack.createUAS(request, response, { headers: { Expires: '600' } }));
    });
    stack.on('MESSAGE', (_request, response) => void response.send(202));
    const peer = await node();
    const to = (user: string): string => `sip:${user}@127.0.0.1:${server.sip}`;

    await peer.stack.request(to('x'), { method: 'MESSAGE' });
    await expect(peer.stack.createUAC(to('busy'), { method: 'INVITE' })).rejects.toThrow();
    const kept = await peer.stack.createUAC(to('x'), { method: 'INVITE' });
    await peer.stack.createUAC(to('x'), { method: 'INVITE' });
    await peer.stack.createUAC(to('x'), {
      method: 'SUBSCRIBE',
      headers: { Event: 'reg', Expires: '600' },
    });
    await until(() => dialogs.length === 3);
    expect(open.size).toBe(5);
    await dialogs[1]!.destroy();
    await dialogs[2]!.destroy();
    await until(() => open.size === 1);
    expect((await kept.send({ method: 'INFO' })).status).toBe(200);
    await kept.destroy();
    await until(() => open.size === 0);
  }, 30_000);

  it('with a request router chooses the application by its tag', async () => {
    const router = createServer((_request, response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ action: 'route', data: { tag: 'green' } }));
    }).listen(0, '127.0.0.1');
    await once(router, 'listening');
    afterThisTest(() => void router.close());
    const { port } = router.address() as AddressInfo;
    const server = await Daemon.start({
      handlers: `<request-handlers><request-handler sip-method="MESSAGE" http-method="GET">http://127.0.0.1:${port}</request-handler></request-handlers>`,
    });
    const seen: string[] = [];
    for (const tag of ['blue', 'green']) {
      const stack = await startedDrachtioStack(`${server.url}?tags=${tag}`);
      stack.on('MESSAGE', (_request, response) => {
        seen.push(tag);
        response.send(202);
      });
    }
    const peer = await node();
    for (let i = 0; i < 4; i++)
      expect((await peer.stack.request(`sip:127.0.0.1:${server.sip}`, { method: 'MESSAGE' })).status).toBe(
        202,
      );
    expect(seen).toEqual(['green', 'green', 'green', 'green']);
  }, 20_000);

  it('is spoken to over TLS, whose certificate it must prove, also after it was killed', async () => {
    const tls = { key: file('server.key'), cert: file('server.pem'), dh: file('dh.pem') };
    const server = await Daemon.start({ tls });
    const stack = await startedDrachtioStack(
      `${server.url}?tls=on&ca=${file('ca.pem')}&servername=sip.ims.test`,
    );
    stack.on('OPTIONS', (_request, response) => void response.send(200));
    const peer = await node();
    const ask = (): Promise<{ status: number }> =>
      peer.stack.request(`sip:127.0.0.1:${server.sip}`, { method: 'OPTIONS' });
    expect((await ask()).status).toBe(200);
    await server.kill();
    await until(() => stack.trouble() !== undefined);
    server.start();
    await until(() => stack.trouble() === undefined);
    expect((await ask()).status).toBe(200);

    const { stack: distrusting } = drachtioStack(`${server.url}?tls=on&servername=sip.ims.test`);
    await until(() => /certificate/.test(distrusting.trouble() ?? ''));
  }, 20_000);
});
