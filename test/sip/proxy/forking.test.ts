import { describe, expect, it } from 'vitest';
import type { ProxyOptions, ProxyResult, ProxyTarget } from '../../../src/sip/stack.js';
import type { FakeServerTransaction } from '../../tools/fake-transactions.js';
import { message, settle, startStack, type Fixture } from '../embedded/fixture.js';

const target = (port: number, more: Partial<ProxyTarget> = {}): ProxyTarget => ({
  uri: `sip:bob@127.0.0.1:${port}`,
  ...more,
});

interface Forked extends Fixture {
  readonly incoming: FakeServerTransaction;
  readonly results: ProxyResult[];
  /** The ports that requests went to, in order. */
  readonly ports: () => number[];
}

async function forked(
  groups: ProxyOptions['groups'],
  method = 'INVITE',
  extra = '',
  more: Partial<ProxyOptions> = {},
): Promise<Forked> {
  const fixture = await startStack();
  const results: ProxyResult[] = [];
  fixture.stack.on('*', async (request, response) => {
    results.push(await fixture.stack.proxyRequest(request, response, { groups, ...more }));
  });
  const { transactions, wire } = fixture;
  for (const port of [40_001, 40_002])
    wire.flows.set(`tcp|${port}`, { protocol: 'tcp', address: '127.0.0.1', port, flow: `tcp|${port}` });
  const incoming = transactions.receive(message(method, 'sip:bob@ims.test', extra));
  return { ...fixture, incoming, results, ports: () => transactions.sent.map((item) => item.hop.port) };
}

describe('forking (RFC 3261 §16.6, §16.7)', () => {
  it('tries the targets of a group at once and the next group when all of them have failed', async () => {
    const { transactions, incoming, results, ports } = await forked([[target(1), target(2)], [target(3)]]);
    expect(ports()).toEqual([1, 2]);
    transactions.sent[0]!.respond(486);
    expect(ports()).toEqual([1, 2]);
    transactions.sent[1]!.respond(480);
    expect(ports()).toEqual([1, 2, 3]);
    transactions.sent[2]!.respond(404);
    await settle();
    expect(incoming.statuses).toEqual([100, 404]);
    expect(results).toMatchObject([{ status: 404, target: { uri: 'sip:bob@127.0.0.1:3' } }]);
  });

  it('cancels all branches and starts no other group after a 6xx, which goes up when all have ended', async () => {
    const { transactions, incoming, ports } = await forked([[target(1), target(2)], [target(3)]]);
    transactions.sent[0]!.respond(180);
    transactions.sent[1]!.respond(603);
    expect(transactions.sent[0]!.cancels).toEqual(['']);
    expect(incoming.finalStatus).toBeUndefined();
    transactions.sent[0]!.respond(487);
    expect(incoming.finalStatus).toBe(603);
    expect(ports()).toEqual([1, 2]);
  });

  it('forwards a 2xx that comes after a 6xx', async () => {
    const { transactions, incoming } = await forked([[target(1), target(2)]]);
    transactions.sent[1]!.respond(600);
    transactions.sent[0]!.respond(200);
    expect(incoming.statuses).toEqual([100, 200]);
  });

  it('sends one final response for a non-INVITE, and no 100', async () => {
    const { transactions, incoming } = await forked([[target(1), target(2)]], 'MESSAGE');
    transactions.sent[0]!.respond(200);
    transactions.sent[1]!.respond(200);
    expect(incoming.statuses).toEqual([200]);
    expect(transactions.sent[1]!.cancels).toEqual([]);
  });

  it('answers 500 when the best response is a 503, and when no target can be reached', async () => {
    const refused = await forked([[target(1)]]);
    refused.transactions.sent[0]!.respond(503);
    expect(refused.incoming.finalStatus).toBe(500);
    const unreachable = await forked([[target(1)]]);
    unreachable.transactions.sent[0]!.fail('transport');
    expect(unreachable.incoming.finalStatus).toBe(500);
  });

  it('answers 408 to an INVITE that nobody answers, and nothing to another method (RFC 4320 §4.2)', async () => {
    const invite = await forked([[target(1)]]);
    invite.transactions.sent[0]!.fail('timeout');
    expect(invite.incoming.finalStatus).toBe(408);
    const other = await forked([[target(1)]], 'MESSAGE');
    other.transactions.sent[0]!.fail('timeout');
    await settle();
    expect(other.incoming.statuses).toEqual([]);
    expect(other.results).toMatchObject([{ status: 408 }]);
  });

  it('goes on with the other targets when one has a URI that cannot be used', async () => {
    const { transactions, incoming, ports } = await forked([[{ uri: 'sip:bad host' }, target(2)]]);
    expect(ports()).toEqual([2]);
    transactions.sent[0]!.respond(200);
    expect(incoming.finalStatus).toBe(200);
  });

  it('uses the Reason it is given for the other branches', async () => {
    const { transactions } = await forked([[target(1), target(2)]], 'INVITE', '', {
      cancelReason: 'SIP;cause=200;text="Moved"',
    });
    transactions.sent[0]!.respond(180);
    transactions.sent[1]!.respond(200);
    expect(transactions.sent[0]!.cancels).toEqual(['SIP;cause=200;text="Moved"']);
  });

  it('shows every response to the caller of proxyRequest, who may change its copy', async () => {
    const { transactions, incoming } = await forked([[target(1)]], 'INVITE', '', {
      onResponse: (response, from) => response.headers.set('X-From', from.uri),
    });
    transactions.sent[0]!.respond(180);
    transactions.sent[0]!.respond(200);
    expect(incoming.responses.slice(1).map((response) => response.get('X-From'))).toEqual([
      'sip:bob@127.0.0.1:1',
      'sip:bob@127.0.0.1:1',
    ]);
  });

  it('keeps a response back whose header fields its user could not clean', async () => {
    const { transactions, incoming } = await forked([[target(1)]], 'INVITE', '', {
      onResponse: () => {
        throw new Error('cannot read Contact');
      },
    });
    transactions.sent[0]!.respond(180);
    transactions.sent[0]!.respond(200);
    expect(incoming.statuses).toEqual([100, 502]);
  });
});

