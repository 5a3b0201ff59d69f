import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { HeardPeers } from '../../../src/sip/transport/heard-peers.js';
import { UdpPeers } from '../../../src/sip/transport/udp-peers.js';
import { bindShared, createUdpSocket } from '../../../src/sip/transport/udp-socket.js';
import { until } from './bench.js';

/** What came over the connected sockets, and over the listener's own. */
let heard: string[] = [];
let unconnected: string[] = [];
const opened: { close(): void }[] = [];

afterEach(() => {
  for (const one of opened.splice(0)) one.close();
  heard = [];
  unconnected = [];
});

async function server(): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  opened.push(socket);
  return socket;
}

/** A peer whose datagrams have left when send() returns. */
async function sender(): Promise<Socket> {
  const socket = createUdpSocket('127.0.0.1', false);
  const listening = once(socket, 'listening');
  socket.bind(0, '127.0.0.1');
  await listening;
  opened.push(socket);
  return socket;
}

async function peers(
  capacity: number,
  clock = new VirtualClock(),
): Promise<{ peers: UdpPeers; port: number }> {
  const listener = { protocol: 'udp', address: '127.0.0.1', port: 0 } as const;
  const main = await bindShared(listener);
  const { port } = main.address();
  main.on('message', (data) => unconnected.push(data.toString()));
  const made = new UdpPeers({ ...listener, port }, capacity, clock, (data) => heard.push(data.toString()));
  opened.push(main, made);
  return { peers: made, port };
}

const sendTo = (made: UdpPeers, to: Socket, done = (): void => {}): boolean =>
  made.send(Buffer.from('request'), '127.0.0.1', to.address().port, done);

describe('sockets connected to servers', () => {
  it('send from the port of the listener', async () => {
    const { peers: made, port } = await peers(2);
    const to = await server();
    sendTo(made, to);
    const [, remote] = (await once(to, 'message')) as [Buffer, { port: number }];
    expect(remote.port).toBe(port);
  });

  it('are as many as allowed, and an idle one gives way', async () => {
    const clock = new VirtualClock();
    const { peers: made } = await peers(1, clock);
    const [one, two] = [await server(), await server()];
    expect([sendTo(made, one), sendTo(made, two)]).toEqual([true, false]);
    await once(one, 'message');
    clock.advance(60_000);
    expect(sendTo(made, two)).toBe(true);
    await once(two, 'message');
    expect(sendTo(made, one)).toBe(false);
  });

  it('give their peer back to the listener when it was heard', async () => {
    const { peers: made, port } = await peers(1);
    const [one, two] = [await server(), await server()];
    sendTo(made, one);
    await once(one, 'message');
    one.send('response', port, '127.0.0.1');
    await until(() => heard.length === 1);
    one.send('to the listener', port, '127.0.0.1');
    await until(() => unconnected.length === 1);
    expect(sendTo(made, two)).toBe(true);
  });

  it('lose nothing of a peer that sends while they open and close', async () => {
    const { peers: made, port } = await peers(1);
    const one = await sender();
    let sent = 0;
    for (let round = 0; round < 200; round++) {
      sendTo(made, one);
      // at every step of a socket's end something comes in
      for (let step = 0; step < 6; step++) {
        one.send(`${sent++}`, port, '127.0.0.1');
        await setImmediate();
      }
    }
    await until(() => heard.length + unconnected.length === sent);
    expect(new Set([...heard, ...unconnected]).size).toBe(sent);
  });

  it('do not close over more than the event loop reads at once', async () => {
    const { peers: made, port } = await peers(1);
    const one = await sender();
    sendTo(made, one);
    await once(one, 'message');
    for (let i = 0; i < 80; i++) one.send(`response ${i}`, port, '127.0.0.1');
    await until(() => heard.length + unconnected.length === 80);
  });

  it('do not close over what has arrived and was not read yet', async () => {
    const { peers: made, port } = await peers(1);
    const one = await sender();
    sendTo(made, one);
    await once(one, 'message');
    one.send('response', port, '127.0.0.1');
    one.send('a request at once', port, '127.0.0.1');
    await until(() => heard.length === 2);
    expect(heard[1]).toBe('a request at once');
  });

  it('tell what waits for them when they close', async () => {
    const { peers: made } = await peers(1);
    const errors: unknown[] = [];
    made.send(Buffer.from('request'), '127.0.0.1', 9, (error) => errors.push(error));
    made.close();
    await until(() => errors.length === 1);
    expect(errors[0]).toMatchObject({ code: 'sip-connection-failed' });
  });
});

describe('a shared port', () => {
  it('is refused while another socket has it, even one that shares', async () => {
    const taken = await bindShared({ protocol: 'udp', address: '127.0.0.1', port: 0 });
    opened.push(taken);
    const { port } = taken.address();
    await expect(bindShared({ protocol: 'udp', address: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'sip-port-taken',
    });
  });
});

describe('peers heard lately', () => {
  const remote = { address: '192.0.2.1', port: 5060, family: 'IPv4', size: 100 } as const;

  it('are known for some seconds', () => {
    const peers = new HeardPeers();
    expect(peers.has('192.0.2.1', 5060, 0)).toBe(false);
    peers.note(remote);
    expect([0, 2_499, 2_500, 4_999].map((now) => peers.has('192.0.2.1', 5060, now))).toEqual(
      Array(4).fill(true),
    );
    expect(peers.has('192.0.2.1', 5060, 5_000)).toBe(false);
  });

  it('are told apart by address and port', () => {
    const peers = new HeardPeers();
    peers.has('192.0.2.1', 5060, 0);
    peers.note(remote);
    expect([peers.has('192.0.2.1', 5061, 1), peers.has('192.0.2.2', 5060, 1)]).toEqual([false, false]);
  });

  it('are not believed when it is unknown how long ago they were heard', () => {
    const peers = new HeardPeers();
    peers.has('192.0.2.1', 5060, 0);
    peers.note(remote);
    expect(peers.has('192.0.2.1', 5060, 60_000)).toBe(false);
  });
});
