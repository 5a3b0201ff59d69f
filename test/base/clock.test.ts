import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';

describe('the clock', () => {
  it('fires timers in the order they fall due, and in the order they were started when that is equal', () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    clock.after(500, () => fired.push('b'));
    clock.after(100, () => fired.push('a'));
    clock.after(500, () => fired.push('c'));
    clock.advance(499);
    expect(fired).toEqual(['a']);
    clock.advance(1);
    expect(fired).toEqual(['a', 'b', 'c']);
  });

  it('keeps timers longer than one turn of the wheel', () => {
    const clock = new VirtualClock();
    let fired = 0;
    clock.after(3_600_000, () => fired++);
    clock.advance(3_599_999);
    expect(fired).toBe(0);
    clock.advance(1);
    expect(fired).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('does not fire a timer that another cancelled in the same tick', () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    clock.after(10, () => {
      fired.push('first');
      second.cancel();
    });
    const second = clock.after(10, () => fired.push('second'));
    clock.advance(20);
    expect(fired).toEqual(['first']);
  });

  it('lets a timer start another', () => {
    const clock = new VirtualClock();
    let at = 0;
    const start = clock.now();
    clock.after(100, () => clock.after(100, () => (at = clock.now() - start)));
    clock.advance(1000);
    expect(at).toBe(200);
  });
});
