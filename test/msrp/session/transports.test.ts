import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { MsrpNegotiation, wholeMessages } from '../../../src/msrp/session/index.js';
import { tls } from '../../sip/transport/bench.js';
import { afterwards, anything, octets, startEndpoint, type TestEndpoint } from '../tools/endpoints.js';
import { lineOffer, linePath } from '../tools/line.js';

const kinds = [
  { name: 'tcp', transport: 'tcp', secure: false, uri: /^msrp:\/\/127\.0\.0\.1:\d+\/[\w-]+;tcp$/ },
  { name: 'tls', transport: 'tcp', secure: true, uri: /^msrps:\/\/127\.0\.0\.1:\d+\/[\w-]+;tcp$/ },
  { name: 'ws', transport: 'ws', secure: false, uri: /^msrp:\/\/127\.0\.0\.1:\d+\/[\w-]+;ws$/ },
  { name: 'wss', transport: 'ws', secure: true, uri: /^msrps:\/\/127\.0\.0\.1:\d+\/[\w-]+;ws$/ },
] as const;

async function listening(kind: (typeof kinds)[number]): Promise<TestEndpoint> {
  const started = await startEndpoint({ tls });
  await started.endpoint.listen({ ...kind, host: '127.0.0.1', port: 0 });
  return started;
}

/** A session over WebSocket with a peer that is a client of a library. */
async function webSocketPeer(protocols: string[] = ['msrp']) {
  const { endpoint } = await listening(kinds[2]);
  const heard: string[] = [];
  const receiver = wholeMessages(1_000_000, ({ octets: all }) => {
    heard.push(all.toString('latin1'));
    return 200;
  });
  const session = endpoint.createSession({ receiver }, { transport: 'ws' });
  new MsrpNegotiation(session, anything).answer(lineOffer());
  const port = endpoint.listeners.find(({ kind }) => kind.transport === 'ws')!.port;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/any/path`, protocols);
  afterwards(() => socket.terminate());
  const send = (id: string, body: string, options = {}): void => {
    const head = `MSRP ${id} SEND\r\nTo-Path: ${session.uri.text}\r\nFrom-Path: ${linePath}\r\nMessage-ID: ${id}\r\nContent-Type: text/plain\r\n\r\n`;
    socket.send(Buffer.from(`${head}${body}\r\n-------${id}$\r\n`, 'latin1'), options);
  };
  return { session, socket, heard, send };
}

describe.each(kinds)('a session over $name', (kind) => {
  it('is offered with its own URI, and carries text and a file', async () => {
    const [near, far] = [await startEndpoint({ tls }), await listening(kind)];
    const heard: number[] = [];
    const receiver = wholeMessages(2_000_000, ({ octets: all }) => {
      heard.push(all.equals(octets(all.length)) ? all.length : -1);
      return 200;
    });
    const { transport, secure } = kind;
    const offering = new MsrpNegotiation(
      far.endpoint.createSession({ receiver }, { transport, secure }),
      anything,
    );
    const answering = new MsrpNegotiation(near.endpoint.createSession({ receiver }), {
      ...anything,
      behindNat: true,
    });
    expect(offering.session.uri.text).toMatch(kind.uri);
    const offer = offering.offer().replace('a=setup:passive', 'a=setup:actpass');
    expect(offer).toContain(secure ? ' TCP/TLS/MSRP *' : ' TCP/MSRP *');
    offering.accept(answering.answer(offer));
    const send = (size: number) => ({ contentType: 'a/b', content: octets(size), successReport: true });
    expect(await answering.session.send(send(5)).reported).toBe(200);
    expect(await offering.session.send(send(1_500_000)).reported).toBe(200);
    expect(await answering.session.send(send(1_500_000)).reported).toBe(200);
    expect(heard).toEqual([5, 1_500_000, 1_500_000]);
  });
});

describe('an endpoint with TLS', () => {
  it('holds the certificate against the fingerprint of the description, whoever signed it', async () => {
    const far = await listening(kinds[1]);
    const near = await startEndpoint({});
    const right = `SHA-256 ${new X509Certificate(tls.cert).fingerprint256}`;
    for (const [value, status] of [
      [right, 200],
      [right.replace(/..$/, (digits) => (digits === '00' ? '01' : '00')), 481],
    ] as const) {
      const receiver = wholeMessages(100, () => 200);
      const offering = new MsrpNegotiation(far.endpoint.createSession({ receiver }, { secure: true }), {
        ...anything,
        fingerprint: value,
      });
      const answering = new MsrpNegotiation(near.endpoint.createSession(), { ...anything, behindNat: true });
      answering.answer(offering.offer().replace('a=setup:passive', 'a=setup:actpass'));
      const sending = answering.session.send({ contentType: 'a/b', content: octets(3) });
      expect(await sending.sent).toBe(status);
    }
  });
});

describe('an endpoint with WebSocket (RFC 7977)', () => {
  it('speaks the subprotocol msrp, one message a frame, binary', async () => {
    const { session, socket, heard, send } = await webSocketPeer();
    await once(socket, 'open');
    expect(socket.protocol).toBe('msrp');
    const frames: { text: string; binary: boolean }[] = [];
    socket.on('message', (data: Buffer, binary) => frames.push({ text: data.toString('latin1'), binary }));
    send('text0001', 'as text', { binary: false });
    send('bin00001', 'as octets \0\xff');
    await expect.poll(() => frames.length).toBe(2);
    expect(frames.map(({ text, binary }) => [text.split('\r\n')[0], binary])).toEqual([
      ['MSRP text0001 200 OK', true],
      ['MSRP bin00001 200 OK', true],
    ]);
    expect(heard).toEqual(['as text', 'as octets \0\xff']);
    const sending = session.send({ contentType: 'a/b', content: octets(300_000), failureReport: 'no' });
    expect(await sending.sent).toBe(200);
    await expect.poll(() => frames.map(({ text }) => text).join('')).toMatch(/\$\r\n$/);
    // each frame is one MSRP message, from its start line to its end-line
    for (const { text } of frames) expect(text).toMatch(/^MSRP (\S+) [^]*\r\n-------\1[$+#]\r\n$/);
  });

  it('refuses who speaks another subprotocol, or none, and who asks for a page', async () => {
    for (const protocols of [['sip'], []]) {
      const { socket } = await webSocketPeer(protocols);
      const [error] = (await once(socket, 'error')) as [Error];
      expect(error.message).toContain('400');
    }
    const { endpoint } = await listening(kinds[2]);
    const port = endpoint.listeners.find(({ kind }) => kind.transport === 'ws')!.port;
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(426);
  });
});
