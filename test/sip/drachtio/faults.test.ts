import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { FrameReader, writeFrame } from '../../../src/sip/drachtio/frames.js';
import { drachtioStack } from '../../tools/drachtio-stack.js';
import { FakeDrachtio } from '../../tools/fake-drachtio.js';
import { freePort } from '../../tools/free-port.js';
import { runningTime } from '../../tools/running-time.js';
import { until } from '../../tools/until.js';
import { afterThisTest } from '../embedded/nodes.js';

async function fakeServer(port = 0): Promise<FakeDrachtio> {
  const fake = await FakeDrachtio.start(port);
  afterThisTest(() => fake.stop());
  return fake;
}

const options = `OPTIONS sip:ims.test SIP/2.0
  Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKf1
  From: <sip:a@ims.test>;tag=a
  To: <sip:ims.test>
  Call-ID: fake
  CSeq: 1 OPTIONS
  Max-Forwards: 70
  Content-Length: 0`;

describe('when the drachtio-server', () => {
  it('refuses the secret, the stack says so, lives, and starts when the secret is right', async () => {
    const fake = await fakeServer();
    fake.secret = 'other';
    const { stack, started } = drachtioStack(fake.url);
    await until(() => stack.trouble()?.includes('incorrect secret') === true);
    fake.secret = 'cymru';
    await started;
    expect(stack.trouble()).toBeUndefined();
  });

  it('has just begun and has not opened all its listeners, the stack knows the others soon', async () => {
    const gone = await fakeServer();
    const { port, url } = gone;
    await gone.stop();
    const { stack, started } = drachtioStack(url);
    await until(() => stack.trouble()?.includes('ECONNREFUSED') === true);
    const fake = await fakeServer(port);
    await started;
    expect(stack.listeners.map(({ protocol }) => protocol)).toEqual(['udp']);
    fake.listeners = 'tcp/127.0.0.1:5060,udp/127.0.0.1:5060';
    await until(() => stack.listeners.length > 1);
    expect(stack.listeners.map(({ protocol }) => protocol)).toEqual(['udp', 'tcp']);
    expect(stack.trouble()).toBeUndefined();
  });

  it('is not there yet, the stack starts when it comes', async () => {
    const gone = await fakeServer();
    const { port, url } = gone;
    await gone.stop();
    const { stack, started } = drachtioStack(url);
    await until(() => stack.trouble()?.includes('ECONNREFUSED') === true);
    await fakeServer(port);
    await started;
    expect(stack.listeners).toHaveLength(1);
  });

  it('dies with requests under way, they fail at once and the stack is back within 5 seconds of its return', async () => {
    const fake = await fakeServer();
    const { stack, started } = drachtioStack(fake.url);
    await started;
    const running = [1, 2].map(() => stack.request('sip:bob@127.0.0.1:5999', { method: 'OPTIONS' }));
    await until(() => fake.commands.filter(([, command]) => command === 'sip').length === 2);
    const { port } = fake;
    await fake.stop();
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([503, 503]);
    expect(stack.trouble()).toBeDefined();
    expect((await stack.request('sip:bob@127.0.0.1:5999', { method: 'OPTIONS' })).status).toBe(503);
    await fakeServer(port);
    const passed = runningTime();
    await until(() => stack.trouble() === undefined);
    expect(passed()).toBeLessThan(5_000);
  });

  it('sends what is no frame, the connection is made anew and nothing crashes', async () => {
    const fake = await fakeServer();
    const { stack, started } = drachtioStack(fake.url);
    await started;
    fake.send(Buffer.from('not a frame#'));
    await until(() => stack.trouble() !== undefined);
    await until(() => stack.trouble() === undefined);
    expect(fake.commands.filter(([, command]) => command === 'authenticate')).toHaveLength(2);
  });

  it('sends an event of a kind nobody knows, or a message that is none, the next request is answered', async () => {
    const fake = await fakeServer();
    const { stack, started } = drachtioStack(fake.url);
    await started;
    stack.on('OPTIONS', (_request, response) => void response.send(200));
    fake.send('x|brand-new|thing');
    fake.send('x|sip|network');
    fake.send('x|response|nobody|OK');
    fake.request('t0', 'garbage');
    fake.request('t1', options);
    await until(() =>
      fake.commands.some(([, command, transaction]) => command === 'sip' && transaction === 't1'),
    );
    expect(fake.commands.filter(([, command]) => command === 'sip')).toHaveLength(1);
  });

  it('sends requests before it has heard of all verbs, a hundred wait and the others are refused with 503', async () => {
    const fake = await fakeServer();
    fake.holdsRoutes = true;
    const { stack, started } = drachtioStack(fake.url);
    stack.on('OPTIONS', (_request, response) => void response.send(200));
    await until(() => fake.commands.some(([, command]) => command === 'route'));
    for (let i = 0; i < 102; i++)
      fake.request(`t${i}`, options.replace('Call-ID: fake', `Call-ID: fake-${i}`));
    await until(() => fake.sent.length === 2);
    const refused = fake.sent.map(({ transaction, text }) => `${transaction} ${text.slice(0, 11)}`);
    expect(refused).toEqual(['t100 SIP/2.0 503', 't101 SIP/2.0 503']);
    expect(stack.trouble()).toBeDefined();
    fake.release();
    await started;
    await until(() => fake.sent.length === 102);
    expect(fake.sent.slice(2).every(({ text }) => text.startsWith('SIP/2.0 200'))).toBe(true);
  });

  it('is too slow for what is to go out, new requests are refused with 503 and it is still answered, up to a limit', async () => {
    const fake = await fakeServer();
    const { stack, trail, started } = drachtioStack(fake.url);
    await started;
    fake.answers = false;
    const large = { headers: { 'Content-Type': 'text/plain' }, body: 'x'.repeat(10_000) };
    const statuses: number[] = [];
    const send = (): void =>
      void stack
        .request('sip:bob@127.0.0.1:5999', { method: 'MESSAGE', ...large })
        .then(({ status }) => statuses.push(status));
    for (let i = 0; i < 500; i++) send();
    await until(() => statuses.length > 0);
    const refused = statuses.length;
    expect(new Set(statuses)).toEqual(new Set([503]));
    expect(refused).toBeGreaterThan(50);
    expect(refused).toBeLessThan(110);

    stack.on('OPTIONS', (_request, response) => void response.send(200, large));
    for (let i = 0; i < 500; i++)
      fake.request(`t${i}`, options.replace('Call-ID: fake', `Call-ID: fake-${i}`));
    const unsent = (): number => trail.counts().get('sip.drachtio-response-refused') ?? 0;
    await until(() => unsent() > 50);
    expect(unsent()).toBeLessThan(110);
    expect(stack.trouble()).toBeUndefined();
  });

  it('is one of two with the same listeners, what came over it is answered over it', async () => {
    const [one, two] = [await fakeServer(), await fakeServer()];
    const { stack, started } = drachtioStack(`${one.url},127.0.0.1:${two.port}`);
    await started;
    const flows: string[] = [];
    stack.on('OPTIONS', (request, response) => {
      flows.push(request.source.flow);
      response.send(200);
    });
    await until(() => two.commands.some(([, command, verb]) => command === 'route' && verb === 'refer'));
    two.request('t1', options);
    await until(() => two.sent.length === 1);
    void stack.request('sip:a@127.0.0.1:5999', { method: 'OPTIONS', flow: flows[0]! });
    await until(() => two.sent.length === 2);
    expect(one.sent).toHaveLength(0);
  });

  it('connects to us, it is believed when it comes from an address of the settings and has taken the secret', async () => {
    const fake = await fakeServer();
    const port = await freePort();
    const { stack, started } = drachtioStack(`${fake.url}?listen=127.0.0.1:${port}`);
    await started;
    let seen = 0;
    stack.on('OPTIONS', (_request, response) => {
      seen++;
      response.send(200);
    });
    const dial = async (localAddress: string): Promise<{ socket: Socket; frames: string[][] }> => {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      afterThisTest(() => void socket.destroy());
      const frames: string[][] = [];
      const reader = new FrameReader();
      socket.on('data', (chunk: Buffer) => {
        for (const { fields } of reader.push(chunk)) frames.push([...fields]);
      });
      await once(socket, 'connect');
      return { socket, frames };
    };
    const asked = writeFrame(
      's1|sip|network|10|udp|10.9.9.9|5060|10:00:00.000000|t1||127.0.0.1|5060||',
      Buffer.from(`${options.replace(/\n[ ]*/g, '\r\n')}\r\n\r\n`),
    );

    const stranger = await dial('127.0.0.2');
    stranger.socket.write(asked);
    await once(stranger.socket, 'close');
    expect(stranger.frames).toEqual([]);

    const server = await dial('127.0.0.1');
    server.socket.write(asked);
    await until(() => server.frames.length === 1);
    const [[id, command]] = server.frames as [string[]];
    expect(command).toBe('authenticate');
    expect(seen).toBe(0);
    server.socket.write(writeFrame(`s2|response|${id}|OK|${fake.listeners}|v0.9.10|${fake.listeners}`));
    await until(() => server.frames.some(([, one, transaction]) => one === 'sip' && transaction === 't1'));
    expect(seen).toBe(1);
  });

  it('is closed by us while the stack still waits for it, the start ends with an error', async () => {
    const { stack, started } = drachtioStack('drachtio://:x@127.0.0.1:1');
    await until(() => stack.trouble()?.includes('ECONNREFUSED') === true);
    await stack.close();
    await expect(started).rejects.toThrow(/closed/);
  });
});
