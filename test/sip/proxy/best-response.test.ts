import { describe, expect, it } from 'vitest';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipResponse } from '../../../src/sip/message/message.js';
import { aggregateChallenges, bestOf } from '../../../src/sip/proxy/best-response.js';

const response = (status: number, headers: Record<string, string> = {}): SipResponse =>
  new SipResponse(status, '', Headers.from(headers));

describe('the best response (RFC 3261 §16.7 step 6)', () => {
  it.each([
    { of: [404, 486], best: 404, why: 'of one class, the lower code' },
    { of: [486, 480], best: 486, why: 'what the user decided before what a device lacks' },
    { of: [408, 480], best: 480, why: 'any answer before none' },
    { of: [430, 408], best: 408, why: 'a flow that failed comes last' },
    { of: [503, 407, 501, 404], best: 407, why: 'the example of the RFC' },
    { of: [404, 401], best: 401, why: 'what affects resubmission' },
    { of: [486, 415], best: 415, why: 'what affects resubmission' },
    { of: [486, 420], best: 420, why: 'what affects resubmission' },
    { of: [404, 484], best: 484, why: 'what affects resubmission' },
    { of: [302, 404], best: 302, why: 'the lowest class' },
    { of: [503, 500], best: 500, why: 'a 503 after every other 5xx' },
    { of: [503, 480], best: 480, why: 'the lowest class' },
    { of: [302, 404, 603], best: 603, why: 'a 6xx before all others' },
    { of: [486, 600, 487], best: 600, why: 'a 6xx before all others' },
    { of: [487, 486], best: 486, why: 'a cancelled branch says nothing' },
  ])('of $of is $best: $why', ({ of, best }) => {
    const orders = [of, [...of].reverse()];
    for (const order of orders) {
      const candidates = order.map((status) => ({ response: response(status), target: status }));
      expect(bestOf(candidates)?.target).toBe(best);
    }
  });

  it('of equals is the one that came first', () => {
    const candidates = ['a', 'b'].map((target) => ({ response: response(486), target }));
    expect(bestOf(candidates)?.target).toBe('a');
  });

  it('that is a challenge carries the challenges of all branches, unchanged', () => {
    const best = response(401, { 'WWW-Authenticate': 'Digest realm="a", nonce="1"' });
    const others = [
      response(407, { 'Proxy-Authenticate': 'Digest realm="b", nonce="2"' }),
      response(404, { 'WWW-Authenticate': 'Digest realm="no"' }),
      response(401, { 'WWW-Authenticate': 'Digest realm="c", nonce="3"' }),
    ];
    aggregateChallenges(best, [best, ...others]);
    expect(best.headers.lines('WWW-Authenticate')).toEqual([
      'Digest realm="a", nonce="1"',
      'Digest realm="c", nonce="3"',
    ]);
    expect(best.headers.lines('Proxy-Authenticate')).toEqual(['Digest realm="b", nonce="2"']);
  });
});
