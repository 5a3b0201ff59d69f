import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import type { ClientFailure, NextHop } from '../../../src/sip/transaction/layer.js';
import { makeResponse } from '../../../src/sip/transaction/derived.js';
import { options, Peer, startServer, tls, until, type Server } from './bench.js';

let server: Server;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  await server.close();
});

/** A TCP server that hands over each connection. */
async function listen(): Promise<{ port: number; next: () => Promise<Peer>; count: () => number }> {
  const listener = createServer();
  const sockets: Socket[] = [];
  listener.on('connection', (socket) => sockets.push(socket));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  let taken = 0;
  const next = async (): Promise<Peer> => {
    await until(() => sockets.length > taken);
    return new Peer(sockets[taken++]!);
  };
  return { port: (listener.address() as AddressInfo).port, next, count: () => sockets.length };
}

function send(hop: NextHop): { statuses: number[]; failures: ClientFailure[] } {
  const heard = { statuses: [] as number[], failures: [] as ClientFailure[] };
  const headers = Headers.from({
    'Max-Forwards': 70,
    From: '<sip:ims.test>;tag=s',
    To: '<sip:bob@ims.test>',
    'Call-ID': 'out',
    CSeq: '1 OPTIONS',
  });
  server.layer.send(new SipRequest('OPTIONS', 'sip:bob@ims.test', headers), hop, {
    onResponse: (response) => heard.statuses.push(response.status),
    onFailure: (failure) => heard.failures.push(failure),
  });
  return heard;
}

/** The 200 to a request as it stands in a stream. */
const ok = (request: string): string =>
  ['SIP/2.0 200 OK', ...request.split('\r\n').filter((line) => /^(Via|From|To|Call-ID|CSeq)/.test(line))]
    .concat('Content-Length: 0', '', '')
    .join('\r\n');

describe('TCP', () => {
  it('answers over the connection of the request, messages cut by Content-Length, whatever the segments', async () => {
    server = await startServer('tcp:127.0.0.1:0');
    const peer = Peer.tcp(server.port('tcp'));
    const text = options('TCP 192.0.2.7:5060', 'one') + options('TCP 192.0.2.7:5060', 'two');
    peer.send(text.slice(0, 90));
    await until(() => server.transports.connections === 1);
    peer.send(text.slice(90));
    const first = await peer.take(/\r\n\r\n/);
    expect(first).toContain(
      'SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 192.0.2.7:5060;branch=z9hG4bKone;received=127.0.0.1',
    );
    expect(await peer.take(/\r\n\r\n/)).toContain('Call-ID: two');
  });

  it('answers CRLF CRLF with CRLF (RFC 5626 §4.4.1)', async () => {
    server = await startServer('tcp:[::1]:0');
    const peer = Peer.tcp(server.port('tcp'), '::1');
    peer.send('\r\n\r\n');
    expect(await peer.take(/\n/)).toBe('\r\n');
  });

  it('answers a message without Content-Length 400 and closes, because the next cannot be found', async () => {
    server = await startServer('tcp:127.0.0.1:0');
    const peer = Peer.tcp(server.port('tcp'));
    peer.send(options('TCP 127.0.0.1', 'one').replace('Content-Length: 0\r\n', ''));
    expect(await peer.take(/\r\n\r\n/)).toMatch(/^SIP\/2\.0 400 /);
    await peer.whenClosed();
    await until(() => server.closedFlows.length === 1);
  });

  it('answers over a new connection to received and the port of sent-by when the old one has gone (RFC 3261 §18.2.2)', async () => {
    server = await startServer('tcp:127.0.0.1:0');
    const listener = await listen();
    server.layer.onRequest = (transaction) => server.requests.push(transaction);
    const peer = Peer.tcp(server.port('tcp'));
    peer.send(options(`TCP client.invalid:${listener.port}`, 'one'));
    await until(() => server.requests.length === 1);
    peer.socket.destroy();
    await until(() => server.closedFlows.length === 1);
    const [transaction] = server.requests;
    transaction!.respond(makeResponse(transaction!.request, 200, 'late'));
    expect(await (await listener.next()).take(/\r\n\r\n/)).toMatch(/^SIP\/2\.0 200 OK/);
  });

  it('sends requests to one peer over one connection, and hears the responses on it', async () => {
    server = await startServer('tcp:127.0.0.1:0');
    const listener = await listen();
    const hop: NextHop = { protocol: 'tcp', address: '127.0.0.1', port: listener.port };
    const heard = send(hop);
    const peer = await listener.next();
    const request = await peer.take(/\r\n\r\n/);
    expect(request).toContain(`Via: SIP/2.0/TCP 127.0.0.1:${server.port('tcp')};branch=z9hG4bK`);
    peer.send(ok(request));
    await until(() => heard.statuses.length === 1);
    send(hop);
    await peer.take(/\r\n\r\n/);
    expect([heard.statuses, listener.count()]).toEqual([[200], 1]);
  });

  it('reports a refused connection as a transport failure', async () => {
    server = await startServer('tcp:127.0.0.1:0');
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    await new Promise((resolve) => listener.close(resolve));
    const heard = send({ protocol: 'tcp', address: '127.0.0.1', port });
    await until(() => heard.failures.length === 1);
    expect(heard.failures).toEqual(['transport']);
  });
});

