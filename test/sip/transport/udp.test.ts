import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import type { ClientFailure, ClientTransaction, NextHop } from '../../../src/sip/transaction/layer.js';
import { options, Peer, startServer, until, type Server } from './bench.js';

let server: Server;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await server.close();
});

async function phone(address = '127.0.0.1', port = 0): Promise<Socket> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  sockets.push(socket);
  return socket;
}

const next = async (socket: Socket): Promise<string> =>
  ((await once(socket, 'message')) as [Buffer])[0].toString('latin1');

interface Heard {
  readonly transaction: ClientTransaction;
  readonly statuses: number[];
  readonly failures: ClientFailure[];
}

function send(hop: NextHop, body = ''): Heard {
  const statuses: number[] = [];
  const failures: ClientFailure[] = [];
  const headers = Headers.from({
    'Max-Forwards': 70,
    From: '<sip:ims.test>;tag=s',
    To: '<sip:bob@ims.test>',
    'Call-ID': 'out',
    CSeq: '1 MESSAGE',
  });
  const request = new SipRequest('MESSAGE', 'sip:bob@ims.test', headers, Buffer.from(body));
  const transaction = server.layer.send(request, hop, {
    onResponse: (response) => statuses.push(response.status),
    onFailure: (failure) => failures.push(failure),
  });
  return { transaction, statuses, failures };
}

describe('where a response goes over UDP (RFC 3261 §18.2.2, RFC 3581 §4)', () => {
  it('is the port that the request came from when the client asked with rport', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const from = await phone();
    from.send(options('UDP 127.0.0.1:9;rport', 'one'), server.port('udp'), '127.0.0.1');
    expect(await next(from)).toContain(`;rport=${from.address().port};received=127.0.0.1`);
  });

  it('is the port of sent-by without rport, at the address that the request came from', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const [from, sentBy] = [await phone(), await phone()];
    const via = `UDP 192.0.2.1:${sentBy.address().port}`;
    from.send(options(via, 'one'), server.port('udp'), '127.0.0.1');
    expect(await next(sentBy)).toContain(`Via: SIP/2.0/${via};branch=z9hG4bKone;received=127.0.0.1\r\n`);
  });

  it('is the address in maddr when there is one', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const [from, multicast] = [await phone(), await phone('127.0.0.2')];
    const via = `UDP 127.0.0.1:${multicast.address().port};maddr=127.0.0.2`;
    from.send(options(via, 'one'), server.port('udp'), '127.0.0.1');
    expect(await next(multicast)).toMatch(/^SIP\/2\.0 200 OK/);
  });

  it('is not what the client wrote into received', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const from = await phone();
    from.send(options('UDP 192.0.2.1;rport;received=192.0.2.9', 'one'), server.port('udp'), '127.0.0.1');
    expect(await next(from)).toMatch(/^Via: [^\r]*received=127\.0\.0\.1\r$/m);
  });

  it('is an IPv6 address where the request came over IPv6', async () => {
    server = await startServer('udp:[::1]:0');
    const from = await phone('::1');
    from.send(options('UDP [2001:db8::1]:5060;rport', 'one'), server.port('udp'), '::1');
    expect(await next(from)).toContain(
      `Via: SIP/2.0/UDP [2001:db8::1]:5060;rport=${from.address().port};received=::1`,
    );
  });
});

describe('flows over UDP', () => {
  it('lead back to the phone, and are the same after a restart', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const from = await phone();
    from.send(options('UDP 127.0.0.1;rport', 'one'), server.port('udp'), '127.0.0.1');
    await next(from);
    const { flow } = server.requests[0]!.source;
    const port = server.port('udp');
    await server.close();
    server = await startServer(`udp:127.0.0.1:${port}`);
    expect(server.transports.hopOfFlow(flow)).toEqual({
      protocol: 'udp',
      address: '127.0.0.1',
      port: from.address().port,
      flow,
    });
    send(server.transports.hopOfFlow(flow)!);
    expect(await next(from)).toMatch(/^MESSAGE /);
  });

  it('of another listener are not ours', async () => {
    server = await startServer('udp:127.0.0.1:0');
    expect(server.transports.hopOfFlow('udp|127.0.0.1:1|127.0.0.1:2')).toBeUndefined();
    expect(server.transports.hopOfFlow('')).toBeUndefined();
  });
});

describe('a server that is not there', () => {
  it('is known at once by the ICMP error over UDP (RFC 3261 §18.4)', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const gone = await phone();
    const hop: NextHop = { protocol: 'udp', address: '127.0.0.1', port: gone.address().port };
    sockets.pop()!.close();
    await once(gone, 'close');
    const heard = send(hop);
    await until(() => heard.failures.length === 1);
    expect([heard.failures, server.clock.pending]).toEqual([['transport'], 0]);
    expect(server.trail.recent()).toMatchObject([
      {
        code: 'sip.send-failed',
        outcome: 'refused',
        trace: 'out',
        detail: expect.stringContaining(`:${hop.port}: `) as string,
      },
    ]);
  });

  it('leaves the requests to other servers alone', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const [alive, gone] = [await phone(), await phone()];
    const port = gone.address().port;
    sockets.pop()!.close();
    await once(gone, 'close');
    const other = send({ protocol: 'udp', address: '127.0.0.1', port: alive.address().port });
    const request = await next(alive);
    const heard = send({ protocol: 'udp', address: '127.0.0.1', port });
    await until(() => heard.failures.length === 1);
    const answer = ['SIP/2.0 200 OK', ...request.split('\r\n').slice(1)].join('\r\n');
    alive.send(answer.replace(/^To: (.*)$/m, 'To: $1;tag=x'), server.port('udp'), '127.0.0.1');
    await until(() => other.statuses.length === 1);
    expect(other.failures).toEqual([]);
  });

  it('still hears requests from a peer that it has sent requests to', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const peer = await phone();
    send({ protocol: 'udp', address: '127.0.0.1', port: peer.address().port });
    await next(peer);
    peer.send(options('UDP 127.0.0.1;rport', 'one'), server.port('udp'), '127.0.0.1');
    expect(await next(peer)).toMatch(/^SIP\/2\.0 200 OK/);
  });
});

