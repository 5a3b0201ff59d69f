import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { parseDatagram } from '../../../src/sip/message/parse.js';
import type { Protocol } from '../../../src/sip/stack.js';
import type { ClientTransaction, TransactionTimers } from '../../../src/sip/transaction/layer.js';
import { createTransactionLayer, type Transactions } from '../../../src/sip/transaction/transaction-layer.js';
import { FakeWire, requestText, responseText } from './fake-wire.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let clock: VirtualClock;
let wire: FakeWire;
let layer: Transactions;
let heard: string[];

const start = (timers: TransactionTimers = { t1: 500, t2: 4000, t4: 5000 }): void => {
  clock = new VirtualClock();
  wire = new FakeWire(clock);
  const trail = new MemoryTrail(() => clock.now());
  layer = createTransactionLayer({ transports: wire, clock, log: silentLogger, trail, timers });
  heard = [];
};

beforeEach(() => start());

function send(method: string, protocol: Protocol = 'udp', flow?: string): ClientTransaction {
  const parsed = parseDatagram(
    Buffer.from(requestText(method).replace(/^Via.*\r\n/m, 'Via: SIP/2.0/UDP up\r\n')),
  );
  if (parsed.kind !== 'request') throw new Error('a bad fixture');
  parsed.message.headers.remove('Via');
  const hop = { protocol, address: '192.0.2.2', port: 5060, ...(flow === undefined ? {} : { flow }) };
  return layer.send(parsed.message, hop, {
    onResponse: (response) => heard.push(String(response.status)),
    onFailure: (failure) => heard.push(failure),
  });
}

const viaOf = (text: string): string | undefined => /^Via: .*$/m.exec(text)?.[0];
const answer = (status: number, toTag?: string): void =>
  wire.receive(responseText(wire.octets[0]!, status, toTag));

