import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { GuessLock } from '../../../src/sip/auth/guess-lock.js';

const setUp = (capacity?: number): { clock: VirtualClock; lock: GuessLock } => {
  const clock = new VirtualClock();
  const lock = new GuessLock({ clock, limit: 5, windowMs: 60_000, ...(capacity && { capacity }) });
  return { clock, lock };
};
const fail = (lock: GuessLock, key: string, times: number): void => {
  for (let i = 0; i < times; i++) lock.failed(key);
};

describe('the lock against guessing', () => {
  it('allows as many wrong answers as its limit and then locks', () => {
    const { lock } = setUp();
    fail(lock, 'alice', 4);
    expect(lock.lockedFor('alice')).toBe(0);
    fail(lock, 'alice', 1);
    expect(lock.lockedFor('alice')).toBe(12_000);
  });

  it('gives back one try at a time', () => {
    const { clock, lock } = setUp();
    fail(lock, 'alice', 5);
    clock.advance(11_990);
    expect(lock.lockedFor('alice')).toBe(10);
    clock.advance(10);
    expect(lock.lockedFor('alice')).toBe(0);
    lock.failed('alice');
    expect(lock.lockedFor('alice')).toBe(12_000);
  });

  it('gives all tries back after the window, and after a right answer', () => {
    const { clock, lock } = setUp();
    fail(lock, 'alice', 5);
    clock.advance(60_000);
    fail(lock, 'alice', 4);
    expect(lock.lockedFor('alice')).toBe(0);
    lock.succeeded('alice');
    fail(lock, 'alice', 4);
    expect(lock.lockedFor('alice')).toBe(0);
  });

  it('keeps keys apart', () => {
    const { lock } = setUp();
    fail(lock, 'alice', 5);
    expect(lock.lockedFor('bob')).toBe(0);
  });

  it('never lets more guesses through over a long time than its rate and limit allow', () => {
    const { clock, lock } = setUp();
    let guesses = 0;
    for (let second = 0; second < 3600; second++) {
      while (lock.lockedFor('alice') === 0) {
        lock.failed('alice');
        guesses++;
      }
      clock.advance(1000);
    }
    expect(guesses).toBeLessThanOrEqual(5 + 3600 / 12);
    expect(guesses).toBeGreaterThan(250);
  });

  it('remembers no more keys than its capacity, the latest to fail first', () => {
    const { lock } = setUp(100);
    fail(lock, 'early', 5);
    fail(lock, 'alice', 5);
    for (let i = 0; i < 99; i++) lock.failed(`user${i}`);
    expect(lock.size).toBe(100);
    expect([lock.lockedFor('early'), lock.lockedFor('alice')]).toEqual([0, 12_000]);
  });

  it('forgets keys that have all tries back', () => {
    const { clock, lock } = setUp();
    for (let i = 0; i < 50; i++) lock.failed(`user${i}`);
    clock.advance(12_000);
    lock.failed('alice');
    expect(lock.size).toBe(1);
  });
});
