import { createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/base/clock.js';
import { defaultConnectionLimits } from '../../../src/msrp/connection/limits.js';
import { ConnectionPool, type PoolOptions } from '../../../src/msrp/connection/pool.js';
import { TcpWire } from '../../../src/msrp/connection/tcp-wire.js';
import { defaultParserLimits } from '../../../src/msrp/message/index.js';
import { afterwards, eventually } from '../tools/endpoints.js';

async function server(): Promise<{ port: number; sockets: Socket[]; server: Server }> {
  const sockets: Socket[] = [];
  const made = createServer((socket) => sockets.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  afterwards(() => {
    for (const socket of sockets) socket.destroy();
    made.close();
  });
  return { port: (made.address() as { port: number }).port, sockets, server: made };
}

function pool(options: Partial<PoolOptions> = {}) {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const closed: (string | undefined)[] = [];
  const made = new ConnectionPool({
    clock,
    router: { request: () => ({ body: () => {}, end: () => {}, lost: () => {} }) },
    limits: { ...defaultConnectionLimits, parser: defaultParserLimits },
    dial: { connectMs: 10_000, wsMessageOctets: 1000 },
    maxConnections: 3,
    maxSessionsPerConnection: 2,
    closed: (_connection, error) => closed.push(error?.code),
    ...options,
  });
  afterwards(() => {
    made.destroy();
    clock.close();
  });
  const to = (port: number) => made.to({ transport: 'tcp', secure: false, host: '127.0.0.1', port });
  return { pool: made, to, closed };
}

const user = () => ({ connectionLost: () => {} });

describe('a pool', () => {
  it('shares a connection to one next hop, also while it is being made, up to so many sessions', async () => {
    const { port, sockets } = await server();
    const { to } = pool();
    const [one, same] = await Promise.all([to(port), to(port)]);
    expect(same).toBe(one);
    one.addUser(user());
    expect(await to(port)).toBe(one);
    one.addUser(user());
    const other = await to(port);
    expect(other).not.toBe(one);
    await eventually(() => sockets.length === 2);
  });

  it('makes another connection when the one it had has ended', async () => {
    const { port, sockets } = await server();
    const { to, closed, pool: made } = pool();
    const one = await to(port);
    await eventually(() => sockets.length === 1);
    sockets[0]!.destroy();
    await eventually(() => closed.length === 1);
    expect(made.size).toBe(0);
    const again = await to(port);
    expect([again === one, again.isOpen]).toEqual([false, true]);
  });

  it('has so many connections, made and accepted together', async () => {
    const servers = [await server(), await server(), await server()];
    const { to, pool: made } = pool({ maxConnections: 2 });
    await Promise.all([to(servers[0]!.port), to(servers[1]!.port)]);
    await expect(to(servers[2]!.port)).rejects.toMatchObject({ code: 'msrp-limit' });
    const incoming = servers[0]!.sockets[0]!;
    expect(made.accept(new TcpWire(incoming))).toBeUndefined();
    expect(incoming.destroyed).toBe(true);
  });

  it('keeps nothing of an attempt that failed', async () => {
    const { port, server: gone } = await server();
    await new Promise((resolve) => gone.close(resolve));
    const { to, pool: made } = pool({ maxConnections: 1 });
    for (let i = 0; i < 3; i++) await expect(to(port)).rejects.toMatchObject({ code: 'msrp-connect-failed' });
    expect(made.size).toBe(0);
  });

  it('takes none after it was closed', async () => {
    const { port } = await server();
    const { to, pool: made } = pool();
    await to(port);
    await made.close();
    await expect(to(port)).rejects.toMatchObject({ code: 'msrp-limit' });
  });
});
