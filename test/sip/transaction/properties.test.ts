import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { parseDatagram } from '../../../src/sip/message/parse.js';
import { makeResponse } from '../../../src/sip/transaction/derived.js';
import type { ClientTransaction, ServerTransaction } from '../../../src/sip/transaction/layer.js';
import { createTransactionLayer, type Transactions } from '../../../src/sip/transaction/transaction-layer.js';
import { FakeWire, requestText, responseText } from './fake-wire.js';

interface World {
  readonly clock: VirtualClock;
  readonly wire: FakeWire;
  readonly layer: Transactions;
  readonly trail: MemoryTrail;
  readonly servers: ServerTransaction[];
  readonly clients: { readonly transaction: ClientTransaction; readonly heard: string[] }[];
}

function makeWorld(): World {
  const clock = new VirtualClock(0);
  const wire = new FakeWire(clock);
  const trail = new MemoryTrail(() => clock.now());
  const layer = createTransactionLayer({ transports: wire, clock, log: silentLogger, trail });
  const servers: ServerTransaction[] = [];
  layer.onRequest = (transaction) => servers.push(transaction);
  return { clock, wire, layer, trail, servers, clients: [] };
}

const method = fc.constantFrom('INVITE', 'OPTIONS', 'CANCEL', 'ACK', 'REGISTER');
const protocol = fc.constantFrom('udp' as const, 'tcp' as const);
const status = fc.constantFrom(100, 180, 200, 202, 302, 404, 486, 503, 603);
const small = fc.nat({ max: 5 });

/** Anything that can happen to a layer. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({ kind: fc.constant('request' as const), method, protocol, branch: small, cookie: fc.boolean() }),
  fc.record({ kind: fc.constant('respond' as const), which: small, status }),
  fc.record({ kind: fc.constant('send' as const), method: fc.constantFrom('INVITE', 'OPTIONS'), protocol }),
  fc.record({ kind: fc.constant('response' as const), which: small, status }),
  fc.record({ kind: fc.constant('cancel' as const), which: small }),
  fc.record({ kind: fc.constant('broken' as const), broken: fc.boolean() }),
  fc.record({ kind: fc.constant('failures' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function sendRequest(world: World, name: string, over: 'udp' | 'tcp'): void {
  const parsed = parseDatagram(Buffer.from(requestText(name, { callId: `out${world.clients.length}` })));
  if (parsed.kind !== 'request') throw new Error('a bad fixture');
  parsed.message.headers.remove('Via');
  const heard: string[] = [];
  const transaction = world.layer.send(
    parsed.message,
    { protocol: over, address: '192.0.2.2', port: 5060 },
    {
      onResponse: (response) => heard.push(String(response.status)),
      onFailure: (failure) => heard.push(failure),
    },
  );
  world.clients.push({ transaction, heard });
}

function take(world: World, one: Step): void {
  const { wire, clock, servers, clients } = world;
  switch (one.kind) {
    case 'wait':
      clock.advance(one.ms);
      break;
    case 'request': {
      const branch = one.cookie ? `z9hG4bK${one.branch}` : '';
      wire.receive(requestText(one.method, { branch, callId: `in${one.branch}` }), one.protocol);
      break;
    }
    case 'respond': {
      const transaction = servers[one.which];
      transaction?.respond(makeResponse(transaction.request, one.status, 'tag'));
      break;
    }
    case 'send':
      sendRequest(world, one.method, one.protocol);
      break;
    case 'response': {
      const sent = wire.octets.filter((octets) => !octets.toString().startsWith('SIP'))[one.which];
      if (sent) wire.receive(responseText(sent, one.status));
      break;
    }
    case 'cancel':
      clients[one.which]?.transaction.cancel();
      break;
    case 'broken':
      wire.broken = one.broken;
      break;
    case 'failures':
      wire.reportFailures();
      break;
  }
}

const isFinal = (what: string): boolean => !/^1\d\d$/.test(what);

describe('the transaction layer, whatever happens', () => {
  it('tells each client of one end, or of several 2xx to one INVITE, and never throws', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = makeWorld();
        for (const one of steps) take(world, one);
        expect(world.trail.counts().get('sip.internal-error')).toBeUndefined();
        for (const { transaction, heard } of world.clients) {
          const ends = heard.filter(isFinal);
          const several = transaction.request.method === 'INVITE' && ends.every((end) => end.startsWith('2'));
          if (!several) expect(ends.length).toBeLessThanOrEqual(1);
          // nothing is heard after the end but further 2xx
          if (ends.length > 0) expect(heard.slice(heard.indexOf(ends[0]!)).every(isFinal)).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('holds nothing any more when all has been answered and time has passed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = makeWorld();
        for (const one of steps) take(world, one);
        for (const transaction of world.servers)
          if (transaction.finalStatus === undefined)
            transaction.respond(makeResponse(transaction.request, 500, 'tag'));
        for (const { transaction } of world.clients) transaction.cancel();
        world.clock.advance(300_000);
        expect([world.layer.running, world.clock.pending]).toEqual([0, 0]);
      }),
      { numRuns: 400 },
    );
  });

  it('counts arbitrary octets as malformed and goes on', () => {
    const { wire, layer, trail, servers } = makeWorld();
    const text = requestText('OPTIONS');
    const mutated = fc
      .tuple(fc.nat({ max: text.length - 1 }), fc.string({ maxLength: 4 }), fc.nat({ max: 8 }))
      .map(([at, put, cut]) => text.slice(0, at) + put + text.slice(at + cut));
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string()), (octets) => {
        wire.receive(octets);
        for (const transaction of servers.splice(0))
          transaction.respond(makeResponse(transaction.request, 200, 'tag'));
        expect(trail.counts().get('sip.internal-error')).toBeUndefined();
      }),
      { numRuns: 3000 },
    );
    expect(layer.running).toBe(0);
    expect(trail.counts().get('sip.malformed')).toBeGreaterThan(0);
  });
});
