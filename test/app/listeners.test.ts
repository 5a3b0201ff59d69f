import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Protocol } from '../../src/sip/stack.js';
import { startParley, type RunningParley } from '../tools/parley.js';

const certs = join(import.meta.dirname, '../sip/transport/certs');
const ca = readFileSync(join(certs, 'ca.pem'));
let parley: RunningParley;

beforeAll(async () => {
  parley = await startParley({
    auth: 'none',
    sip: {
      listen: ['udp', 'tls', 'ws', 'wss']
        .map((protocol) => `${protocol}:127.0.0.1:0`)
        .concat('udp:[::1]:0', 'tcp:[::1]:0'),
      tls: { cert: join(certs, 'server.pem'), key: join(certs, 'server.key') },
    },
  });
});
afterAll(() => parley.stop());

const port = (protocol: Protocol): number =>
  parley.app.stack.listeners.find((listener) => listener.protocol === protocol)!.port;

const register = (transport: string): string =>
  [
    'REGISTER sip:ims.test SIP/2.0',
    `Via: SIP/2.0/${transport} client.invalid;branch=z9hG4bK-${transport}`,
    'Max-Forwards: 70',
    `From: <sip:${transport.toLowerCase()}@ims.test>;tag=1`,
    `To: <sip:${transport.toLowerCase()}@ims.test>`,
    `Call-ID: over-${transport}`,
    'CSeq: 1 REGISTER',
    'Supported: path, outbound, gruu',
    'Contact: <sip:me@client.invalid>;reg-id=1;+sip.instance="<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>"',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');

const expectRegistered = (answer: string, transport: string): void => {
  expect(answer).toMatch(/^SIP\/2\.0 200 /);
  expect(answer).toContain(
    `pub-gruu="sip:${transport.toLowerCase()}@ims.test;gr=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e"`,
  );
};

async function overWebSocket(url: string, transport: string): Promise<WebSocket> {
  const socket = new WebSocket(url, 'sip', { ca });
  await once(socket, 'open');
  socket.send(register(transport));
  const [data] = (await once(socket, 'message')) as [Buffer];
  expectRegistered(data.toString(), transport);
  return socket;
}

/** The status that a page of `origin` gets when it opens a WebSocket. */
async function pageOf(origin: string, url: string): Promise<number> {
  const socket = new WebSocket(url, 'sip', { origin });
  socket.on('error', () => {});
  const status = await new Promise<number>((resolve) => {
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode!));
  });
  socket.terminate();
  return status;
}

describe('a web page', () => {
  it('of another site cannot connect where no password is asked for (RFC 6455 §10.2)', async () => {
    const { host } = new URL(parley.api);
    for (const url of [`ws://${host}/sip`, `ws://127.0.0.1:${port('ws')}/`]) {
      expect(await pageOf('https://example.org', url)).toBe(403);
      expect(await pageOf('null', url)).toBe(403);
      expect(await pageOf(`http://${new URL(url).host}`, url)).toBe(101);
    }
  });

  it('may be of any site with digest, or of those that are named', async () => {
    const open = await startParley();
    const named = await startParley({ sip: { origins: ['https://phone.example.org/'] } });
    try {
      const of = (server: RunningParley): string => `${server.api.replace(/^http/, 'ws')}/sip`;
      expect(await pageOf('https://example.org', of(open))).toBe(101);
      expect(await pageOf('https://phone.example.org', of(named))).toBe(101);
      expect(await pageOf('https://example.org', of(named))).toBe(403);
    } finally {
      await open.stop();
      await named.stop();
    }
  });
});

describe('the listeners of the configuration', () => {
  it('take registrations over TLS with the configured certificate', async () => {
    const socket = connect({ host: '127.0.0.1', port: port('tls'), ca, servername: 'localhost' });
    await once(socket, 'secureConnect');
    socket.write(register('TLS'));
    const [data] = (await once(socket, 'data')) as [Buffer];
    expectRegistered(data.toString(), 'TLS');
    socket.destroy();
  });

  it.each(['ws', 'wss'] as const)('take registrations over %s', async (protocol) => {
    const url = `${protocol}://localhost:${port(protocol)}/`;
    (await overWebSocket(url, protocol.toUpperCase())).terminate();
  });

  it('are on IPv6 too', () => {
    const six = parley.app.stack.listeners.filter(({ address }) => address === '::1');
    expect(six.map(({ protocol }) => protocol)).toEqual(['udp', 'tcp']);
  });
});

describe('the HTTP listener', () => {
  const url = (path: string): string => `${parley.api.replace(/^http/, 'ws')}${path}`;

  it('takes SIP over WebSocket at /sip beside the admin API', async () => {
    const socket = await overWebSocket(url('/sip'), 'WS');
    expect((await fetch(`${parley.api}/api/v1/registrations/sip:ws@ims.test`)).status).toBe(200);
    socket.terminate();
  });

  it.each([
    ['/other', ['sip'], 404],
    ['/sip', ['chat'], 400],
  ])('answers an upgrade to %s with subprotocol %s with %i', async (path, protocols, status) => {
    const socket = new WebSocket(url(path), protocols);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(status);
    socket.on('error', () => {}); // of a connection that never came to be
    socket.terminate();
  });
});

it('a server stops although a WebSocket client stays connected, and closes the connection', async () => {
  const other = await startParley({ auth: 'none' });
  const socket = await overWebSocket(`${other.api.replace(/^http/, 'ws')}/sip`, 'WS');
  const closed = once(socket, 'close');
  await other.stop();
  await closed;
});
