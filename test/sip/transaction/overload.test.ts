import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { makeResponse } from '../../../src/sip/transaction/derived.js';
import type { ServerTransaction } from '../../../src/sip/transaction/layer.js';
import { createTransactionLayer, type Transactions } from '../../../src/sip/transaction/transaction-layer.js';
import { FakeWire, requestText } from './fake-wire.js';

let clock: VirtualClock;
let wire: FakeWire;
let layer: Transactions;
let trail: MemoryTrail;
let transactions: ServerTransaction[];
let acks: number;

beforeEach(() => {
  clock = new VirtualClock();
  wire = new FakeWire(clock);
  trail = new MemoryTrail(() => clock.now());
  layer = createTransactionLayer({
    transports: wire,
    clock,
    log: silentLogger,
    trail,
    overload: { delayMs: 100, calmReadings: 3, retryAfter: [2, 9] },
  });
  transactions = [];
  acks = 0;
  layer.onRequest = (transaction) => transactions.push(transaction);
  layer.onAck = () => acks++;
});

const fresh = (method: string, branch: string, toTag?: string): string =>
  requestText(method, { branch: `z9hG4bK${branch}`, ...(toTag === undefined ? {} : { toTag }) });

/** How a request is taken: the status it is refused with, or `in`. */
function offer(method: string, branch: string, toTag?: string): string {
  const before = transactions.length;
  wire.receive(fresh(method, branch, toTag));
  return transactions.length > before ? 'in' : (wire.taken().at(-1)?.[1] ?? 'nothing');
}

describe('overload', () => {
  it('begins with a delay above the limit, and refuses new requests with 503 and Retry-After', () => {
    wire.onDelay(100);
    expect(offer('INVITE', 'a')).toBe('in');
    wire.onDelay(101);
    expect(['INVITE', 'REGISTER', 'MESSAGE', 'OPTIONS'].map((method) => offer(method, method))).toEqual(
      Array(4).fill('503'),
    );
    expect(wire.octets.at(-1)!.toString()).toMatch(/\r\nRetry-After: [2-9]\r\n/);
    expect([layer.load, trail.counts().get('sip.overload-began')]).toEqual([{ refused: 4, delay: 101 }, 1]);
  });

  it('lets requests inside dialogs go on', () => {
    wire.onDelay(500);
    expect([offer('INVITE', 'a', 'dialog'), offer('BYE', 'b', 'dialog'), offer('BYE', 'c')]).toEqual([
      'in',
      'in',
      '503',
    ]);
    wire.receive(fresh('ACK', 'd', 'dialog'));
    expect(acks).toBe(1);
  });

  it('keeps nobody from an emergency call', () => {
    wire.onDelay(500);
    wire.receive(requestText('INVITE', { uri: 'urn:service:sos.police' }));
    expect(transactions).toHaveLength(1);
  });

  it('lets running transactions go on: retransmissions, CANCEL and ACK', () => {
    wire.receive(fresh('INVITE', 'a'));
    wire.receive(fresh('OPTIONS', 'b'));
    transactions[1]!.respond(makeResponse(transactions[1]!.request, 200, 'b'));
    wire.onDelay(500);
    wire.taken();
    wire.receive(fresh('OPTIONS', 'b'));
    wire.receive(fresh('CANCEL', 'a'));
    transactions[0]!.respond(makeResponse(transactions[0]!.request, 487, 'b'));
    wire.receive(fresh('INVITE', 'a'));
    expect(wire.taken().map(([, what]) => what)).toEqual(['200', '200', '487', '487']);
    wire.receive(fresh('ACK', 'a', 'b'));
    clock.advance(5_000);
    expect(wire.taken()).toEqual([]);
  });

  it('ends only after several readings in a row below half the limit', () => {
    wire.onDelay(500);
    for (const delay of [49, 49, 50, 49, 49]) wire.onDelay(delay);
    expect(offer('OPTIONS', 'a')).toBe('503');
    wire.onDelay(49);
    expect(offer('OPTIONS', 'b')).toBe('in');
    expect(trail.recent({ code: 'sip.overload-ended' })[0]?.detail).toBe('1 requests refused since start');
  });

  it('does not begin again for a delay between the thresholds', () => {
    wire.onDelay(500);
    for (const delay of [0, 0, 0, 99]) wire.onDelay(delay);
    expect(offer('OPTIONS', 'a')).toBe('in');
  });

  it('wants readings as long as it lasts, even if nothing comes', () => {
    expect([50, 101, 0, 0, 0].map((delay) => wire.onDelay(delay))).toEqual([false, true, true, true, false]);
  });

  it('gives the same response to a retransmission, and takes the ACK to it for itself', () => {
    wire.onDelay(500);
    wire.receive(fresh('INVITE', 'a'));
    wire.receive(fresh('INVITE', 'a'));
    expect(wire.octets[1]).toEqual(wire.octets[0]);
    const toTag = /^To: .*;tag=(.*)$/m.exec(wire.octets[0]!.toString())![1]!.trim();
    wire.receive(fresh('ACK', 'a', toTag));
    expect(acks).toBe(0);
  });

  it('answers 481 to a BYE for the dialog that a refused INVITE did not make', () => {
    wire.onDelay(500);
    wire.receive(fresh('INVITE', 'a'));
    const toTag = /^To: .*;tag=(.*)$/m.exec(wire.octets[0]!.toString())![1]!.trim();
    expect(offer('BYE', 'b', toTag)).toBe('481');
  });

  it('spreads Retry-After over the whole range', () => {
    wire.onDelay(500);
    for (let i = 0; i < 200; i++) wire.receive(fresh('OPTIONS', `spread${i}`));
    const waits = wire.octets.map((octets) => /Retry-After: (\d+)/.exec(octets.toString())![1]);
    expect([...new Set(waits)].sort()).toEqual(['2', '3', '4', '5', '6', '7', '8', '9']);
  });
});

describe('too many transactions at once', () => {
  it('are refused with 503, and those that run go on', () => {
    layer = createTransactionLayer({
      transports: wire,
      clock,
      log: silentLogger,
      trail,
      limits: { running: 2 },
    });
    layer.onRequest = (transaction) => transactions.push(transaction);
    expect([offer('OPTIONS', 'a'), offer('OPTIONS', 'b'), offer('OPTIONS', 'c')]).toEqual([
      'in',
      'in',
      '503',
    ]);
    transactions[0]!.respond(makeResponse(transactions[0]!.request, 200, 'b'));
    expect(offer('OPTIONS', 'd')).toBe('in');
    expect(trail.counts().get('sip.too-many-transactions')).toBe(1);
  });
});
