import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProxyResult, ProxyTarget } from '../../../src/sip/stack.js';
import type { FakeClientTransaction } from '../../tools/fake-transactions.js';
import { message, settle, startStack } from '../embedded/fixture.js';

/** What happens next: to one of the branches that run, or to the whole request. */
type Step =
  | { readonly kind: 'respond'; readonly branch: number; readonly status: number }
  | {
      readonly kind: 'fail';
      readonly branch: number;
      readonly failure: 'timeout' | 'transport' | 'flow-failed';
    }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'wait'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('respond' as const),
      branch: fc.nat(9),
      status: fc.constantFrom(
        100,
        180,
        183,
        200,
        200,
        302,
        401,
        404,
        407,
        408,
        430,
        480,
        486,
        487,
        500,
        503,
        600,
        603,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      branch: fc.nat(9),
      failure: fc.constantFrom('timeout' as const, 'transport' as const, 'flow-failed' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'cancel' } as const) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(200_000) }) },
);

/** Groups of instances, each with one to three flows. */
const groups = fc.array(fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 3,
});

/** The target of an instance: its number is in the host's last octet, the flow in the port. */
function instance(number: number, flows: number): ProxyTarget {
  const [first, ...others] = Array.from({ length: flows }, (_, flow) => ({
    uri: `sip:i${number}@127.0.0.${number}:${flow + 1}`,
  }));
  return { ...first!, alternatives: others };
}

const isOpen = (sent: FakeClientTransaction): boolean =>
  sent.state === 'calling' || sent.state === 'proceeding';

describe('the response context, whatever happens (RFC 3261 §16.7)', () => {
  it('ends with exactly one final response other than 2xx, or only with 2xx; never sends provisional ones after it, rings no instance twice at once, and keeps within Max-Breadth', async () => {
    await fc.assert(
      fc.asyncProperty(
        groups,
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 6 }),
        async (shape, steps, breadth) => {
          const { stack, transactions, clock } = await startStack();
          transactions.clock = clock;
          const results: ProxyResult[] = [];
          let number = 0;
          const targets = shape.map((group) => group.map((flows) => instance(++number, flows)));
          stack.on('INVITE', async (request, response) => {
            results.push(await stack.proxyRequest(request, response, { groups: targets }));
          });
          const incoming = transactions.receive(
            message('INVITE', 'sip:bob@ims.test', `Max-Breadth: ${breadth}`),
          );
          const open = (): FakeClientTransaction[] => transactions.sent.filter(isOpen);
          const check = (): void => {
            const hosts = open().map((sent) => sent.hop.address);
            expect(new Set(hosts).size).toBe(hosts.length);
            const outgoing = open().reduce((sum, sent) => sum + Number(sent.request.get('Max-Breadth')), 0);
            expect(outgoing).toBeLessThanOrEqual(breadth);
          };
          const take = (what: Step): void => {
            const running = open();
            const branch = 'branch' in what ? running[what.branch % Math.max(1, running.length)] : undefined;
            if (what.kind === 'respond') branch?.respond(what.status);
            else if (what.kind === 'fail') branch?.fail(what.failure);
            else if (what.kind === 'cancel') incoming.cancel();
            else clock.advance(what.ms);
            check();
          };
          check();
          for (const what of steps) take(what);
          while (open().length > 0) take({ kind: 'fail', branch: 0, failure: 'timeout' });
          await settle();
          const finals = incoming.statuses.filter((status) => status >= 200);
          expect(finals.length).toBeGreaterThan(0);
          if (finals.some((status) => status >= 300)) expect(finals).toHaveLength(1);
          expect(
            incoming.statuses.slice(incoming.statuses.indexOf(finals[0]!)).every((status) => status >= 200),
          ).toBe(true);
          expect(finals).not.toContain(503);
          expect(finals).not.toContain(430);
          expect(results.map((result) => result.status)).toEqual([finals[0]]);
          clock.advance(32_010);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});
