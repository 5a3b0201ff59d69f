import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryTrail, type RecordedEvent, type TrailEvent } from '../../src/base/trail.js';

const stored: TrailEvent = { code: 'register.stored', outcome: 'accepted', clause: 'RFC 3261 §10.3' };

describe('the decision trail', () => {
  it('gives back each event as it was recorded, newest first', () => {
    const text = fc.option(
      fc.string({ maxLength: 60 }).filter((value) => !value.includes('\x1f')),
      { nil: undefined },
    );
    const events = fc.array(
      fc.record({
        code: fc.constantFrom('a.one', 'a.two'),
        outcome: fc.constantFrom('accepted' as const, 'refused' as const),
        clause: fc.constantFrom('RFC 3261 §10.3', 'RFC 5627 §6.1'),
        subject: text,
        trace: text,
        detail: text,
      }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(events, (given) => {
        let now = 1000;
        const trail = new MemoryTrail(() => now++, 20);
        for (const event of given) trail.record(event);
        const kept = given.map((event, sequence) => ({ ...event, sequence, at: 1000 + sequence }));
        expect(trail.recent()).toEqual(kept.slice(-20).reverse());
      }),
    );
  });

  it('finds events by subject, trace, code, outcome and number, and no more than were asked for', () => {
    const trail = new MemoryTrail(() => 0);
    trail.record({ ...stored, subject: 'sip:alice@ims.test', trace: 'call-1' });
    trail.record({ ...stored, subject: 'sip:bob@ims.test', trace: 'call-2' });
    trail.record({ code: 'register.expired', outcome: 'noted', clause: 'x', subject: 'sip:bob@ims.test' });
    const traces = (filter: Parameters<MemoryTrail['recent']>[0]): (string | undefined)[] =>
      trail.recent(filter).map(({ trace }) => trace);
    expect(traces({ subjects: ['wv:bob@ims.test', 'sip:bob@ims.test'] })).toEqual([undefined, 'call-2']);
    expect(traces({ outcome: 'noted' })).toEqual([undefined]);
    expect(traces({ after: 0 })).toEqual([undefined, 'call-2']);
    expect(traces({ after: trail.newest })).toEqual([]);
    expect(traces({ trace: 'call-1' })).toEqual(['call-1']);
    expect(traces({ code: 'register.stored' })).toEqual(['call-2', 'call-1']);
    expect(traces({ limit: 1 })).toEqual([undefined]);
  });

  it('cuts texts that are too long between two characters', () => {
    const trail = new MemoryTrail(() => 0);
    trail.record({ ...stored, detail: 'ü'.repeat(1000) });
    expect(trail.recent()[0]?.detail).toMatch(/^ü{100,200}$/);
  });

  it('tells a listener of those events that it wants', () => {
    const trail = new MemoryTrail(() => 0);
    const heard: string[] = [];
    trail.onEvent(
      ({ code }) => heard.push(code),
      ({ outcome }) => outcome === 'refused',
    );
    trail.record(stored);
    trail.record({ ...stored, code: 'register.brief', outcome: 'refused' });
    expect(heard).toEqual(['register.brief']);
  });

  it('counts all events, also those that it keeps no more, and tells its listeners of each', () => {
    const trail = new MemoryTrail(() => 0, 2);
    const heard: RecordedEvent[] = [];
    const stop = trail.onEvent((event) => heard.push(event));
    for (let i = 0; i < 5; i++) trail.record({ ...stored, trace: String(i) });
    stop();
    trail.record(stored);
    expect(trail.counts()).toEqual(new Map([['register.stored', 6]]));
    expect(heard.map(({ trace }) => trace)).toEqual(['0', '1', '2', '3', '4']);
    expect(trail.recent()).toHaveLength(2);
  });
});
