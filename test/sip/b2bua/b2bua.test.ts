import { describe, expect, it } from 'vitest';
import type { B2buaOptions, Dialog } from '../../../src/sip/stack.js';
import type { FakeClientTransaction, FakeServerTransaction } from '../../tools/fake-transactions.js';
import { settle, startStack, type Fixture } from '../embedded/fixture.js';
import { bob, bobsContact, inDialog, invite } from '../dialog/calls.js';

const sdp = 'Content-Type: application/sdp';

interface Bridged extends Fixture {
  /** The first leg's INVITE. */
  readonly incoming: FakeServerTransaction;
  /** The second leg's INVITE. */
  readonly outgoing: FakeClientTransaction;
  readonly legs: () => { uas: Dialog; uac: Dialog } | undefined;
  readonly failure: () => unknown;
  readonly alice: (method: string, sequence: number, extra?: string, body?: string) => FakeServerTransaction;
  readonly aliceAck: (sequence: number, extra?: string, body?: string) => void;
  readonly bobSends: (
    method: string,
    sequence: number,
    extra?: string,
    body?: string,
  ) => FakeServerTransaction;
}

async function bridged(
  extra = sdp,
  body = 'v=0 alice',
  options: Partial<B2buaOptions> = {},
): Promise<Bridged> {
  const fixture = await startStack();
  const { stack, transactions } = fixture;
  let legs: { uas: Dialog; uac: Dialog } | undefined;
  let failure: unknown;
  stack.on('INVITE', async (request, response) => {
    try {
      legs = await stack.createB2BUA(request, response, { uri: bob, ...options });
    } catch (error) {
      failure = error;
      throw error;
    }
  });
  const incoming = transactions.receive(invite(extra), {}, body);
  await settle();
  const outgoing = transactions.lastSent('INVITE');
  const tag = (): string => incoming.last.toTag ?? '';
  return {
    ...fixture,
    incoming,
    outgoing,
    legs: () => legs,
    failure: () => failure,
    alice: (method, sequence, more = '', content = '') =>
      transactions.receive(inDialog(method, sequence, tag(), more), {}, content),
    aliceAck: (sequence, more = '', content = '') => {
      transactions.receiveAck(inDialog('ACK', sequence, tag(), more), {}, content);
    },
    bobSends: (method, sequence, more = '', content = '') =>
      transactions.receive(
        `${method} sip:alice@127.0.0.1:5060 SIP/2.0
        Via: SIP/2.0/UDP 127.0.0.1:6001;branch=z9hG4bKb${method}${sequence}
        From: ${outgoing.request.get('To')};tag=bob
        To: ${outgoing.request.get('From')}
        Call-ID: ${outgoing.request.callId}
        CSeq: ${sequence} ${method}
        ${method === 'INVITE' ? `Contact: <${bob}>` : ''}
        ${more}`,
        {},
        content,
      ),
  };
}

/** The same, answered by bob and acknowledged by alice. */
async function connected(): Promise<Bridged & { readonly uas: Dialog; readonly uac: Dialog }> {
  const call = await bridged();
  call.outgoing.respond(200, { ...bobsContact, 'Content-Type': 'application/sdp' }, 'bob', 'v=0 bob');
  await settle();
  call.aliceAck(7);
  return { ...call, ...call.legs()! };
}

const textOf = ({ body }: { body: Uint8Array }): string => Buffer.from(body).toString();

