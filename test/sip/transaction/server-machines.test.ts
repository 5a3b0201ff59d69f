import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { makeResponse } from '../../../src/sip/transaction/derived.js';
import type { ServerTransaction, TransactionTimers } from '../../../src/sip/transaction/layer.js';
import { createTransactionLayer, type Transactions } from '../../../src/sip/transaction/transaction-layer.js';
import { FakeWire, requestText } from './fake-wire.js';

let clock: VirtualClock;
let wire: FakeWire;
let layer: Transactions;
let trail: MemoryTrail;
let transactions: ServerTransaction[];
let heard: string[];

const start = (timers: TransactionTimers = { t1: 500, t2: 4000, t4: 5000 }): void => {
  clock = new VirtualClock();
  wire = new FakeWire(clock);
  trail = new MemoryTrail(() => clock.now());
  layer = createTransactionLayer({ transports: wire, clock, log: silentLogger, trail, timers });
  transactions = [];
  heard = [];
  layer.onRequest = (transaction) => {
    transactions.push(transaction);
    transaction.onFailure = (reason) => heard.push(reason);
    if (transaction.kind === 'invite') transaction.onCancel = () => heard.push('cancel');
  };
  layer.onAck = (ack) => heard.push(`ack ${ack.toTag}`);
};

beforeEach(() => start());

const invite = requestText('INVITE');
const ack = requestText('ACK', { cseq: 'ACK', toTag: 'b' });
const respond = (status: number): boolean =>
  transactions[0]!.respond(makeResponse(transactions[0]!.request, status, 'b'));

describe('the INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1)', () => {
  it('sends 100 when its user has not answered within 200 ms', () => {
    wire.receive(invite);
    clock.advance(190);
    expect(wire.taken()).toEqual([]);
    clock.advance(10);
    expect(wire.taken()).toEqual([[200, '100']]);
  });

  it('sends no 100 when its user was faster', () => {
    wire.receive(invite);
    respond(180);
    clock.advance(1000);
    expect(wire.taken()).toEqual([[0, '180']]);
  });

  it('answers a retransmission with the last provisional response, and with nothing before there is one', () => {
    wire.receive(invite);
    wire.receive(invite);
    expect(wire.taken()).toEqual([]);
    respond(180);
    respond(183);
    wire.receive(invite);
    expect(wire.taken()).toEqual([[0, '180'], [0, '183'], [0, '183']]); // prettier-ignore
    expect(transactions).toHaveLength(1);
  });

  it('over UDP repeats a refusal after T1 doubling to T2 (Timer G) until 64·T1 without ACK (Timer H)', () => {
    wire.receive(invite);
    respond(486);
    clock.advance(100_000);
    const instants = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    expect(wire.taken()).toEqual(instants.map((at) => [at, '486']));
    expect([heard, clock.pending]).toEqual([['no-ack'], 0]);
  });

  it('takes T1 and T2 from the configuration', () => {
    start({ t1: 100, t2: 200, t4: 300 });
    wire.receive(invite);
    respond(404);
    clock.advance(1000);
    expect(wire.taken()).toEqual([0, 100, 300, 500, 700, 900].map((at) => [at, '404']));
  });

  it('over TCP sends a refusal once and waits 64·T1 for the ACK', () => {
    wire.receive(invite, 'tcp');
    respond(486);
    clock.advance(31_990);
    expect([wire.taken(), heard]).toEqual([[[0, '486']], []]);
    clock.advance(10);
    expect(heard).toEqual(['no-ack']);
  });

  it('in Completed answers a retransmitted INVITE with the refusal', () => {
    wire.receive(invite);
    respond(486);
    clock.advance(100);
    wire.receive(invite);
    expect(wire.taken()).toEqual([[0, '486'], [100, '486']]); // prettier-ignore
  });

  it('stops at the ACK, absorbs what comes again for T4 (Timer I), and keeps the ACK from its user', () => {
    wire.receive(invite);
    respond(486);
    wire.receive(ack);
    wire.receive(ack);
    wire.receive(invite);
    clock.advance(4990);
    expect(clock.pending).toBe(1);
    clock.advance(10);
    expect(clock.pending).toBe(0);
    expect([wire.taken(), heard]).toEqual([[[0, '486']], []]);
    wire.receive(invite);
    expect(transactions).toHaveLength(2);
  });

  it('ends at the ACK over TCP, where Timer I is zero', () => {
    wire.receive(invite, 'tcp');
    respond(486);
    wire.receive(ack, 'tcp');
    expect(clock.pending).toBe(0);
    wire.receive(invite, 'tcp');
    expect(transactions).toHaveLength(2);
  });

  it('after a 2xx absorbs retransmissions for 64·T1 (Timer L) and sends what 2xx its user gives', () => {
    wire.receive(invite);
    expect(respond(200)).toBe(true);
    wire.receive(invite);
    clock.advance(500);
    expect(respond(200)).toBe(true);
    expect(respond(486)).toBe(false);
    clock.advance(31_490);
    wire.receive(invite);
    expect(wire.taken()).toEqual([[0, '200'], [500, '200']]); // prettier-ignore
    clock.advance(10);
    expect([clock.pending, transactions.length, heard]).toEqual([0, 1, []]);
    expect(respond(200)).toBe(false);
  });

  it('hands the ACK to a 2xx to its user, whatever its branch', () => {
    wire.receive(invite);
    respond(200);
    wire.receive(ack);
    wire.receive(requestText('ACK', { branch: 'z9hG4bKother', toTag: 'c' }));
    expect(heard).toEqual(['ack b', 'ack c']);
  });

  it('sends no second final response and no provisional one after it', () => {
    wire.receive(invite);
    expect([respond(486), respond(200), respond(180)]).toEqual([true, false, false]);
    expect(wire.taken()).toEqual([[0, '486']]);
    expect(transactions[0]!.finalStatus).toBe(486);
  });

  it('ends with a transport error, in Proceeding and in Completed', () => {
    wire.broken = true;
    wire.receive(invite);
    respond(180);
    wire.reportFailures();
    wire.receive(requestText('INVITE', { branch: 'z9hG4bKtwo' }));
    transactions[1]!.respond(makeResponse(transactions[1]!.request, 486, 'b'));
    wire.reportFailures();
    expect([heard, clock.pending, layer.running]).toEqual([['transport', 'transport'], 0, 0]);
  });
});

