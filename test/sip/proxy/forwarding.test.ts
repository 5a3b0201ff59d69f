import { describe, expect, it } from 'vitest';
import type { ProxyOptions, ProxyResult } from '../../../src/sip/stack.js';
import { message, settle, startStack, type Fixture } from '../embedded/fixture.js';

const bob1 = 'sip:bob@127.0.0.1:6001';
const bob2 = 'sip:bob@127.0.0.1:6002';

/** A stack that proxies every INVITE and MESSAGE with these options. */
async function proxying(options: ProxyOptions): Promise<Fixture & { readonly results: ProxyResult[] }> {
  const fixture = await startStack();
  const results: ProxyResult[] = [];
  for (const method of ['INVITE', 'MESSAGE'])
    fixture.stack.on(method, async (request, response) => {
      results.push(await fixture.stack.proxyRequest(request, response, options));
    });
  return { ...fixture, results };
}

describe('a proxied request', () => {
  it('goes to its target with Max-Forwards lowered, our Via on top and everything else as it came', async () => {
    const { transactions } = await proxying({ groups: [[{ uri: bob1 }]] });
    const incoming = transactions.receive(
      message('INVITE', 'sip:bob@ims.test', 'Subject: hello\nX-Odd:  a , b'),
    );
    const { request, hop } = transactions.lastSent();
    expect(hop).toMatchObject({ address: '127.0.0.1', port: 6001 });
    expect(request.uri).toBe(bob1);
    expect(request.get('Max-Forwards')).toBe('69');
    expect(request.headers.list('Via')).toHaveLength(2);
    expect(request.get('X-Odd')).toBe('a , b');
    expect(request.get('Subject')).toBe('hello');
    expect(request.has('Record-Route')).toBe(false);
    expect(incoming.statuses).toEqual([100]);
  });

  it('sends provisional responses other than 100 and the final one upstream without our Via', async () => {
    const { transactions, results } = await proxying({ groups: [[{ uri: bob1 }]] });
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    const sent = transactions.lastSent();
    sent.respond(100);
    sent.respond(180);
    sent.respond(200, { Contact: `<${bob1}>` });
    await settle();
    expect(incoming.statuses).toEqual([100, 180, 200]);
    expect(incoming.last.headers.list('Via')).toEqual(['SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKphone']);
    expect(incoming.last.toTag).toBe('callee');
    expect(results).toMatchObject([{ status: 200, target: { uri: bob1 } }]);
  });

  it('goes where its topmost Route says, whatever its Request-URI is', async () => {
    const { transactions } = await proxying({
      groups: [[{ uri: bob1, route: ['<sip:127.0.0.1:6100;lr>'] }]],
    });
    transactions.receive(
      message('MESSAGE', 'sip:bob@ims.test', 'Route: <sip:127.0.0.1:5060;lr>, <sip:127.0.0.1:6200;lr>'),
    );
    const { request, hop } = transactions.lastSent();
    expect(hop.port).toBe(6100);
    expect(request.headers.list('Route')).toEqual(['<sip:127.0.0.1:6100;lr>', '<sip:127.0.0.1:6200;lr>']);
    expect(request.uri).toBe(bob1);
  });

  it('is answered 483 when its Max-Forwards is 0', async () => {
    const { transactions, results, trail } = await proxying({ groups: [[{ uri: bob1 }]] });
    const text = message('INVITE', 'sip:bob@ims.test').replace('Max-Forwards: 70', 'Max-Forwards: 0');
    expect(transactions.receive(text).statuses).toEqual([483]);
    await settle();
    expect(transactions.sent).toHaveLength(0);
    expect(results).toMatchObject([{ status: 483 }]);
    expect(trail.counts().get('proxy.too-many-hops')).toBe(1);
  });

  it('is answered 420 with Unsupported when it requires an unknown extension of proxies', async () => {
    const { transactions } = await proxying({ groups: [[{ uri: bob1 }]] });
    const incoming = transactions.receive(
      message('INVITE', 'sip:bob@ims.test', 'Proxy-Require: path, nothingSupportsThis'),
    );
    expect(incoming.statuses).toEqual([420]);
    expect(incoming.last.get('Unsupported')).toBe('nothingSupportsThis');
  });
});