describe('a B2BUA', () => {
  it('sends a second INVITE with everything end-to-end, and nothing that belongs to the first leg', async () => {
    const { outgoing, incoming } = await bridged(
      `${sdp}
      Subject: hello
      P-Asserted-Identity: <sip:alice@ims.test>
      P-Asserted-Identity: <tel:+1>
      Accept-Contact: *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"
      Require: 100rel, recipient-list-invite
      Record-Route: <sip:p1;lr>
      Proxy-Authorization: Digest username="alice"`,
    );
    const { request } = outgoing;
    expect(request.uri).toBe(bob);
    expect(request.callId).not.toBe('call-1');
    expect(request.from.uriText).toBe('sip:alice@ims.test');
    expect(request.fromTag).not.toBe('alice');
    expect(request.get('To')).toBe('<sip:bob@ims.test>');
    expect(request.get('Max-Forwards')).toBe('69');
    expect(request.get('Subject')).toBe('hello');
    expect(request.headers.lines('P-Asserted-Identity')).toEqual(['<sip:alice@ims.test>', '<tel:+1>']);
    expect(request.get('Accept-Contact')).toContain('+g.3gpp.icsi-ref');
    expect(request.get('Require')).toBe('recipient-list-invite');
    expect(request.get('Contact')).toBe('<sip:alice@127.0.0.1:5060>');
    expect(request.has('Record-Route')).toBe(false);
    expect(request.has('Proxy-Authorization')).toBe(false);
    expect(request.headers.lines('Content-Type')).toEqual(['application/sdp']);
    expect(textOf(request)).toBe('v=0 alice');
    expect(incoming.statuses).toEqual([100]);
  });

  it('keeps the features of a Contact on the other leg, but not its Instance ID', async () => {
    const text = 'Contact: <sip:alice@127.0.0.1:5070>;+g.oma.sip-im;+sip.instance="<urn:x:1>";expires=60';
    const fixture = await startStack();
    fixture.stack.on('INVITE', async (request, response) => {
      await fixture.stack.createB2BUA(request, response, { uri: bob });
    });
    const incoming = fixture.transactions.receive(invite().replace(/Contact: .*/, text));
    await settle();
    const outgoing = fixture.transactions.lastSent();
    expect(outgoing.request.get('Contact')).toBe('<sip:alice@127.0.0.1:5060>;+g.oma.sip-im');
    outgoing.respond(180, { Contact: `<${bob}>;isfocus;+sip.instance="<urn:x:2>"` }, 'bob');
    expect(incoming.last.get('Contact')).toBe('<sip:bob@127.0.0.1:5060>;isfocus');
  });

  it('carries provisional and final responses back, with body and end-to-end fields', async () => {
    const { outgoing, incoming, transactions, legs, aliceAck } = await bridged();
    outgoing.respond(180, { ...bobsContact, 'Alert-Info': '<urn:alert:x>' }, 'bob');
    expect(incoming.statuses).toEqual([100, 180]);
    expect(incoming.last.get('Alert-Info')).toBe('<urn:alert:x>');
    outgoing.respond(200, { ...bobsContact, 'Content-Type': 'application/sdp' }, 'bob', 'v=0 bob');
    await settle();
    expect(incoming.statuses).toEqual([100, 180, 200]);
    expect(textOf(incoming.last)).toBe('v=0 bob');
    expect(incoming.last.get('Contact')).toBe('<sip:bob@127.0.0.1:5060>');
    expect(incoming.last.toTag).not.toBe('bob');
    expect(transactions.stateless.map(({ request }) => request.method)).toEqual(['ACK']);
    aliceAck(7);
    expect(legs()).toMatchObject({ uas: { state: 'confirmed' }, uac: { state: 'confirmed' } });
  });

  it.each([
    [486, 486, 'Busy Here'],
    [603, 603, 'Decline'],
    [503, 500, 'Server Internal Error'],
    [407, 502, 'Bad Gateway'],
    [430, 480, 'Temporarily Unavailable'],
  ])('answers %i of the second leg with %i', async (far, near, reason) => {
    const { outgoing, incoming, failure } = await bridged();
    outgoing.respond(far, { 'X-Why': 'because' }, 'bob');
    await settle();
    expect(incoming.last.startLine()).toBe(`SIP/2.0 ${near} ${reason}`);
    expect(incoming.last.get('X-Why')).toBe('because');
    expect(failure()).toMatchObject({ status: far });
  });

  it('answers 408 when nobody answers and 500 when the second leg cannot be reached', async () => {
    const silent = await bridged();
    silent.outgoing.fail('timeout');
    await settle();
    expect(silent.incoming.finalStatus).toBe(408);
    const unreachable = await bridged();
    unreachable.outgoing.fail('transport');
    await settle();
    expect(unreachable.incoming.finalStatus).toBe(500);
  });

  it('lets its user change request and responses on their way', async () => {
    const { outgoing, incoming } = await bridged(sdp, 'v=0', {
      editRequest: (request) => request.headers.set('X-Mine', 'yes'),
      editResponse: (response) => response.headers.set('X-Seen', String(response.status)),
    });
    expect(outgoing.request.get('X-Mine')).toBe('yes');
    outgoing.respond(486);
    await settle();
    expect(incoming.last.get('X-Seen')).toBe('486');
  });

  it('cancels the second leg with the Reason of the caller’s CANCEL', async () => {
    const { outgoing, incoming, failure } = await bridged();
    outgoing.respond(180, bobsContact, 'bob');
    incoming.cancel({ Reason: 'SIP;cause=600' });
    expect(outgoing.cancels).toEqual(['SIP;cause=600']);
    expect(incoming.finalStatus).toBe(487);
    outgoing.respond(487);
    await settle();
    expect(failure()).toMatchObject({ status: 487 });
  });

  it('ends the second leg when its 2xx crosses the CANCEL', async () => {
    const { outgoing, incoming, transactions } = await bridged();
    outgoing.respond(180, bobsContact, 'bob');
    incoming.cancel();
    outgoing.respond(200, bobsContact, 'bob');
    await settle();
    expect(incoming.statuses).toEqual([100, 180, 487]);
    expect(transactions.lastSent('BYE').request.toTag).toBe('bob');
  });

  it('cancels the second leg when the caller ends the early dialog by BYE', async () => {
    const { outgoing, incoming, alice } = await bridged();
    outgoing.respond(180, bobsContact, 'bob');
    expect(alice('BYE', 8).statuses).toEqual([200]);
    expect(incoming.finalStatus).toBe(487);
    expect(outgoing.cancels).toHaveLength(1);
  });

  it('is answered 483 when Max-Forwards is used up', async () => {
    const fixture = await startStack();
    fixture.stack.on('INVITE', async (request, response) => {
      await fixture.stack.createB2BUA(request, response, { uri: bob });
    });
    const incoming = fixture.transactions.receive(invite().replace('Max-Forwards: 70', 'Max-Forwards: 0'));
    await settle();
    expect(incoming.finalStatus).toBe(483);
  });
});