describe('flows over connections (RFC 5626 §5)', () => {
  it('carry a request to exactly the connection that they name', async () => {
    server = await startServer('tcp:127.0.0.1:0');
    const [one, two] = [Peer.tcp(server.port('tcp')), Peer.tcp(server.port('tcp'))];
    one.send(options('TCP 127.0.0.1', 'one'));
    await one.take(/\r\n\r\n/);
    two.send(options('TCP 127.0.0.1', 'two'));
    await two.take(/\r\n\r\n/);
    const { flow } = server.requests[0]!.source;
    expect(flow).not.toBe(server.requests[1]!.source.flow);
    send(server.transports.hopOfFlow(flow)!);
    expect(await one.take(/\r\n\r\n/)).toMatch(/^OPTIONS sip:bob@ims\.test/);
    expect(two.text).toBe('');
  });

  it('fail when the connection has gone, which is told once', async () => {
    server = await startServer('tcp:127.0.0.1:0');
    const peer = Peer.tcp(server.port('tcp'));
    peer.send(options('TCP 127.0.0.1', 'one'));
    await peer.take(/\r\n\r\n/);
    const { flow } = server.requests[0]!.source;
    const hop = server.transports.hopOfFlow(flow)!;
    peer.socket.destroy();
    await until(() => server.closedFlows.length > 0);
    expect([server.closedFlows, server.transports.hopOfFlow(flow)]).toEqual([[flow], undefined]);
    const heard = send(hop);
    await until(() => heard.failures.length === 1);
    expect(heard.failures).toEqual(['flow-failed']);
  });

  it('of an earlier process name no connection of this one', async () => {
    server = await startServer('tcp:127.0.0.1:0');
    const flowOfFirst = async (): Promise<string> => {
      const peer = Peer.tcp(server.port('tcp'));
      peer.send(options('TCP 127.0.0.1', 'one'));
      await peer.take(/\r\n\r\n/);
      return server.requests[0]!.source.flow;
    };
    const earlier = await flowOfFirst();
    await server.close();
    server = await startServer('tcp:127.0.0.1:0');
    await flowOfFirst();
    expect(server.transports.hopOfFlow(earlier)).toBeUndefined();
  });
});

