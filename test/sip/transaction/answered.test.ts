import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipResponse } from '../../../src/sip/message/message.js';
import { MessageWriting, serialize, type Writing } from '../../../src/sip/message/serialize.js';
import { AnsweredRequests } from '../../../src/sip/transaction/answered.js';

const lifetime = 32_000;
const roomy = { count: 1 << 20, bytes: 1 << 28 };

const octets = (response: Buffer): Writing => ({
  most: response.length,
  writeTo: (target, at) => at + response.copy(target, at),
});

describe('answered requests', () => {
  it('are found by their key with the octets of their response until Timer J fires', () => {
    const clock = new VirtualClock();
    const answered = new AnsweredRequests(clock, lifetime, roomy);
    answered.add('OPTIONS z9hG4bK1 host:5060', octets(Buffer.from('response')));
    clock.advance(lifetime - 10);
    expect(answered.find('OPTIONS z9hG4bK1 host:5060')?.toString()).toBe('response');
    expect(answered.find('OPTIONS z9hG4bK2 host:5060')).toBeUndefined();
    clock.advance(10);
    expect(answered.find('OPTIONS z9hG4bK1 host:5060')).toBeUndefined();
  });

  it('give their memory back when nothing more comes', () => {
    const clock = new VirtualClock();
    const answered = new AnsweredRequests(clock, lifetime, roomy);
    for (let i = 0; i < 1000; i++) {
      answered.add(`key ${i}`, octets(Buffer.alloc(500)));
      clock.advance(10);
    }
    expect(answered.size).toBe(1000);
    clock.advance(2 * lifetime);
    expect([answered.size, answered.bytes, clock.pending]).toEqual([0, 0, 0]);
  });

  it('are found for a whole life whenever the filter in front of them turns over', () => {
    const clock = new VirtualClock();
    const answered = new AnsweredRequests(clock, lifetime, roomy);
    const since = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const key = `key ${i}`;
      answered.add(key, octets(Buffer.from(key)));
      since.set(key, clock.now());
      // quiet for less than a life, for more than one and for more than two
      clock.advance(i % 100 === 0 ? [1.5, 2.5, 0.9, 3][i / 100]! * lifetime : 370);
      const alive = [...since].filter(([, at]) => at + lifetime > clock.now()).map(([name]) => name);
      expect([...since.keys()].filter((name) => answered.find(name))).toEqual(alive);
    }
  });

  it('press for no garbage collection, however many they are', () => {
    const answered = new AnsweredRequests(new VirtualClock(), lifetime, roomy);
    const response = Buffer.alloc(1000);
    const before = process.memoryUsage().external;
    for (let i = 0; i < 32_000; i++) answered.add(`key ${i}`, octets(response));
    expect(answered.bytes).toBeGreaterThan(32_000_000);
    expect(process.memoryUsage().external - before).toBeLessThan(8_000_000);
  });

  it('lose the oldest first when there are too many', () => {
    const answered = new AnsweredRequests(new VirtualClock(), lifetime, { ...roomy, count: 3 });
    for (const key of ['a', 'b', 'c', 'd']) answered.add(key, octets(Buffer.from(key)));
    expect(['a', 'b', 'c', 'd'].map((key) => answered.find(key)?.toString())).toEqual([
      undefined,
      'b',
      'c',
      'd',
    ]);
  });

  it('lose the oldest first when they hold too many octets', () => {
    const answered = new AnsweredRequests(new VirtualClock(), lifetime, { ...roomy, bytes: 250 });
    for (const key of ['a', 'b', 'c']) answered.add(key, octets(Buffer.alloc(100)));
    expect([answered.size, answered.bytes, answered.find('a')]).toEqual([2, 202, undefined]);
  });

  it('do not keep a response that is larger than all there may be', () => {
    const answered = new AnsweredRequests(new VirtualClock(), lifetime, { ...roomy, bytes: 250 });
    answered.add('a', octets(Buffer.alloc(300)));
    expect(answered.size).toBe(0);
  });

  it('give their response to be sent as it is found later, in whatever charset it is', () => {
    const answered = new AnsweredRequests(new VirtualClock(), lifetime, roomy);
    const headers = Headers.from({ Subject: 'gr\u00fc\u00dfe', Organization: '\u20ac \u{1F600}' });
    const body = Buffer.from([0, 255, 13, 10]);
    for (const charset of ['utf8', 'latin1'] as const)
      for (const content of [undefined, body]) {
        const response = new SipResponse(200, 'OK', headers, content, charset);
        const sent = answered.add('OPTIONS z9hG4bK1 host:5060', new MessageWriting(response));
        expect(sent.equals(serialize(response))).toBe(true);
        expect(answered.find('OPTIONS z9hG4bK1 host:5060')?.equals(sent)).toBe(true);
      }
    expect(answered.size).toBe(4);
  });

  it('give a response to be sent that is too large to be kept', () => {
    const answered = new AnsweredRequests(new VirtualClock(), lifetime, roomy);
    const response = new SipResponse(200, 'OK', Headers.from({}), Buffer.alloc(1 << 20, 'a'));
    expect(answered.add('a', new MessageWriting(response)).equals(serialize(response))).toBe(true);
    expect(answered.size).toBe(0);
  });

  it('tell keys apart whose characters do not fit an octet', () => {
    const answered = new AnsweredRequests(new VirtualClock(), lifetime, roomy);
    answered.add('branch \u{1F600}', octets(Buffer.from('smile')));
    answered.add('branch \u{1F601}', octets(Buffer.from('grin')));
    expect(answered.find('branch \u{1F600}')?.toString()).toBe('smile');
    expect(answered.find('branch \u{1F601}')?.toString()).toBe('grin');
  });

  it('are all found however many there are', () => {
    const clock = new VirtualClock();
    const answered = new AnsweredRequests(clock, lifetime, roomy);
    const count = 30_000;
    for (let i = 0; i < count; i++) answered.add(`key ${i}`, octets(Buffer.from(`response ${i}`)));
    const missing = Array.from({ length: count }, (_, i) => i).filter(
      (i) => answered.find(`key ${i}`)?.toString() !== `response ${i}`,
    );
    expect([answered.size, missing]).toEqual([count, []]);
    clock.advance(2 * lifetime);
    expect([answered.size, answered.bytes, clock.pending]).toEqual([0, 0, 0]);
    answered.add('key 0', octets(Buffer.from('again')));
    expect(answered.find('key 0')?.toString()).toBe('again');
  });

  it('behave as a map whose entries leave in order, whatever is added and however time goes', () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 0, max: 200 }), size: fc.integer({ min: 0, max: 60_000 }) }),
      fc.record({ wait: fc.integer({ min: 1, max: 900 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const clock = new VirtualClock(0);
        const limits = { count: 50, bytes: 1_500_000 };
        const answered = new AnsweredRequests(clock, 1000, limits);
        let model: { key: string; value: Buffer; until: number }[] = [];
        for (const [index, one] of steps.entries()) {
          if ('wait' in one) clock.advance(one.wait * 10 - (clock.now() % 10));
          else {
            const key = `key ${one.add} ${index}`;
            const value = Buffer.alloc(one.size, index);
            answered.add(key, octets(value));
            model.push({ key, value, until: clock.now() + 1000 });
            const held = (): number =>
              model.reduce((sum, entry) => sum + entry.key.length + entry.value.length, 0);
            model = model.filter((entry) => entry.until > clock.now());
            while (model.length > limits.count || held() > limits.bytes) model.shift();
          }
          model = model.filter((entry) => entry.until > clock.now());
          for (const { key, value } of model) expect(answered.find(key)?.equals(value)).toBe(true);
          expect(answered.find(`key 0 ${index + 1}`)).toBeUndefined();
        }
      }),
      { numRuns: 60 },
    );
  });
});