describe('Timer C (RFC 3261 §16.8)', () => {
  it('cancels a branch that only rings for three minutes after its last provisional response', async () => {
    const { transactions, incoming, clock } = await forked([[target(1)]]);
    clock.advance(100_000);
    transactions.sent[0]!.respond(180);
    clock.advance(180_990);
    expect(transactions.sent[0]!.cancels).toEqual([]);
    clock.advance(20);
    expect(transactions.sent[0]!.cancels).toEqual(['']);
    transactions.sent[0]!.respond(487);
    expect(incoming.finalStatus).toBe(487);
  });

  it('is not moved by a 100', async () => {
    const { transactions, clock } = await forked([[target(1)]]);
    clock.advance(100_000);
    transactions.sent[0]!.respond(100);
    clock.advance(81_010);
    expect(transactions.sent[0]!.cancels).toEqual(['']);
  });

  it('gives a branch up that stays silent even to the CANCEL', async () => {
    const { transactions, incoming, clock } = await forked([[target(1)]]);
    transactions.sent[0]!.respond(180);
    clock.advance(181_010);
    transactions.sent[0]!.fail('timeout');
    expect(incoming.finalStatus).toBe(408);
  });

  it('cannot be set to three minutes or less', async () => {
    const { transactions, clock } = await forked([[target(1)]], 'INVITE', '', { timerC: 1_000 });
    transactions.sent[0]!.respond(180);
    clock.advance(180_000);
    expect(transactions.sent[0]!.cancels).toEqual([]);
  });
});

describe('CANCEL (RFC 3261 §16.10)', () => {
  it('ends with 487 also when the branches never answer', async () => {
    const { transactions, incoming } = await forked([[target(1)]]);
    incoming.cancel();
    expect(transactions.sent[0]!.cancels).toEqual(['']);
    transactions.sent[0]!.fail('timeout');
    expect(incoming.finalStatus).toBe(487);
  });

  it('reaches a target whose server is still being looked for', async () => {
    const { wire, stack, transactions } = await forked([[target(1)]]);
    wire.servers.set('slow.test', [{ protocol: 'udp', address: '127.0.0.1', port: 7001 }]);
    stack.on('INVITE', async (request, response) => {
      await stack.proxyRequest(request, response, { groups: [[{ uri: 'sip:bob@slow.test' }]] });
    });
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test').replace('call-1', 'call-2'));
    incoming.cancel();
    await settle();
    expect(incoming.finalStatus).toBe(487);
    expect(transactions.sent.map((item) => item.hop.port)).toEqual([1]);
  });
});

