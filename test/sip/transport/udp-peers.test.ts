import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { HeardPeers } from '../../../src/sip/transport/heard-peers.js';
import { UdpPeers } from '../../../src/sip/transport/udp-peers.js';
import { bindShared, createUdpSocket } from '../../../src/sip/transport/udp-socket.js';
import { until } from './bench.js';

/** Everything that has arrived is read, and seen to be read. */
async function read(): Promise<void> {
  for (let i = 0; i < 3; i++) await setImmediate();
}

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

  it('close when their peer was heard and is quiet again', async () => {
    const clock = new VirtualClock();
    const { peers: made, port } = await peers(1, clock);
    const [one, two] = [await server(), await server()];
    sendTo(made, one);
    await once(one, 'message');
    one.send('response', port, '127.0.0.1');
    await until(() => heard.length === 1);
    clock.advance(50);
    await read();
    expect(clock.pending).toBe(0);
    one.send('to the listener', port, '127.0.0.1');
    await until(() => unconnected.length === 1);
    expect(sendTo(made, two)).toBe(true);
  });

  it('close after a second though their peer is never quiet', async () => {
    const clock = new VirtualClock();
    const { peers: made, port } = await peers(1, clock);
    const one = await server();
    sendTo(made, one);
    await once(one, 'message');
    const respond = async (count: number): Promise<void> => {
      one.send('response', port, '127.0.0.1');
      await until(() => heard.length === count);
    };
    await respond(1);
    for (let count = 2; count <= 21; count++) {
      await respond(count);
      expect(clock.pending).toBe(1);
      clock.advance(50);
      await read();
    }
    expect(clock.pending).toBe(0);
  });

  it('do not close over what has arrived and was not read yet', async () => {
    const clock = new VirtualClock();
    const { peers: made, port } = await peers(1, clock);
    const one = createUdpSocket('127.0.0.1', false);
    const listening = once(one, 'listening');
    one.bind(0, '127.0.0.1');
    await listening;
    opened.push(one);
    sendTo(made, one);
    await once(one, 'message');
    one.send('response', port, '127.0.0.1');
    await until(() => heard.length === 1);
    one.send('a request at once', port, '127.0.0.1');
    clock.advance(50);
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
