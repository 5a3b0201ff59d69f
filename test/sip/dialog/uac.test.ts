import { describe, expect, it } from 'vitest';
import { FinalResponseError } from '../../../src/sip/final-response-error.js';
import type { Dialog } from '../../../src/sip/stack.js';
import { bob, bobsContact, callingBob, connectedToBob, settle } from './calls.js';

describe('a dialog as UAC', () => {
  it('begins with an INVITE that says what we can, and its 2xx is acknowledged along the route set', async () => {
    const { sent, transactions, dialog } = await connectedToBob(
      { body: 'v=0', headers: { 'Content-Type': 'application/sdp', From: '<sip:conf@ims.test>' } },
      { 'Record-Route': '<sip:p1;lr>, <sip:127.0.0.1:6100;lr>' },
    );
    const { request } = sent;
    expect(request.uri).toBe(bob);
    expect(request.get('Contact')).toBe('<sip:conf@127.0.0.1:5060>');
    expect(request.headers.hasToken('Supported', '100rel')).toBe(true);
    expect(request.headers.hasToken('Supported', 'timer')).toBe(true);
    expect(request.get('Allow')).toContain('UPDATE');
    const ack = transactions.stateless[0]!;
    expect(ack.hop.port).toBe(6100);
    expect(ack.request.startLine()).toBe(`ACK ${bob} SIP/2.0`);
    expect(ack.request.cseq).toEqual({ number: request.cseq.number, method: 'ACK' });
    expect(ack.request.headers.list('Route')).toEqual(['<sip:127.0.0.1:6100;lr>', '<sip:p1;lr>']);
    expect(ack.request.toTag).toBe('bob');
    expect(dialog).toMatchObject({ role: 'uac', state: 'confirmed', remoteTag: 'bob', remoteTarget: bob });
  });

  it('acknowledges a 2xx again that comes again', async () => {
    const { sent, transactions } = await connectedToBob();
    sent.respond(200, bobsContact, 'bob');
    expect(transactions.stateless.map(({ request }) => request.method)).toEqual(['ACK', 'ACK']);
  });

  it('acknowledges and ends the dialog of a second branch that answered too', async () => {
    const { sent, transactions, dialog } = await connectedToBob();
    sent.respond(200, { Contact: '<sip:bob@127.0.0.1:6002>' }, 'bob2');
    await settle();
    expect(transactions.stateless[1]?.hop.port).toBe(6002);
    const bye = transactions.lastSent('BYE');
    expect(bye.request.toTag).toBe('bob2');
    expect(bye.hop.port).toBe(6002);
    expect(dialog.state).toBe('confirmed');
  });

  it('rejects with the final response when the INVITE fails', async () => {
    const { sent, made } = await callingBob();
    sent.respond(486, {}, 'bob');
    await expect(made).rejects.toBeInstanceOf(FinalResponseError);
    await expect(made).rejects.toMatchObject({ status: 486 });
  });

  it('counts no answer as 408 and an unreachable peer as 503', async () => {
    const silent = await callingBob();
    silent.sent.fail('timeout');
    await expect(silent.made).rejects.toMatchObject({ status: 408 });
    const unreachable = await callingBob();
    unreachable.sent.fail('transport');
    await expect(unreachable.made).rejects.toMatchObject({ status: 503 });
  });

  it('tells of provisional responses and early dialogs, which end when the INVITE fails', async () => {
    const early: Dialog[] = [];
    const statuses: number[] = [];
    const { sent, made } = await callingBob({
      onEarlyDialog: (dialog) => early.push(dialog),
      onProvisional: (response) => statuses.push(response.status),
    });
    sent.respond(100);
    sent.respond(180, bobsContact, 'b1');
    sent.respond(183, bobsContact, 'b2');
    sent.respond(180, bobsContact, 'b1');
    expect(statuses).toEqual([100, 180, 183, 180]);
    expect(early.map((dialog) => [dialog.remoteTag, dialog.state])).toEqual([
      ['b1', 'early'],
      ['b2', 'early'],
    ]);
    const ends: unknown[] = [];
    early[0]!.onEnd((cause) => ends.push(cause));
    sent.respond(480, {}, 'b1');
    await expect(made).rejects.toMatchObject({ status: 480 });
    expect(ends).toEqual(['480 Temporarily Unavailable']);
  });

  it('gives up other early dialogs 64·T1 after the 2xx', async () => {
    const early: Dialog[] = [];
    const { sent, made, clock } = await callingBob({ onEarlyDialog: (dialog) => early.push(dialog) });
    sent.respond(180, bobsContact, 'b1');
    sent.respond(180, bobsContact, 'b2');
    sent.respond(200, bobsContact, 'b2');
    await made;
    clock.advance(31_990);
    expect(early.map((dialog) => dialog.state)).toEqual(['early', 'confirmed']);
    clock.advance(10);
    expect(early.map((dialog) => dialog.state)).toEqual(['terminated', 'confirmed']);
  });

  it('cancels with a Reason, and ends a call whose 2xx crossed the CANCEL', async () => {
    let cancel = (_reason?: string): void => {};
    const { sent, made, transactions } = await callingBob({ onStarted: (fn) => (cancel = fn) });
    sent.respond(180, bobsContact, 'bob');
    cancel('SIP;cause=200');
    expect(sent.cancels).toEqual(['SIP;cause=200']);
    sent.respond(200, bobsContact, 'bob');
    await expect(made).rejects.toMatchObject({ status: 487 });
    expect(transactions.stateless.map(({ request }) => request.method)).toEqual(['ACK']);
    expect(transactions.lastSent('BYE').request.toTag).toBe('bob');
  });

  it('is given up by CANCEL when the INVITE has rung without a word for three minutes', async () => {
    const { sent, made, clock } = await callingBob();
    clock.advance(100_000);
    sent.respond(180, bobsContact, 'bob');
    clock.advance(180_990);
    expect(sent.cancels).toEqual([]);
    clock.advance(10);
    expect(sent.cancels).toEqual(['']);
    sent.respond(487, {}, 'bob');
    await expect(made).rejects.toMatchObject({ status: 487 });
    expect(clock.pending).toBe(0);
  });

  it('tries the next server when the first cannot be reached or says 503', async () => {
    const { stack, wire, transactions } = await callingBob();
    const hop = (port: number): { protocol: 'udp'; address: string; port: number } => ({
      protocol: 'udp',
      address: '127.0.0.1',
      port,
    });
    wire.servers.set('other.test', [hop(7001), hop(7002), hop(7003)]);
    const answered = stack.request('sip:other.test', { method: 'MESSAGE' });
    await settle();
    transactions.lastSent().fail('transport');
    transactions.lastSent().respond(503);
    expect(transactions.sent.slice(1).map((item) => item.hop.port)).toEqual([7001, 7002, 7003]);
    const branches = transactions.sent.slice(1).map((item) => item.request.get('Via'));
    expect(new Set(branches).size).toBe(3);
    expect(transactions.lastSent().request.headers.list('Via')).toHaveLength(1);
    transactions.lastSent().respond(200);
    expect((await answered).status).toBe(200);
  });

  it('is over when a request in it gets 481', async () => {
    const { dialog, transactions, ends } = await connectedToBob();
    const sent = dialog.send({ method: 'INFO' });
    transactions.lastSent('INFO').respond(481);
    expect((await sent).status).toBe(481);
    expect(ends).toEqual(['481 to INFO']);
    expect(transactions.lastSent().request.method).toBe('BYE');
    await expect(dialog.send({ method: 'INFO' })).rejects.toMatchObject({ code: 'sip-no-dialog' });
  });

  it('gives the ACK the answer when the 2xx made the offer', async () => {
    const { transactions } = await connectedToBob({
      ackBody: (response) => ({
        body: `answer to ${response.status}`,
        headers: { 'Content-Type': 'application/sdp' },
      }),
    });
    const ack = transactions.stateless[0]!.request;
    expect(Buffer.from(ack.body).toString()).toBe('answer to 200');
    expect(ack.get('Content-Type')).toBe('application/sdp');
  });

  it('has a SIPS Contact when it is made by a SIPS URI', async () => {
    const { stack, transactions } = await callingBob();
    void stack.createUAC('sips:bob@127.0.0.1:6001', { method: 'INVITE' }).catch(() => {});
    expect(transactions.lastSent().hop.protocol).toBe('tls');
    expect(transactions.lastSent().request.get('Contact')).toBe('<sips:127.0.0.1:5060>');
  });

  it('uses the flow it was given while no Record-Route leads to the peer', async () => {
    const { stack, wire, transactions } = await callingBob();
    const flow = { protocol: 'tcp', address: '127.0.0.1', port: 40_000, flow: 'tcp|7' } as const;
    wire.flows.set('tcp|7', flow);
    const made = stack.createUAC('sip:x@abc.invalid', { method: 'INVITE', flow: 'tcp|7' });
    transactions.lastSent().respond(200, { Contact: '<sip:x@abc.invalid>' });
    const dialog = await made;
    void dialog.send({ method: 'INFO' });
    expect(transactions.stateless[0]!.hop).toEqual(flow);
    expect(transactions.lastSent('INFO').hop).toEqual(flow);
  });

  it('fails with 430 when its flow is gone', async () => {
    const { stack } = await callingBob();
    await expect(stack.createUAC(bob, { method: 'INVITE', flow: 'tcp|gone' })).rejects.toMatchObject({
      status: 430,
    });
  });
});