describe('the flows of one instance (RFC 5626 §7)', () => {
  const flows = (): ProxyTarget =>
    target(1, { flow: 'tcp|40001', alternatives: [target(1, { flow: 'tcp|40002' }), target(9)] });

  it('are tried one after the other, when a flow fails or answers 430 or 408', async () => {
    const { transactions, incoming, ports } = await forked([[flows()]]);
    expect(ports()).toEqual([40_001]);
    transactions.lastSent().respond(430);
    expect(ports()).toEqual([40_001, 40_002]);
    transactions.lastSent().fail('timeout');
    expect(ports()).toEqual([40_001, 40_002, 9]);
    transactions.lastSent().respond(200);
    expect(incoming.statuses).toEqual([100, 200]);
  });

  it('are not tried when the device has given its answer', async () => {
    const { transactions, incoming, ports } = await forked([[flows()]]);
    transactions.lastSent().respond(486);
    expect(ports()).toEqual([40_001]);
    expect(incoming.finalStatus).toBe(486);
  });

  it('answer 480 when the last of them is gone', async () => {
    const { incoming } = await forked([[target(1, { flow: 'tcp|gone' })]]);
    expect(incoming.statuses).toEqual([100, 480]);
  });

  it('are not tried after a CANCEL', async () => {
    const { transactions, incoming, ports } = await forked([[flows()]]);
    incoming.cancel();
    transactions.lastSent().fail('timeout');
    expect(ports()).toEqual([40_001]);
    expect(incoming.finalStatus).toBe(487);
  });
});

describe('Max-Breadth (RFC 5393 §5.3.3)', () => {
  const breadths = ({ transactions }: Forked): number[] =>
    transactions.sent.map((item) => Number(item.request.get('Max-Breadth')));

  it('is 60 when the request has none, and is shared between parallel branches', async () => {
    expect(breadths(await forked([[target(1)]]))).toEqual([60]);
    expect(
      breadths(await forked([[target(1), target(2), target(3), target(4), target(5), target(6), target(7)]])),
    ).toEqual([9, 9, 9, 9, 8, 8, 8]);
  });

  it('of more than 60 is believed to be 60', async () => {
    expect(breadths(await forked([[target(1)]], 'INVITE', 'Max-Breadth: 1000'))).toEqual([60]);
  });

  it('of 1 forks serially, each branch with the whole of it', async () => {
    const call = await forked([[target(1), target(2)]], 'INVITE', 'Max-Breadth: 1');
    expect(breadths(call)).toEqual([1]);
    call.transactions.lastSent().respond(486);
    expect(breadths(call)).toEqual([1, 1]);
  });

  it('of 0 is answered 440', async () => {
    const { incoming, ports } = await forked([[target(1)]], 'INVITE', 'Max-Breadth: 0');
    expect(incoming.statuses).toEqual([440]);
    expect(ports()).toEqual([]);
  });
});

describe('loop detection (RFC 5393 §4.2)', () => {
  it('answers 482 to a request that came back unchanged', async () => {
    const { transactions, ports } = await forked([
      [{ uri: 'sip:bob@ims.test', route: ['<sip:127.0.0.1:6100;lr>'] }],
    ]);
    const sent = transactions.lastSent().request.clone();
    sent.headers.shift('Route');
    expect(transactions.receive(sent).statuses).toEqual([482]);
    expect(ports()).toEqual([6100]);
  });

  it('lets a spiral pass: the same request with another Request-URI', async () => {
    const { transactions, ports } = await forked([
      [{ uri: 'sip:carol@ims.test', route: ['<sip:127.0.0.1:6100;lr>'] }],
    ]);
    const sent = transactions.lastSent().request.clone();
    sent.headers.shift('Route');
    transactions.receive(sent);
    expect(ports()).toEqual([6100, 6100]);
  });

  it('does not take the Via of another server for its own', async () => {
    const { transactions, ports } = await forked([
      [{ uri: 'sip:bob@ims.test', route: ['<sip:127.0.0.1:6100;lr>'] }],
    ]);
    const sent = transactions.lastSent().request.clone();
    sent.headers.shift('Route');
    sent.headers.replaceFirst('Via', (sent.get('Via') ?? '').replace('127.0.0.1:5060', '127.0.0.2:5060'));
    transactions.receive(sent);
    expect(ports()).toEqual([6100, 6100]);
  });
});
