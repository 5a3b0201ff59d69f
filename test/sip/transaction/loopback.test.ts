import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { parseDatagram } from '../../../src/sip/message/parse.js';
import { makeResponse } from '../../../src/sip/transaction/derived.js';
import { createTransactionLayer, type Transactions } from '../../../src/sip/transaction/transaction-layer.js';
import { Transports } from '../../../src/sip/transport/transports.js';

let transports: Transports;
let layer: Transactions;
let phone: Socket;
let trail: MemoryTrail;

beforeEach(async () => {
  const clock = new VirtualClock();
  trail = new MemoryTrail(() => clock.now());
  transports = new Transports({
    listeners: [{ protocol: 'udp', address: '127.0.0.1', port: 0 }],
    clock,
    log: silentLogger,
    trail,
  });
  layer = createTransactionLayer({ transports, clock, log: silentLogger, trail });
  await transports.start();
  phone = createSocket('udp4');
  phone.bind(0, '127.0.0.1');
  await once(phone, 'listening');
});

afterEach(async () => {
  phone.close();
  await transports.close();
});

async function exchange(text: string): Promise<string> {
  phone.send(text, transports.listeners[0]!.port, '127.0.0.1');
  const [data] = (await once(phone, 'message')) as [Buffer];
  return data.toString();
}

const options = (via: string): string =>
  [
    'OPTIONS sip:ims.test SIP/2.0',
    `Via: ${via}`,
    'From: <sip:alice@ims.test>;tag=a',
    'To: <sip:ims.test>',
    'Call-ID: one',
    'CSeq: 1 OPTIONS',
    'Max-Forwards: 70',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');

describe('the transaction layer over UDP', () => {
  it('takes under overload what this server sends to itself, and nothing else', async () => {
    transports.onDelay(60_000);
    expect(await exchange(options('SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK0'))).toMatch(/^SIP\/2\.0 503 /);
    layer.onRequest = (transaction) => transaction.respond(makeResponse(transaction.request, 200, 'b'));
    const { port } = transports.listeners[0]!;
    const parsed = parseDatagram(Buffer.from(options('SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK9')));
    if (parsed.kind !== 'request') throw new Error('not a request');
    parsed.message.headers.remove('Via');
    const status = await new Promise<number>((resolve, reject) => {
      layer.send(
        parsed.message,
        { protocol: 'udp', address: '127.0.0.1', port },
        { onResponse: (response) => resolve(response.status), onFailure: reject },
      );
    });
    expect(status).toBe(200);
  });

  it('answers where the request came from when the client asked with rport (RFC 3581 §4)', async () => {
    layer.onRequest = (transaction) => transaction.respond(makeResponse(transaction.request, 200, 'b'));
    const answer = await exchange(options('SIP/2.0/UDP 192.0.2.1:9;rport;branch=z9hG4bK1'));
    expect(answer).toMatch(/^SIP\/2\.0 200 OK\r\n/);
    expect(answer).toContain(
      `Via: SIP/2.0/UDP 192.0.2.1:9;rport=${phone.address().port};received=127.0.0.1;branch=z9hG4bK1\r\n`,
    );
  });

  it('sends the same response again to a retransmission and does not disturb its user', async () => {
    let heard = 0;
    layer.onRequest = (transaction) =>
      transaction.respond(makeResponse(transaction.request, 200, String(++heard)));
    const text = options('SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK2');
    const first = await exchange(text);
    expect(await exchange(text)).toBe(first);
    expect(heard).toBe(1);
  });

  it('answers a malformed request 400 with the reason', async () => {
    const answer = await exchange(
      options('SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK3').replace('CSeq: 1 OPTIONS', 'CSeq: 1 INVITE'),
    );
    expect(answer).toMatch(/^SIP\/2\.0 400 CSeq method is not the request method\r\n/);
    expect(trail.counts().get('sip.malformed')).toBe(1);
  });

  it('answers 500 when its user throws', async () => {
    layer.onRequest = () => {
      throw new Error('a bug');
    };
    const answer = await exchange(options('SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK4'));
    expect(answer).toMatch(/^SIP\/2\.0 500 /);
  });
});
