import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { StoredNonceUses } from '../../../src/registrar/nonce-uses.js';
import { ServerNonces, type NonceOptions } from '../../../src/sip/auth/nonce.js';
import { table } from '../../../src/store/store.js';
import { MemoryStore } from '../../tools/memory-store.js';

const key = Buffer.alloc(16, 7);
const setUp = (options: Partial<NonceOptions> = {}): { clock: VirtualClock; nonces: ServerNonces } => {
  const clock = new VirtualClock();
  return { clock, nonces: new ServerNonces({ clock, key, lifetimeMs: 300_000, ...options }) };
};

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('a server nonce', () => {
  it('is remembered without the message that it came in', () => {
    const { nonces } = setUp();
    const rest = 'x'.repeat(10_000);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 4_000; i++) {
      const message = Buffer.from(`${nonces.issue()} ${rest}`).toString('latin1');
      expect(nonces.spend(message.slice(0, message.indexOf(' ')), '00000001')).toBe('spent');
    }
    collectGarbage();
    expect(nonces.size).toBe(4_000);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000);
  });

  it('is accepted with strictly rising counts and with gaps, never twice with one count (RFC 7616 §3.4)', () => {
    const { nonces } = setUp();
    const nonce = nonces.issue();
    expect(
      ['00000001', '00000002', '00000002', '00000001', '0000000a', '00000009'].map((nc) =>
        nonces.spend(nonce, nc),
      ),
    ).toEqual(['spent', 'spent', 'stale', 'stale', 'spent', 'stale']);
  });

  it('is not accepted with the count zero', () => {
    const { nonces } = setUp();
    expect(nonces.spend(nonces.issue(), '00000000')).toBe('stale');
  });

  it('serves a client without nonce count once', () => {
    const { nonces } = setUp();
    const nonce = nonces.issue();
    expect([nonces.spend(nonce, undefined), nonces.spend(nonce, undefined)]).toEqual(['spent', 'stale']);
  });

  it('serves once when single use is wanted, whatever its count', () => {
    const { nonces } = setUp({ singleUse: true });
    const nonce = nonces.issue();
    expect([nonces.spend(nonce, '00000001'), nonces.spend(nonce, '00000002')]).toEqual(['spent', 'stale']);
  });

  it('is stale after its lifetime, used before or not', () => {
    const { clock, nonces } = setUp();
    const [used, unused] = [nonces.issue(), nonces.issue()];
    expect(nonces.spend(used, '00000001')).toBe('spent');
    clock.advance(299_990);
    expect(nonces.spend(used, '00000002')).toBe('spent');
    clock.advance(10);
    expect([nonces.spend(used, '00000003'), nonces.spend(unused, '00000001')]).toEqual(['stale', 'stale']);
  });

  it('is not accepted when another server made it, or when any one character is changed', () => {
    const { clock, nonces } = setUp();
    const stranger = new ServerNonces({ clock, key: Buffer.alloc(16, 8), lifetimeMs: 300_000 });
    expect(nonces.spend(stranger.issue(), '00000001')).toBe('stale');
    const nonce = nonces.issue();
    for (let at = 0; at < nonce.length; at++) {
      const digit = nonce[at] === 'A' ? 'B' : 'A';
      expect(nonces.spend(nonce.slice(0, at) + digit + nonce.slice(at + 1), '00000001')).toBe('stale');
    }
    expect(nonces.spend('', '00000001')).toBe('stale');
  });

  it('differs each time', () => {
    const { nonces } = setUp();
    expect(new Set(Array.from({ length: 10_000 }, () => nonces.issue())).size).toBe(10_000);
  });
});

