import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { Health, answerMs } from '../../src/store/redis/health.js';

describe('the health of Redis', () => {
  it('takes an answer that was there before this process, which stood still, could read it', async () => {
    const clock = new VirtualClock();
    const health = new Health(clock, silentLogger);
    let resolve!: (answer: string) => void;
    const answer = health.answer(0, () => new Promise<string>((done) => (resolve = done)));
    clock.advance(answerMs);
    resolve('OK');
    await expect(answer).resolves.toBe('OK');
    await nextTurn();
    await expect(health.answer(0, () => Promise.resolve('next'))).resolves.toBe('next');
    expect(health.trouble).toBeUndefined();
  });

  it('waits no longer for one that is not, and sends no more until it comes', async () => {
    const clock = new VirtualClock();
    const health = new Health(clock, silentLogger);
    let resolve!: (answer: string) => void;
    const answer = health.answer(0, () => new Promise<string>((done) => (resolve = done)));
    clock.advance(answerMs);
    await expect(answer).rejects.toMatchObject({ code: 'store-unavailable' });
    await expect(health.answer(0, () => Promise.resolve('next'))).rejects.toThrow(/no answer within/);
    expect(health.trouble).toMatch(/no answer within/);
    resolve('late');
    await nextTurn();
    await expect(health.answer(0, () => Promise.resolve('next'))).resolves.toBe('next');
  });
});
