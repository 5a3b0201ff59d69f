import { describe, expect, it, vi } from 'vitest';
import { SystemClock, VirtualClock } from '../../src/base/clock.js';

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

describe('the clock of a running server', () => {
  it('wakes the process when a timer is due, not at every tick before', async () => {
    const clock = new SystemClock(() => {});
    const waking = vi.spyOn(globalThis, 'setTimeout');
    await new Promise<void>((resolve) => clock.after(300, resolve));
    expect(waking.mock.calls.length).toBeLessThan(10);
    waking.mockRestore();
    clock.close();
  });

  it('fires no timer early, and one that is started later and due sooner in time', async () => {
    const clock = new SystemClock(() => {});
    const fired: string[] = [];
    const startedAt = performance.now();
    const late = new Promise<number>((resolve) =>
      clock.after(75, () => {
        fired.push('late');
        resolve(performance.now() - startedAt);
      }),
    );
    clock.after(15, () => fired.push('soon'));
    clock.after(5, () => fired.push('sooner'));
    expect(await late).toBeGreaterThanOrEqual(75);
    expect(fired).toEqual(['sooner', 'soon', 'late']);
    clock.close();
  });

  it('stops for a timer that is cancelled, and goes on for the next one', async () => {
    const clock = new SystemClock(() => {});
    const fired: string[] = [];
    clock.after(10, () => fired.push('cancelled')).cancel();
    await new Promise<void>((resolve) => clock.after(30, resolve));
    await new Promise<void>((resolve) => clock.after(0, resolve));
    expect(fired).toEqual([]);
    clock.close();
  });
});