describe('the INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2)', () => {
  it('over UDP sends again after T1, 2·T1, 4·T1... (Timer A) and gives up after 64·T1 (Timer B)', () => {
    send('INVITE');
    clock.advance(100_000);
    expect(wire.taken()).toEqual([0, 500, 1500, 3500, 7500, 15_500, 31_500].map((at) => [at, 'INVITE']));
    expect(heard).toEqual(['timeout']);
    expect([clock.pending, layer.running]).toEqual([0, 0]);
  });

  it('takes T1 from the configuration', () => {
    start({ t1: 100, t2: 400, t4: 500 });
    send('INVITE');
    clock.advance(6_390);
    expect(wire.taken()).toEqual([0, 100, 300, 700, 1500, 3100, 6300].map((at) => [at, 'INVITE']));
    expect(heard).toEqual([]);
    clock.advance(10);
    expect(heard).toEqual(['timeout']);
  });

  it('over TCP sends once and still gives up after 64·T1', () => {
    send('INVITE', 'tcp');
    clock.advance(31_990);
    expect([wire.taken(), heard]).toEqual([[[0, 'INVITE']], []]);
    clock.advance(10);
    expect(heard).toEqual(['timeout']);
  });

  it('stops sending at the first provisional response and then waits without limit', () => {
    const transaction = send('INVITE');
    clock.advance(600);
    answer(180);
    answer(183);
    expect(transaction.state).toBe('proceeding');
    clock.advance(600_000);
    expect(wire.taken()).toEqual([[0, 'INVITE'], [500, 'INVITE']]); // prettier-ignore
    expect(heard).toEqual(['180', '183']);
    expect(layer.running).toBe(1);
  });

  it('acknowledges a refusal, and each retransmission of it for 32 s over UDP (Timer D), but tells its user once', () => {
    const transaction = send('INVITE');
    clock.advance(100);
    answer(486);
    expect(transaction.state).toBe('completed');
    clock.advance(500);
    answer(486);
    clock.advance(31_490);
    answer(486);
    expect(wire.taken()).toEqual([[0, 'INVITE'], [100, 'ACK'], [600, 'ACK'], [32_090, 'ACK']]); // prettier-ignore
    clock.advance(10);
    expect(transaction.state).toBe('terminated');
    answer(486);
    expect([wire.taken(), heard]).toEqual([[], ['486']]);
    expect(clock.pending).toBe(0);
  });

  it('ends at once after a refusal over TCP, where Timer D is zero', () => {
    const transaction = send('INVITE', 'tcp');
    answer(603);
    expect(transaction.state).toBe('terminated');
    expect([wire.taken(), heard]).toEqual([[[0, 'INVITE'], [0, 'ACK']], ['603']]); // prettier-ignore
  });

  it('builds the ACK with the Via of its INVITE, the To of the response and the number of the CSeq (§17.1.1.3)', () => {
    send('INVITE');
    answer(404, 'theirs');
    const [invite, ack] = wire.octets.map((octets) => octets.toString());
    const via = /^Via: .*$/m.exec(invite!)![0];
    expect(ack).toBe(
      [
        'ACK sip:bob@ims.test SIP/2.0',
        via,
        'Max-Forwards: 70',
        'From: <sip:alice@ims.test>;tag=alice',
        'To: <sip:bob@ims.test>;tag=theirs',
        'Call-ID: call',
        'CSeq: 1 ACK',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
  });

  it('passes every 2xx to its user for 64·T1 (Accepted, Timer M) and acknowledges none itself', () => {
    const transaction = send('INVITE');
    answer(200, 'first');
    expect(transaction.state).toBe('accepted');
    clock.advance(31_990);
    answer(200, 'first');
    answer(200, 'fork');
    answer(486);
    expect(heard).toEqual(['200', '200', '200']);
    clock.advance(10);
    expect(transaction.state).toBe('terminated');
    answer(200, 'late');
    expect(heard).toHaveLength(3);
    expect(wire.taken()).toEqual([[0, 'INVITE']]);
    expect(clock.pending).toBe(0);
  });

  it('in Accepted holds nothing of what was sent', async () => {
    const sent = new WeakRef(send('INVITE').request);
    answer(200, 'first');
    await new Promise((resolve) => setImmediate(resolve)); // until the end of its turn an object stays
    collectGarbage();
    expect(sent.deref()).toBeUndefined();
    answer(200, 'fork');
    expect([heard, clock.pending]).toEqual([['200', '200'], 1]);
  });

  it('reports a transport error and ends', () => {
    wire.broken = true;
    const transaction = send('INVITE');
    expect(heard).toEqual([]);
    wire.reportFailures();
    expect([heard, transaction.state, clock.pending]).toEqual([['transport'], 'terminated', 0]);
  });

  it('reports the failure of the flow it was bound to (RFC 5626 §5.3)', () => {
    wire.broken = true;
    send('INVITE', 'tcp', 'tcp|gone');
    wire.reportFailures();
    expect(heard).toEqual(['flow-failed']);
  });

  it('ends without a further word when an ACK cannot be sent', () => {
    const transaction = send('INVITE');
    wire.broken = true;
    answer(500);
    wire.reportFailures();
    expect([heard, transaction.state]).toEqual([['500'], 'terminated']);
  });
});

describe('cancelling an INVITE (RFC 3261 §9.1)', () => {
  it('waits for a provisional response before the CANCEL goes out, once', () => {
    const transaction = send('INVITE', 'tcp');
    transaction.cancel('SIP;cause=200;text="Call completed elsewhere"');
    expect(wire.taken()).toEqual([[0, 'INVITE']]);
    clock.advance(50);
    answer(100);
    transaction.cancel();
    expect(wire.taken()).toEqual([[50, 'CANCEL']]);
    const cancel = wire.octets[1]!.toString();
    expect(cancel).toContain('\r\nReason: SIP;cause=200;text="Call completed elsewhere"\r\n');
    expect(cancel).toContain('\r\nCSeq: 1 CANCEL\r\n');
    expect(viaOf(cancel)).toBe(viaOf(wire.octets[0]!.toString()));
  });

  it('sends the CANCEL as a transaction of its own, again after T1 and 2·T1', () => {
    const transaction = send('INVITE');
    answer(180);
    transaction.cancel();
    clock.advance(2000);
    expect(wire.taken()).toEqual([[0, 'INVITE'], [0, 'CANCEL'], [500, 'CANCEL'], [1500, 'CANCEL']]); // prettier-ignore
    wire.receive(responseText(wire.octets[1]!, 200));
    answer(487);
    clock.advance(60_000);
    expect([heard, clock.pending, layer.running]).toEqual([['180', '487'], 0, 0]);
  });

  it('gives the INVITE up when no final response follows within 64·T1', () => {
    const transaction = send('INVITE');
    answer(180);
    transaction.cancel();
    wire.receive(responseText(wire.octets[1]!, 200));
    clock.advance(32_000);
    expect([heard, transaction.state]).toEqual([['180', 'timeout'], 'terminated']);
  });

  it('sends nothing after a final response', () => {
    const transaction = send('INVITE');
    answer(200);
    transaction.cancel();
    expect(wire.taken()).toEqual([[0, 'INVITE']]);
  });
});

describe('the non-INVITE client transaction (RFC 3261 §17.1.2)', () => {
  it('over UDP sends again with Timer E doubling to T2 and gives up after 64·T1 (Timer F)', () => {
    send('OPTIONS');
    clock.advance(100_000);
    const instants = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    expect(wire.taken()).toEqual(instants.map((at) => [at, 'OPTIONS']));
    expect([heard, clock.pending, layer.running]).toEqual([['timeout'], 0, 0]);
  });

  it('in Proceeding sends again every T2 and still gives up after 64·T1', () => {
    send('OPTIONS');
    clock.advance(400);
    answer(100);
    clock.advance(100_000);
    const instants = [0, 500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500];
    expect(wire.taken()).toEqual(instants.map((at) => [at, 'OPTIONS']));
    expect(heard).toEqual(['100', 'timeout']);
  });

  it('takes T1 and T2 from the configuration', () => {
    start({ t1: 50, t2: 200, t4: 300 });
    send('MESSAGE');
    clock.advance(900);
    expect(wire.taken()).toEqual([0, 50, 150, 350, 550, 750].map((at) => [at, 'MESSAGE']));
    answer(200);
    clock.advance(290);
    expect(clock.pending).toBe(1);
    clock.advance(10);
    expect(clock.pending).toBe(0);
  });

  it('over TCP sends once and ends with the final response, where Timer K is zero', () => {
    const transaction = send('OPTIONS', 'tcp');
    clock.advance(20_000);
    answer(200);
    expect([wire.taken(), heard, transaction.state]).toEqual([[[0, 'OPTIONS']], ['200'], 'terminated']);
  });

  it('absorbs further final responses for T4 over UDP (Timer K)', () => {
    const transaction = send('OPTIONS');
    answer(404);
    answer(404);
    answer(100);
    clock.advance(4990);
    expect(transaction.state).toBe('completed');
    clock.advance(10);
    expect([transaction.state, heard, clock.pending]).toEqual(['terminated', ['404'], 0]);
  });

  it('in Completed holds nothing of what was sent', async () => {
    const sent = new WeakRef(send('OPTIONS').request);
    answer(200);
    await new Promise((resolve) => setImmediate(resolve)); // until the end of its turn an object stays
    collectGarbage();
    expect(sent.deref()).toBeUndefined();
    answer(200);
    expect([heard, clock.pending]).toEqual([['200'], 1]);
  });

  it('reports a transport error and ends', () => {
    wire.broken = true;
    send('OPTIONS');
    wire.reportFailures();
    expect([heard, clock.pending, layer.running]).toEqual([['transport'], 0, 0]);
  });

  it('is found by branch and method, so a response to another method with its branch is not its own', () => {
    send('OPTIONS');
    wire.receive(responseText(wire.octets[0]!, 200).replace('1 OPTIONS', '1 CANCEL'));
    expect(heard).toEqual([]);
  });
});