describe('CANCEL at the server (RFC 3261 §9.2)', () => {
  const cancel = requestText('CANCEL');

  it('is answered 200 and told to the user of its INVITE, which stays to be answered', () => {
    wire.receive(invite);
    wire.receive(cancel);
    expect([wire.taken(), heard]).toEqual([[[0, '200']], ['cancel']]);
    expect(respond(487)).toBe(true);
  });

  it('is answered the same when it comes again, and told once', () => {
    wire.receive(invite);
    wire.receive(cancel);
    wire.receive(cancel);
    expect(wire.octets[1]).toEqual(wire.octets[0]);
    expect(heard).toEqual(['cancel']);
  });

  it('is answered 200 without effect after the final response', () => {
    wire.receive(invite);
    respond(200);
    wire.receive(cancel);
    expect([wire.taken(), heard]).toEqual([[[0, '200'], [0, '200']], []]); // prettier-ignore
  });

  it('is answered 481 when it matches no INVITE', () => {
    wire.receive(invite);
    wire.receive(requestText('CANCEL', { branch: 'z9hG4bKother' }));
    expect([wire.taken(), heard]).toEqual([[[0, '481']], []]);
    expect(trail.counts().get('sip.cancel-unmatched')).toBe(1);
  });
});

describe('the non-INVITE server transaction (RFC 3261 §17.2.2)', () => {
  const options = requestText('OPTIONS');

  it('absorbs retransmissions in Trying, and repeats the provisional response in Proceeding', () => {
    wire.receive(options);
    wire.receive(options);
    expect(wire.taken()).toEqual([]);
    respond(100);
    wire.receive(options);
    expect(wire.taken()).toEqual([[0, '100'], [0, '100']]); // prettier-ignore
    expect([transactions.length, layer.running]).toEqual([1, 1]);
  });

  it('over UDP repeats the final response for 64·T1 (Timer J)', () => {
    wire.receive(options);
    respond(404);
    expect([respond(200), layer.running]).toEqual([false, 0]);
    clock.advance(31_990);
    wire.receive(options);
    expect(wire.taken()).toEqual([[0, '404'], [31_990, '404']]); // prettier-ignore
    clock.advance(10);
    wire.receive(options);
    expect(transactions).toHaveLength(2);
  });

  it('over TCP ends with its final response, where Timer J is zero', () => {
    wire.receive(options, 'tcp');
    respond(200);
    wire.receive(options, 'tcp');
    expect(transactions).toHaveLength(2);
  });

  it('is dropped without a word when its user has not answered in 64·T1 (RFC 4320 §4.2)', () => {
    wire.receive(requestText('OPTIONS'));
    clock.advance(31_990);
    expect(layer.running).toBe(1);
    clock.advance(10);
    expect(layer.running).toBe(0);
    expect(respond(408)).toBe(false);
    expect(wire.taken()).toEqual([]);
    expect(trail.counts().get('sip.unanswered')).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('reports a transport error', () => {
    wire.broken = true;
    wire.receive(options);
    respond(200);
    wire.reportFailures();
    expect(heard).toEqual(['transport']);
    expect(trail.counts().get('sip.send-failed')).toBe(1);
  });
});

describe('which transaction a request belongs to (RFC 3261 §17.2.3)', () => {
  const different: [string, string][] = [
    ['branch', requestText('OPTIONS', { branch: 'z9hG4bKother' })],
    ['sent-by port', requestText('OPTIONS').replace('192.0.2.2:5060', '192.0.2.2:5061')],
    ['sent-by host', requestText('OPTIONS').replace('192.0.2.2:5060', '192.0.2.3:5060')],
    ['method', requestText('MESSAGE')],
  ];
  it.each(different)('is told by the %s', (_what, text) => {
    wire.receive(requestText('OPTIONS'));
    wire.receive(text);
    expect(transactions).toHaveLength(2);
  });

  it('is not told by other fields when the branch has the cookie', () => {
    wire.receive(requestText('OPTIONS'));
    wire.receive(requestText('OPTIONS', { callId: 'another', uri: 'sip:carol@ims.test' }));
    expect(transactions).toHaveLength(1);
  });

  const older = (method: string, change: object = {}): string =>
    requestText(method, { branch: '', ...change });
  const fields: [string, string][] = [
    ['Request-URI', older('OPTIONS', { uri: 'sip:carol@ims.test' })],
    ['To tag', older('OPTIONS', { toTag: 'b' })],
    ['From tag', older('OPTIONS').replace('tag=alice', 'tag=other')],
    ['Call-ID', older('OPTIONS', { callId: 'other' })],
    ['CSeq', older('OPTIONS').replace('CSeq: 1', 'CSeq: 2')],
    ['topmost Via', older('OPTIONS').replace('192.0.2.2', '192.0.2.9')],
  ];
  it.each(fields)('is told by the %s without the cookie, as RFC 2543 had it', (_what, text) => {
    wire.receive(older('OPTIONS'));
    wire.receive(older('OPTIONS'));
    expect(transactions).toHaveLength(1);
    wire.receive(text);
    expect(transactions).toHaveLength(2);
  });

  it('gives an ACK without the cookie to the INVITE whose response had its To tag', () => {
    wire.receive(older('INVITE'));
    respond(486);
    wire.receive(older('ACK', { toTag: 'another' }));
    expect(heard).toEqual(['ack another']);
    wire.receive(older('ACK', { toTag: 'b' }));
    expect(heard).toEqual(['ack another']);
    clock.advance(20_000);
    expect(wire.taken()).toEqual([[0, '486']]);
  });

  it('gives a CANCEL without the cookie to its INVITE', () => {
    wire.receive(older('INVITE'));
    wire.receive(older('CANCEL'));
    expect(heard).toEqual(['cancel']);
  });
});