describe('limits on connections', () => {
  it('refuse one connection more than an address may have, and take one again when another has gone', async () => {
    server = await startServer('tcp:127.0.0.1:0', { connectionsPerAddress: 2 });
    const peers = [Peer.tcp(server.port('tcp')), Peer.tcp(server.port('tcp'))];
    for (const [index, peer] of peers.entries()) {
      peer.send(options('TCP 127.0.0.1', `p${index}`));
      await peer.take(/200 OK/);
    }
    await Peer.tcp(server.port('tcp')).whenClosed();
    expect(server.trail.counts().get('sip.connection-refused')).toBe(1);
    peers[0]!.socket.destroy();
    await until(() => server.transports.connections === 1);
    const another = Peer.tcp(server.port('tcp'));
    another.send(options('TCP 127.0.0.1', 'again'));
    await another.take(/200 OK/);
  });

  it('refuse connections beyond the whole number', async () => {
    server = await startServer('tcp:127.0.0.1:0', { connections: 0 });
    await Peer.tcp(server.port('tcp')).whenClosed();
    expect(server.trail.recent()[0]).toMatchObject({ code: 'sip.connection-refused', outcome: 'refused' });
  });

  it('close a connection that sends nothing whole in time, though it drips octets', async () => {
    server = await startServer('tcp:127.0.0.1:0', { stallMs: 1000 });
    const peer = Peer.tcp(server.port('tcp'));
    peer.send('OPTIONS sip:a@b SIP/2.0\r\nX: ');
    await until(() => server.transports.connections === 1);
    server.clock.advance(900);
    peer.send('y');
    server.clock.advance(400);
    await peer.whenClosed();
  });

  it('close a connection on which nothing came for the idle time, but not one with keep-alives', async () => {
    server = await startServer('tcp:127.0.0.1:0', { idleMs: 60_000 });
    const [silent, alive] = [Peer.tcp(server.port('tcp')), Peer.tcp(server.port('tcp'))];
    for (const peer of [silent, alive]) {
      peer.send(options('TCP 127.0.0.1', peer === alive ? 'alive' : 'silent'));
      await peer.take(/200 OK/);
    }
    for (let i = 0; i < 8; i++) {
      server.clock.advance(10_000);
      alive.send('\r\n\r\n');
      await alive.take(/\r\n$/);
    }
    await silent.whenClosed();
    expect(alive.closed).toBe(false);
  });

  it('answer a body above the limit 513 without keeping it, and go on behind it', async () => {
    server = await startServer('tcp:127.0.0.1:0', { bodyBytes: 100 });
    const peer = Peer.tcp(server.port('tcp'));
    const large = options('TCP 127.0.0.1', 'large').replace('Content-Length: 0', 'Content-Length: 101');
    peer.send(large + 'x'.repeat(101) + options('TCP 127.0.0.1', 'next'));
    expect(await peer.take(/\r\n\r\n/)).toMatch(/^SIP\/2\.0 513 /);
    expect(await peer.take(/\r\n\r\n/)).toMatch(/^SIP\/2\.0 200 /);
  });

  it('close a peer that does not read what is sent to it', async () => {
    server = await startServer('tcp:127.0.0.1:0', { sendQueueBytes: 64 << 10 });
    const peer = Peer.tcp(server.port('tcp'));
    peer.send(options('TCP 127.0.0.1', 'one'));
    await peer.take(/\r\n\r\n/);
    peer.socket.pause();
    const hop = server.transports.hopOfFlow(server.requests[0]!.source.flow)!;
    const octets = Buffer.alloc(60 << 10, 'x');
    const errors: unknown[] = [];
    while (errors.length === 0) {
      server.transports.send(octets, hop, (error) => error && errors.push(error));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(errors[0]).toMatchObject({ code: 'sip-send-queue-full' });
    await until(() => server.closedFlows.length === 1);
  });
});

describe('TLS', () => {
  const ca = tls.ca;

  it('answers over the connection of the request', async () => {
    server = await startServer('tls:127.0.0.1:0');
    const peer = new Peer(connectTls({ port: server.port('tls'), host: '127.0.0.1', ca }));
    peer.send(options('TLS 127.0.0.1', 'one'));
    expect(await peer.take(/\r\n\r\n/)).toMatch(/^SIP\/2\.0 200 OK/);
    expect(server.requests[0]!.source.protocol).toBe('tls');
  });

  it('closes what is no TLS, and counts it', async () => {
    server = await startServer('tls:127.0.0.1:0');
    const peer = Peer.tcp(server.port('tls'));
    peer.send(options('TCP 127.0.0.1', 'one'));
    await peer.whenClosed();
    expect(server.trail.counts().get('sip.handshake-failed')).toBe(1);
  });

  it('closes a connection that does not finish its handshake in time', async () => {
    server = await startServer('tls:127.0.0.1:0', { handshakeMs: 50 });
    const peer = Peer.tcp(server.port('tls'));
    await peer.whenClosed();
    await until(() => server.transports.connections === 0);
    expect(server.trail.counts().get('sip.handshake-failed')).toBe(1);
  });

  it('sends to a server that proves the name asked for, and not to one that does not (RFC 5922 §7)', async () => {
    server = await startServer('tls:127.0.0.1:0');
    const there = await startServer('tls:127.0.0.1:0');
    cleanups.push(() => there.close());
    const hop = { protocol: 'tls', address: '127.0.0.1', port: there.port('tls') } as const;
    const good = send({ ...hop, serverName: 'sip.ims.test' });
    await until(() => good.statuses.length + good.failures.length === 1);
    const bad = send({ ...hop, serverName: 'other.test' });
    await until(() => bad.failures.length === 1);
    expect([good.statuses, bad.failures, there.requests.length]).toEqual([[200], ['transport'], 1]);
  });

  it('calls a peer back over the connection it made when its certificate proves who it is (RFC 5923)', async () => {
    server = await startServer('tls:127.0.0.1:0');
    const { cert, key } = tls;
    const peer = new Peer(connectTls({ port: server.port('tls'), host: '127.0.0.1', ca, cert, key }));
    peer.send(options('TLS sip.ims.test:5099;alias', 'one'));
    await peer.take(/\r\n\r\n/);
    send({ protocol: 'tls', address: '127.0.0.1', port: 5099, serverName: 'sip.ims.test' });
    expect(await peer.take(/\r\n\r\n/)).toMatch(/^OPTIONS sip:bob/);
  });

  it('makes no alias for a peer without certificate', async () => {
    server = await startServer('tls:127.0.0.1:0');
    const listener = await listen();
    const peer = new Peer(connectTls({ port: server.port('tls'), host: '127.0.0.1', ca }));
    peer.send(options(`TLS sip.ims.test:${listener.port};alias`, 'one'));
    await peer.take(/\r\n\r\n/);
    send({ protocol: 'tls', address: '127.0.0.1', port: listener.port, serverName: 'sip.ims.test' });
    await listener.next();
    expect(peer.text).toBe('');
  });
});