describe('a request longer than 1300 octets (RFC 3261 §18.1.1)', () => {
  const body = 'x'.repeat(1300);

  it('goes over TCP, and says so in its Via', async () => {
    server = await startServer('udp:127.0.0.1:0,tcp:127.0.0.1:0');
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address() as { port: number };
    const heard = send({ protocol: 'udp', address: '127.0.0.1', port: address.port }, body);
    const [socket] = (await once(listener, 'connection')) as [Peer['socket']];
    expect(await new Peer(socket).take(/x{1300}/)).toContain(
      `Via: SIP/2.0/TCP 127.0.0.1:${server.port('tcp')};branch=`,
    );
    expect(heard.transaction.hop.protocol).toBe('tcp');
    socket.destroy();
    listener.close();
  });

  it('goes over UDP after all when the peer takes no connection, with the timers of UDP, which the trail notes', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const peer = await phone();
    const heard = send({ protocol: 'udp', address: '127.0.0.1', port: peer.address().port }, body);
    const first = await next(peer);
    expect(first).toContain(`Via: SIP/2.0/UDP 127.0.0.1:${server.port('udp')};branch=`);
    server.clock.advance(500);
    expect(await next(peer)).toBe(first);
    expect([heard.transaction.hop.protocol, heard.failures]).toEqual(['udp', []]);
    expect(server.trail.recent()).toMatchObject([
      {
        code: 'sip.sent-over-udp',
        outcome: 'noted',
        trace: 'out',
        detail: expect.stringMatching(`^MESSAGE to tcp:127.0.0.1:${peer.address().port}: `) as string,
      },
    ]);
  });

  it('goes over UDP at once for five minutes after the peer took no connection', async () => {
    server = await startServer('udp:127.0.0.1:0,tcp:127.0.0.1:0');
    const peer = await phone();
    const { port } = peer.address();
    const hop = { protocol: 'udp', address: '127.0.0.1', port } as const;
    send(hop, body);
    await next(peer);
    const listener = createServer().listen(port, '127.0.0.1');
    await once(listener, 'listening');
    expect(send(hop, body).transaction.hop.protocol).toBe('udp');
    server.clock.advance(300_000);
    const connected = once(listener, 'connection') as Promise<[Peer['socket']]>;
    expect(send(hop, body).transaction.hop.protocol).toBe('tcp');
    (await connected)[0].destroy();
    listener.close();
  });

  it('stays on UDP when it is bound to a flow', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const peer = await phone();
    const { port } = peer.address();
    const flow = `udp|127.0.0.1:${server.port('udp')}|127.0.0.1:${port}`;
    send({ protocol: 'udp', address: '127.0.0.1', port, flow }, body);
    expect((await next(peer)).length).toBeGreaterThan(1500);
  });
});

describe('noise on a UDP port', () => {
  it('of keep-alive length is neither answered nor counted as malformed', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const from = await phone();
    for (const noise of ['\r\n\r\n', '\0', 'jaK']) from.send(noise, server.port('udp'), '127.0.0.1');
    from.send(options('UDP 127.0.0.1;rport', 'one'), server.port('udp'), '127.0.0.1');
    expect(await next(from)).toMatch(/^SIP\/2\.0 200/);
    expect([...server.trail.counts().keys()]).toEqual([]);
  });

  it('that is no SIP is counted and does not disturb', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const from = await phone();
    for (const noise of ['GET / HTTP/1.1\r\n\r\n', Buffer.alloc(2000, 255), 'x'.repeat(60_000)])
      from.send(noise, server.port('udp'), '127.0.0.1');
    from.send(options('UDP 127.0.0.1:0', 'port0'), server.port('udp'), '127.0.0.1');
    from.send(options('UDP 127.0.0.1;rport', 'one'), server.port('udp'), '127.0.0.1');
    expect(await next(from)).toMatch(/^SIP\/2\.0 (200|400)/);
    await until(() => (server.trail.counts().get('sip.malformed') ?? 0) >= 3);
  });
});

describe('a listener', () => {
  it.each(['udp', 'tcp'])('over %s whose port is taken is named by the error', async (protocol) => {
    server = await startServer(`${protocol}:127.0.0.1:0`);
    const listener = `${protocol}:127.0.0.1:${server.port(protocol)}`;
    await expect(startServer(listener)).rejects.toMatchObject({
      code: 'sip-port-taken',
      message: `the address is taken: ${listener}`,
    });
  });

  it('that cannot be bound releases those that could', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const free = await phone();
    const { port } = free.address();
    sockets.pop()!.close();
    await once(free, 'close');
    await expect(startServer(`udp:127.0.0.1:${port},udp:127.0.0.1:${server.port('udp')}`)).rejects.toThrow(
      'taken',
    );
    expect((await phone('127.0.0.1', port)).address().port).toBe(port);
  });
});