describe('the memory of nonces', () => {
  it('never grows beyond its capacity, and no forgotten nonce can be replayed', () => {
    const { clock, nonces } = setUp({ capacity: 10 });
    const spent: string[] = [];
    for (let i = 0; i < 100; i++) {
      const nonce = nonces.issue();
      expect(nonces.spend(nonce, '00000001')).toBe('spent');
      spent.push(nonce);
      clock.advance(10);
      expect(nonces.size).toBeLessThanOrEqual(10);
    }
    expect(spent.filter((nonce) => nonces.spend(nonce, '00000001') === 'spent')).toEqual([]);
  });

  it('is not used by nonces that nobody answered', () => {
    const { nonces } = setUp();
    for (let i = 0; i < 1000; i++) nonces.issue();
    expect(nonces.size).toBe(0);
  });

  it('lets go of expired nonces', () => {
    const { clock, nonces } = setUp({ capacity: 1000 });
    for (let i = 0; i < 100; i++) void nonces.spend(nonces.issue(), '00000001');
    for (let i = 0; i < 2; i++) {
      clock.advance(300_000);
      void nonces.spend(nonces.issue(), '00000001');
    }
    expect(nonces.size).toBeLessThanOrEqual(2);
  });

  it('keeps the count of a nonce in use while newer ones come', () => {
    const { clock, nonces } = setUp({ capacity: 10 });
    const nonce = nonces.issue();
    void nonces.spend(nonce, '00000005');
    clock.advance(10);
    for (let i = 0; i < 4; i++) void nonces.spend(nonces.issue(), '00000001');
    expect([nonces.spend(nonce, '00000005'), nonces.spend(nonce, '00000006')]).toEqual(['stale', 'spent']);
  });
});

describe('a nonce that comes to several nodes with one key', () => {
  let clock: VirtualClock;
  let uses: StoredNonceUses;
  let store: MemoryStore;
  const node = (): ServerNonces => new ServerNonces({ clock, key, lifetimeMs: 300_000, uses });
  beforeEach(() => {
    clock = new VirtualClock();
    store = new MemoryStore();
    uses = new StoredNonceUses({ store, clock, log: silentLogger });
    return () => uses.close();
  });

  it('is taken by the one that made it alone, used there before or not', () => {
    const [a, b] = [node(), node()];
    const [used, unused] = [a.issue(), a.issue()];
    expect(a.spend(used, '00000001')).toBe('spent');
    expect([b.spend(used, '00000001'), b.spend(unused, '00000001')]).toEqual(['elsewhere', 'elsewhere']);
    // what an earlier life of a node has counted is forgotten
    expect(node().spend(used, '00000001')).toBe('elsewhere');
  });

  it('is merely stale at another when its time is over', () => {
    const nonce = node().issue();
    clock.advance(300_000);
    expect(node().spend(nonce, '00000001')).toBe('stale');
  });

  it('made for all of them is taken by each with a rising count, and no request twice', async () => {
    const [a, b, c] = [node(), node(), node()];
    const nonce = a.issue(true);
    expect(await b.spend(nonce, '00000001')).toBe('spent');
    expect(await c.spend(nonce, '00000001')).toBe('elsewhere');
    expect(await a.spend(nonce, '00000001')).toBe('elsewhere');
    expect(await a.spend(nonce, '00000002')).toBe('spent');
    expect(await b.spend(nonce, undefined)).toBe('spent');
    expect(await c.spend(nonce, 'ffffffff')).toBe('elsewhere');
    const atOnce = a.issue(true);
    const answers = await Promise.all([a, b, c].map(async (one) => one.spend(atOnce, '00000001')));
    expect(answers.toSorted()).toEqual(['elsewhere', 'elsewhere', 'spent']);
  });

  it('made for all of them is followed by another such when its time is over', () => {
    const nonce = node().issue(true);
    clock.advance(300_000);
    expect(node().spend(nonce, '00000001')).toBe('elsewhere');
  });

  it('made for all of them leaves its count in the store until no clock takes it for good', async () => {
    await node().spend(node().issue(true), '00000001');
    const kept = async (): Promise<number> => (await store.due(table('nonce-counts'), Infinity, 10)).length;
    await clock.advanceAsync(355_000, 10_000);
    expect(await kept()).toBe(1);
    await clock.advanceAsync(20_000, 10_000);
    expect(await kept()).toBe(0);
  });

  it('is not good when its count cannot be stored', async () => {
    store.failure = new Error('away');
    await expect(node().spend(node().issue(true), '00000001')).rejects.toThrow('away');
  });
});
