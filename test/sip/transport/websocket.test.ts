import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { options, startServer, tls, until, type Server } from './bench.js';

let server: Server;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  await server.close();
});

function client(url: string, protocols: string[] = ['sip']): WebSocket {
  const socket = new WebSocket(url, protocols, { ca: tls.ca });
  socket.on('error', () => {});
  cleanups.push(() => socket.terminate());
  return socket;
}

async function exchange(
  socket: WebSocket,
  text: string | Buffer,
): Promise<{ data: string; binary: boolean }> {
  if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open');
  socket.send(text);
  const [data, binary] = (await once(socket, 'message')) as [Buffer, boolean];
  return { data: data.toString(), binary };
}

const text = options('WS df7jal23ls0d.invalid', 'one').replace('Content-Length: 0\r\n', '');

describe('SIP over WebSocket (RFC 7118)', () => {
  it.each(['ws', 'wss'])('is served by a %s listener of its own', async (protocol) => {
    server = await startServer(`${protocol}:127.0.0.1:0`);
    const socket = client(`${protocol}://localhost:${server.port(protocol)}/`);
    const { data, binary } = await exchange(socket, text);
    expect(socket.protocol).toBe('sip');
    expect(data).toContain(
      'SIP/2.0 200 OK\r\nVia: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKone;received=127.0.0.1\r\n',
    );
    expect([binary, server.requests[0]!.source.protocol]).toEqual([false, protocol]);
  });

  it('is served at one path of an HTTP server that others use too', async () => {
    server = await startServer('udp:127.0.0.1:0');
    const http = createServer((_request, response) => response.end('console'));
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    cleanups.push(() => http.close());
    server.transports.attachWebSocket(http);
    const { port } = http.address() as AddressInfo;
    const { data } = await exchange(client(`ws://127.0.0.1:${port}/sip`), text);
    expect(data).toMatch(/^SIP\/2\.0 200 OK/);
    const [, response] = (await once(client(`ws://127.0.0.1:${port}/other`), 'unexpected-response')) as [
      unknown,
      { statusCode: number },
    ];
    expect(response.statusCode).toBe(404);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('console');
  });

  it('is refused to a client that does not offer the subprotocol sip (§4)', async () => {
    server = await startServer('ws:127.0.0.1:0');
    const socket = client(`ws://127.0.0.1:${server.port('ws')}/`, ['chat']);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(400);
  });

  it('answers plain HTTP requests 426', async () => {
    server = await startServer('ws:127.0.0.1:0');
    expect((await fetch(`http://127.0.0.1:${server.port('ws')}/`)).status).toBe(426);
  });

  it('answers CRLF CRLF with CRLF (§6)', async () => {
    server = await startServer('ws:127.0.0.1:0');
    const socket = client(`ws://127.0.0.1:${server.port('ws')}/`);
    expect((await exchange(socket, '\r\n\r\n')).data).toBe('\r\n');
  });

  it('carries what is not UTF-8 in binary messages, octet for octet', async () => {
    server = await startServer('ws:127.0.0.1:0');
    const socket = client(`ws://127.0.0.1:${server.port('ws')}/`);
    const latin = Buffer.from(
      text.replace('Max-Forwards: 70', 'Subject: caf\xe9\r\nMax-Forwards: 70'),
      'latin1',
    );
    await exchange(socket, latin);
    const { flow } = server.requests[0]!.source;
    const octets = Buffer.from([0x53, 0xff, 0x00]);
    server.transports.send(octets, server.transports.hopOfFlow(flow)!, () => {});
    const [data, binary] = (await once(socket, 'message')) as [Buffer, boolean];
    expect([data.equals(octets), binary]).toEqual([true, true]);
  });

  it('closes a client whose message is above the limit', async () => {
    server = await startServer('ws:127.0.0.1:0', { headBytes: 2000, bodyBytes: 1000 });
    const socket = client(`ws://127.0.0.1:${server.port('ws')}/`);
    await once(socket, 'open');
    socket.send('x'.repeat(4000));
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1009);
    await until(() => server.closedFlows.length === 1);
  });

  it('tells of a flow that has closed', async () => {
    server = await startServer('ws:127.0.0.1:0');
    const socket = client(`ws://127.0.0.1:${server.port('ws')}/`);
    await exchange(socket, text);
    socket.close();
    await until(() => server.closedFlows.length === 1);
    expect(server.closedFlows).toEqual([server.requests[0]!.source.flow]);
  });

  it('cannot be opened towards a client: without its flow there is no way', async () => {
    server = await startServer('ws:127.0.0.1:0');
    const errors: unknown[] = [];
    const hop = { protocol: 'ws', address: '127.0.0.1', port: 9 } as const;
    server.transports.send(Buffer.from('x'), hop, (error) => errors.push(error));
    await until(() => errors.length === 1);
    expect(errors[0]).toMatchObject({ code: 'sip-no-transport' });
  });

  it('counts its connections among those of an address', async () => {
    server = await startServer('ws:127.0.0.1:0', { connectionsPerAddress: 1 });
    await exchange(client(`ws://127.0.0.1:${server.port('ws')}/`), text);
    const refused = client(`ws://127.0.0.1:${server.port('ws')}/`);
    await new Promise((resolve) => refused.once('close', resolve));
    expect(server.trail.counts().get('sip.connection-refused')).toBe(1);
  });
});