describe('digest towards others', () => {
  const auth = { username: 'alice', password: 'alice-secret' };
  const challenge = (nonce: string): Record<string, string> => ({
    'Proxy-Authenticate': `Digest realm="ims.test", nonce="${nonce}", algorithm=MD5, qop="auth"`,
  });

  it('answers one 407 with credentials, the next CSeq, the same Call-ID and From tag', async () => {
    const { sent, transactions, made } = await callingBob({ auth });
    sent.respond(407, challenge('n1'));
    await settle();
    const second = transactions.lastSent('INVITE');
    expect(second).not.toBe(sent);
    expect(second.request.get('Proxy-Authorization')).toContain('nonce="n1"');
    expect(second.request.cseq.number).toBe(sent.request.cseq.number + 1);
    expect(second.request.callId).toBe(sent.request.callId);
    expect(second.request.fromTag).toBe(sent.request.fromTag);
    second.respond(200, bobsContact, 'bob');
    await made;
    expect(transactions.stateless[0]!.request.get('Proxy-Authorization')).toBe(
      second.request.get('Proxy-Authorization'),
    );
  });

  it('does not answer the challenge of an INVITE that was cancelled', async () => {
    let cancel = (): void => {};
    const { sent, transactions, made } = await callingBob({ auth, onStarted: (fn) => (cancel = fn) });
    cancel();
    sent.respond(407, challenge('n1'));
    await expect(made).rejects.toMatchObject({ status: 407 });
    expect(transactions.sent).toHaveLength(1);
  });

  it('gives up when the credentials are refused', async () => {
    const { sent, transactions, made } = await callingBob({ auth });
    sent.respond(407, challenge('n1'));
    await settle();
    transactions.lastSent('INVITE').respond(407, challenge('n2'));
    await expect(made).rejects.toMatchObject({ status: 407 });
    expect(transactions.sent).toHaveLength(2);
  });

  it('signs further requests with the nonce it knows, counting its uses', async () => {
    const { stack, sent, transactions } = await callingBob({ auth });
    sent.respond(407, challenge('n1'));
    await settle();
    void stack.request(bob, { method: 'MESSAGE', auth });
    await settle();
    expect(transactions.lastSent('MESSAGE').request.get('Proxy-Authorization')).toMatch(
      /nonce="n1".*nc=00000002/,
    );
  });

  it('answers a new challenge when a nonce that it remembers is refused', async () => {
    const { stack, sent, transactions } = await callingBob({ auth });
    sent.respond(407, challenge('n1'));
    await settle();
    void stack.request(bob, { method: 'MESSAGE', auth });
    await settle();
    transactions.lastSent('MESSAGE').respond(407, challenge('n2'));
    await settle();
    expect(transactions.lastSent('MESSAGE').request.get('Proxy-Authorization')).toContain('nonce="n2"');
  });
});
