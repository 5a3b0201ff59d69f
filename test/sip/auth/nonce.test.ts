import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { ServerNonces, type NonceOptions } from '../../../src/sip/auth/nonce.js';

const key = Buffer.alloc(16, 7);
const setUp = (options: Partial<NonceOptions> = {}): { clock: VirtualClock; nonces: ServerNonces } => {
  const clock = new VirtualClock();
  return { clock, nonces: new ServerNonces({ clock, key, lifetimeMs: 300_000, ...options }) };
};

describe('a server nonce', () => {
  it('is accepted with strictly rising counts and with gaps, never twice with one count (RFC 7616 §3.4)', () => {
    const { nonces } = setUp();
    const nonce = nonces.issue();
    expect(
      ['00000001', '00000002', '00000002', '00000001', '0000000a', '00000009'].map((nc) =>
        nonces.spend(nonce, nc),
      ),
    ).toEqual([true, true, false, false, true, false]);
  });

  it('is not accepted with the count zero', () => {
    const { nonces } = setUp();
    expect(nonces.spend(nonces.issue(), '00000000')).toBe(false);
  });

  it('serves a client without nonce count once', () => {
    const { nonces } = setUp();
    const nonce = nonces.issue();
    expect([nonces.spend(nonce, undefined), nonces.spend(nonce, undefined)]).toEqual([true, false]);
  });

  it('serves once when single use is wanted, whatever its count', () => {
    const { nonces } = setUp({ singleUse: true });
    const nonce = nonces.issue();
    expect([nonces.spend(nonce, '00000001'), nonces.spend(nonce, '00000002')]).toEqual([true, false]);
  });

  it('is stale after its lifetime, used before or not', () => {
    const { clock, nonces } = setUp();
    const [used, unused] = [nonces.issue(), nonces.issue()];
    expect(nonces.spend(used, '00000001')).toBe(true);
    clock.advance(299_990);
    expect(nonces.spend(used, '00000002')).toBe(true);
    clock.advance(10);
    expect([nonces.spend(used, '00000003'), nonces.spend(unused, '00000001')]).toEqual([false, false]);
  });

  it('is not accepted when another server made it, or when any one character is changed', () => {
    const { clock, nonces } = setUp();
    const stranger = new ServerNonces({ clock, key: Buffer.alloc(16, 8), lifetimeMs: 300_000 });
    expect(nonces.spend(stranger.issue(), '00000001')).toBe(false);
    const nonce = nonces.issue();
    for (let at = 0; at < nonce.length; at++) {
      const digit = nonce[at] === 'A' ? 'B' : 'A';
      expect(nonces.spend(nonce.slice(0, at) + digit + nonce.slice(at + 1), '00000001')).toBe(false);
    }
    expect(nonces.spend('', '00000001')).toBe(false);
  });

  it('is accepted by another node that has the same key', () => {
    const { clock, nonces } = setUp();
    const other = new ServerNonces({ clock, key, lifetimeMs: 300_000 });
    expect(other.spend(nonces.issue(), '00000001')).toBe(true);
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
      expect(nonces.spend(nonce, '00000001')).toBe(true);
      spent.push(nonce);
      clock.advance(10);
      expect(nonces.size).toBeLessThanOrEqual(10);
    }
    expect(spent.filter((nonce) => nonces.spend(nonce, '00000001'))).toEqual([]);
  });

  it('is not used by nonces that nobody answered', () => {
    const { nonces } = setUp();
    for (let i = 0; i < 1000; i++) nonces.issue();
    expect(nonces.size).toBe(0);
  });

  it('lets go of expired nonces', () => {
    const { clock, nonces } = setUp({ capacity: 1000 });
    for (let i = 0; i < 100; i++) nonces.spend(nonces.issue(), '00000001');
    for (let i = 0; i < 2; i++) {
      clock.advance(300_000);
      nonces.spend(nonces.issue(), '00000001');
    }
    expect(nonces.size).toBeLessThanOrEqual(2);
  });

  it('keeps the count of a nonce in use while newer ones come', () => {
    const { clock, nonces } = setUp({ capacity: 10 });
    const nonce = nonces.issue();
    nonces.spend(nonce, '00000005');
    clock.advance(10);
    for (let i = 0; i < 4; i++) nonces.spend(nonces.issue(), '00000001');
    expect([nonces.spend(nonce, '00000005'), nonces.spend(nonce, '00000006')]).toEqual([false, true]);
  });
});