describe('a forked INVITE', () => {
  it('cancels the other branches with "Call completed elsewhere" after a 2xx', async () => {
    const { transactions } = await proxying({ groups: [[{ uri: bob1 }, { uri: bob2 }]] });
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    const [first, second] = transactions.sent;
    first!.respond(180, {}, 'b1');
    second!.respond(180, {}, 'b2');
    second!.respond(200, {}, 'b2');
    expect(first!.cancels).toEqual(['SIP;cause=200;text="Call completed elsewhere"']);
    expect(second!.cancels).toEqual([]);
    first!.respond(487, {}, 'b1');
    expect(incoming.statuses).toEqual([100, 180, 180, 200]);
  });

  it('forwards each 2xx when two devices answer at once', async () => {
    const { transactions } = await proxying({ groups: [[{ uri: bob1 }, { uri: bob2 }]] });
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    const [first, second] = transactions.sent;
    first!.respond(200, {}, 'b1');
    second!.respond(200, {}, 'b2');
    expect(incoming.responses.map((response) => [response.status, response.toTag])).toEqual([
      [100, undefined],
      [200, 'b1'],
      [200, 'b2'],
    ]);
  });

  it('hands the caller’s CANCEL with its Reason to all branches and starts no further group', async () => {
    const { transactions } = await proxying({ groups: [[{ uri: bob1 }], [{ uri: bob2 }]] });
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    transactions.lastSent().respond(180);
    incoming.cancel({ Reason: 'Q.850;cause=16' });
    expect(transactions.lastSent().cancels).toEqual(['Q.850;cause=16']);
    transactions.lastSent().respond(487);
    expect(incoming.statuses).toEqual([100, 180, 487]);
    expect(transactions.sent).toHaveLength(1);
  });
});

describe('a proxied request whose final response may be withheld', () => {
  const withholding = async (taken: boolean): Promise<Fixture & { readonly results: ProxyResult[] }> =>
    proxying({ groups: [[{ uri: bob1 }]], takesOver: () => Promise.resolve(taken) });

  it('sends nothing upstream when its final response is taken over, and a later CANCEL gets 487', async () => {
    const { transactions, results } = await withholding(true);
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    transactions.lastSent().respond(480);
    await settle();
    expect(incoming.statuses).toEqual([100]);
    expect(results).toMatchObject([{ status: 480, response: { status: 480 } }]);
    incoming.cancel();
    expect(incoming.statuses).toEqual([100, 487]);
  });

  it('sends the final response when it is not taken over', async () => {
    const { transactions } = await withholding(false);
    const incoming = transactions.receive(message('MESSAGE', 'sip:bob@ims.test'));
    transactions.lastSent().respond(480);
    await settle();
    expect(incoming.statuses).toEqual([480]);
  });

  it('sends a 2xx to INVITE without asking, for its dialog exists', async () => {
    const { transactions } = await withholding(true);
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    transactions.lastSent().respond(200);
    await settle();
    expect(incoming.statuses).toEqual([100, 200]);
  });

  it('is answered 487 when its CANCEL comes while somebody still decides', async () => {
    let decide: (taken: boolean) => void = () => {};
    const { transactions, results } = await proxying({
      groups: [[{ uri: bob1 }]],
      takesOver: () => new Promise((resolve) => (decide = resolve)),
    });
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    transactions.lastSent().respond(480);
    incoming.cancel();
    decide(true);
    await settle();
    expect(incoming.statuses).toEqual([100, 487]);
    expect(results).toHaveLength(1);
  });
});