describe('inside the call of a B2BUA', () => {
  it('BYE crosses in both directions with its Reason', async () => {
    const fromAlice = await connected();
    expect(fromAlice.alice('BYE', 8, 'Reason: Q.850;cause=16').statuses).toEqual([200]);
    expect(fromAlice.transactions.lastSent('BYE').request.get('Reason')).toBe('Q.850;cause=16');
    expect(fromAlice.transactions.lastSent('BYE').request.toTag).toBe('bob');
    expect(fromAlice.uac.state).toBe('terminated');
    const fromBob = await connected();
    expect(fromBob.bobSends('BYE', 1).statuses).toEqual([200]);
    await settle();
    const bye = fromBob.transactions.lastSent('BYE');
    expect([bye.request.uri, bye.request.toTag]).toEqual(['sip:alice@127.0.0.1:5070', 'alice']);
  });

  it.each(['INFO', 'MESSAGE', 'REFER', 'NOTIFY', 'OPTIONS'])(
    '%s crosses with its body, and its response back',
    async (method) => {
      const { alice, transactions } = await connected();
      const request = alice(method, 8, 'Content-Type: text/plain\nX-End: to end', 'hello');
      const sent = transactions.lastSent(method);
      expect([textOf(sent.request), sent.request.get('X-End')]).toEqual(['hello', 'to end']);
      expect(sent.request.get('Content-Type')).toBe('text/plain');
      sent.respond(202, { 'X-Back': 'yes' }, 'bob', 'thanks');
      await settle();
      expect(request.statuses).toEqual([202]);
      expect([textOf(request.last), request.last.get('X-Back')]).toEqual(['thanks', 'yes']);
    },
  );

  it('a re-INVITE crosses, and both ACKs are sent on their own legs', async () => {
    const { bobSends, transactions } = await connected();
    const reinvite = bobSends('INVITE', 5, sdp, 'v=1 bob');
    await settle();
    const sent = transactions.lastSent('INVITE');
    expect([sent.request.toTag, textOf(sent.request)]).toEqual(['alice', 'v=1 bob']);
    const before = transactions.stateless.length;
    sent.respond(
      200,
      { Contact: '<sip:alice@127.0.0.1:5070>', 'Content-Type': 'application/sdp' },
      'x',
      'v=1 alice',
    );
    await settle();
    expect(textOf(reinvite.last)).toBe('v=1 alice');
    expect(transactions.stateless.slice(before).map(({ request }) => request.toTag)).toEqual(['alice']);
  });

  it('a re-INVITE without offer waits for the answer in the caller’s ACK', async () => {
    const { alice, aliceAck, transactions } = await connected();
    const reinvite = alice('INVITE', 8);
    await settle();
    const before = transactions.stateless.length;
    transactions
      .lastSent('INVITE')
      .respond(200, { ...bobsContact, 'Content-Type': 'application/sdp' }, 'bob', 'v=1 offer');
    await settle();
    expect(textOf(reinvite.last)).toBe('v=1 offer');
    expect(transactions.stateless).toHaveLength(before);
    aliceAck(8, sdp, 'v=1 answer');
    await settle();
    expect(textOf(transactions.stateless.at(-1)!.request)).toBe('v=1 answer');
  });

  it('glare is told to who sent the later re-INVITE, and not resolved for him', async () => {
    const { alice, bobSends, transactions } = await connected();
    const first = alice('INVITE', 8, sdp, 'v=1');
    await settle();
    expect(bobSends('INVITE', 5, sdp, 'v=2').statuses).toEqual([491]);
    transactions.lastSent('INVITE').respond(491);
    await settle();
    expect(first.statuses).toEqual([491]);
  });

  it('an UPDATE with an offer crosses, one without refreshes its own leg only', async () => {
    const { alice, transactions } = await connected();
    const offer = alice('UPDATE', 8, sdp, 'v=3');
    expect(textOf(transactions.lastSent('UPDATE').request)).toBe('v=3');
    transactions.lastSent('UPDATE').respond(200, { 'Content-Type': 'application/sdp' }, 'bob', 'v=4');
    await settle();
    expect(textOf(offer.last)).toBe('v=4');
    const sent = transactions.sent.length;
    expect(alice('UPDATE', 9).statuses).toEqual([200]);
    expect(transactions.sent).toHaveLength(sent);
  });
});

describe('early media and late offers through a B2BUA', () => {
  const reliable = { ...bobsContact, Require: '100rel', RSeq: '4', 'Content-Type': 'application/sdp' };

  it('a reliable provisional response stays reliable, and its PRACK crosses with its body', async () => {
    const { outgoing, incoming, alice, transactions } = await bridged(`${sdp}\nSupported: 100rel`);
    outgoing.respond(183, reliable, 'bob', 'v=0 early');
    await settle();
    expect(transactions.sent.map((item) => item.request.method)).toEqual(['INVITE']);
    const ringing = incoming.last;
    expect([ringing.status, textOf(ringing)]).toEqual([183, 'v=0 early']);
    const prack = alice('PRACK', 8, `RAck: ${ringing.get('RSeq')} 7 INVITE\n${sdp}`, 'v=1 offer');
    const sent = transactions.lastSent('PRACK');
    expect(sent.request.get('RAck')).toBe(`4 ${outgoing.request.cseq.number} INVITE`);
    expect(textOf(sent.request)).toBe('v=1 offer');
    sent.respond(200, { 'Content-Type': 'application/sdp' }, 'bob', 'v=1 answer');
    await settle();
    expect([prack.last.status, textOf(prack.last)]).toEqual([200, 'v=1 answer']);
  });

  it('a reliable provisional response is acknowledged here when the caller cannot do it', async () => {
    const { outgoing, incoming, transactions } = await bridged();
    outgoing.respond(183, reliable, 'bob', 'v=0 early');
    await settle();
    expect(transactions.lastSent('PRACK').request.get('RAck')).toBe(
      `4 ${outgoing.request.cseq.number} INVITE`,
    );
    expect(incoming.last.has('RSeq')).toBe(false);
    expect(textOf(incoming.last)).toBe('v=0 early');
  });

  it('an INVITE without offer gets its answer to bob in the caller’s ACK', async () => {
    const { outgoing, incoming, aliceAck, transactions, legs } = await bridged('', '');
    outgoing.respond(200, { ...bobsContact, 'Content-Type': 'application/sdp' }, 'bob', 'v=0 offer');
    await settle();
    expect(textOf(incoming.last)).toBe('v=0 offer');
    expect(transactions.stateless).toHaveLength(0);
    aliceAck(7, sdp, 'v=0 answer');
    await settle();
    expect(textOf(transactions.stateless[0]!.request)).toBe('v=0 answer');
    expect(legs()).toBeDefined();
  });

  it('an INVITE without offer whose ACK never comes is acknowledged to bob before the BYE', async () => {
    const { outgoing, transactions, clock } = await bridged('', '');
    outgoing.respond(200, { ...bobsContact, 'Content-Type': 'application/sdp' }, 'bob', 'v=0 offer');
    await settle();
    clock.advance(32_010);
    await settle();
    expect(transactions.stateless.map(({ request }) => request.method)).toEqual(['ACK']);
    const byes = transactions.sent.filter((item) => item.request.method === 'BYE');
    expect(byes.map((item) => item.request.toTag).sort()).toEqual(['alice', 'bob']);
  });
});
