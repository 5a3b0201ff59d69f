import { describe, expect, it } from 'vitest';
import type { Dialog, ServerRequest, ServerResponse } from '../../../src/sip/stack.js';
import type { FakeServerTransaction } from '../../tools/fake-transactions.js';
import { startStack, type Fixture } from '../embedded/fixture.js';
import { bobsContact, callingBob, inDialog, invite, settle } from './calls.js';

const reliable = { Require: '100rel' };

interface Ringing extends Fixture {
  readonly incoming: FakeServerTransaction;
  readonly request: ServerRequest;
  readonly response: ServerResponse;
  readonly prack: (sequence: number, rack: string) => FakeServerTransaction;
}

/** alice has called and the handler holds her INVITE. */
async function ringing(extra = 'Supported: 100rel'): Promise<Ringing> {
  const fixture = await startStack();
  let held: [ServerRequest, ServerResponse] | undefined;
  fixture.stack.on('INVITE', (request, response) => {
    held = [request, response];
  });
  const incoming = fixture.transactions.receive(invite(extra));
  const [request, response] = held!;
  return {
    ...fixture,
    incoming,
    request,
    response,
    prack: (sequence, rack) =>
      fixture.transactions.receive(inDialog('PRACK', sequence, incoming.last.toTag ?? '', `RAck: ${rack}`)),
  };
}

describe('a reliable provisional response (RFC 3262 §3)', () => {
  it('is sent again after T1, doubling without limit, until its PRACK comes', async () => {
    const { response, incoming, clock, prack } = await ringing();
    response.send(183, { headers: reliable });
    const { last } = incoming;
    expect(last.headers.hasToken('Require', '100rel')).toBe(true);
    expect(last.get('Contact')).toBe('<sip:bob@127.0.0.1:5060>');
    clock.advance(500 + 1_000 + 2_000 + 4_000 + 8_000);
    expect(incoming.statuses).toEqual([183, 183, 183, 183, 183, 183]);
    const answer = prack(8, `${last.get('RSeq')} 7 INVITE`);
    expect(answer.statuses).toEqual([200]);
    clock.advance(60_000);
    expect(incoming.statuses).toHaveLength(6);
  });

  it('gets 481 for a PRACK that acknowledges something else', async () => {
    const { response, incoming, prack } = await ringing();
    response.send(183, { headers: reliable });
    const number = Number(incoming.last.get('RSeq'));
    expect(prack(8, `${number + 1} 7 INVITE`).statuses).toEqual([481]);
    expect(prack(9, `${number} 6 INVITE`).statuses).toEqual([481]);
    expect(prack(10, `${number} 7 UPDATE`).statuses).toEqual([481]);
    expect(prack(11, 'nonsense').statuses).toEqual([481]);
    expect(prack(12, `${number} 7 INVITE`).statuses).toEqual([200]);
  });

  it('waits for the PRACK of the one before it, and has the next RSeq', async () => {
    const { response, incoming, prack } = await ringing();
    response.send(183, { headers: reliable });
    response.send(180, { headers: reliable });
    expect(incoming.statuses).toEqual([183]);
    const first = Number(incoming.last.get('RSeq'));
    prack(8, `${first} 7 INVITE`);
    expect(incoming.statuses).toEqual([183, 180]);
    expect(Number(incoming.last.get('RSeq'))).toBe(first + 1);
  });

  it('with a session description holds back the 2xx until its PRACK', async () => {
    const { stack, request, response, incoming, prack } = await ringing();
    response.send(183, { headers: { ...reliable, 'Content-Type': 'application/sdp' }, body: 'v=0' });
    const made = stack.createUAS(request, response);
    await settle();
    expect(incoming.statuses).toEqual([183]);
    prack(8, `${incoming.last.get('RSeq')} 7 INVITE`);
    expect(incoming.statuses).toEqual([183, 200]);
    const dialog: Dialog = await made;
    expect(dialog.localTag).toBe(incoming.responses[0]!.toTag);
  });

  it('whose PRACK the 2xx waits for can still be overtaken by a CANCEL', async () => {
    const { stack, request, response, incoming } = await ringing();
    response.send(183, { headers: { ...reliable, 'Content-Type': 'application/sdp' }, body: 'v=0' });
    const made = stack.createUAS(request, response);
    made.catch(() => {});
    expect(response.send(200)).toBe(false);
    incoming.cancel();
    expect(incoming.statuses).toEqual([183, 487]);
    await expect(made).rejects.toMatchObject({ code: 'sip-cancelled' });
  });

  it('without PRACK for 64·T1 ends the INVITE with 504', async () => {
    const { response, incoming, clock } = await ringing();
    response.send(183, { headers: reliable });
    clock.advance(31_990);
    expect(incoming.finalStatus).toBeUndefined();
    clock.advance(10);
    expect(incoming.finalStatus).toBe(504);
  });

  it('is sent as any other when the client does not support 100rel, and always when it requires it', async () => {
    const plain = await ringing('Supported: timer');
    plain.response.send(183, { headers: reliable });
    expect(plain.incoming.last.has('RSeq')).toBe(false);
    expect(plain.incoming.last.has('Require')).toBe(false);
    const required = await ringing('Require: 100rel');
    required.response.send(180);
    expect(required.incoming.last.has('RSeq')).toBe(true);
    expect(required.incoming.last.get('Require')).toBe('100rel');
  });

  it('lets the caller end the early dialog by BYE, and the INVITE gets 487', async () => {
    const { response, incoming, transactions } = await ringing();
    response.send(180);
    const bye = transactions.receive(inDialog('BYE', 8, incoming.last.toTag ?? ''));
    expect(bye.statuses).toEqual([200]);
    expect(incoming.statuses).toEqual([180, 487]);
  });
});

describe('an INVITE that its user lets ring (RFC 3261 §13.3.1.1)', () => {
  it('repeats its last provisional response every minute, so that no proxy gives it up', async () => {
    const { response, incoming, clock } = await ringing('');
    response.send(183, { body: 'v=0', headers: { 'Content-Type': 'application/sdp' } });
    response.send(180);
    clock.advance(59_990);
    expect(incoming.statuses).toEqual([183, 180]);
    clock.advance(60_010);
    expect(incoming.statuses).toEqual([183, 180, 180, 180]);
    response.send(486);
    expect(clock.pending).toBe(0);
  });

  it('sends a further reliable one after two and a half minutes where the last was reliable', async () => {
    const { response, incoming, clock, prack } = await ringing();
    response.send(183, { body: 'v=0', headers: { ...reliable, 'Content-Type': 'application/sdp' } });
    const first = Number(incoming.last.get('RSeq'));
    prack(8, `${first} 7 INVITE`);
    clock.advance(150_000);
    expect(incoming.statuses).toEqual([183, 183]);
    expect(Number(incoming.last.get('RSeq'))).toBe(first + 1);
    expect(incoming.last.body).toHaveLength(0);
  });

  it('says nothing more once it was cancelled', async () => {
    const { response, incoming, clock } = await ringing('');
    response.send(180);
    incoming.cancel();
    expect(incoming.statuses).toEqual([180, 487]);
    expect(clock.pending).toBe(0);
  });
});

describe('a reliable provisional response that we get (RFC 3262 §4)', () => {
  it('is acknowledged by PRACK in its early dialog, once', async () => {
    const statuses: number[] = [];
    const { sent, transactions } = await callingBob({ onProvisional: ({ status }) => statuses.push(status) });
    const cseq = sent.request.cseq.number;
    const headers = { ...bobsContact, ...reliable, RSeq: '17' };
    sent.respond(183, headers, 'bob');
    sent.respond(183, headers, 'bob');
    await settle();
    const pracks = transactions.sent.filter((item) => item.request.method === 'PRACK');
    expect(pracks).toHaveLength(1);
    expect(pracks[0]!.request.get('RAck')).toBe(`17 ${cseq} INVITE`);
    expect(pracks[0]!.request.toTag).toBe('bob');
    expect(pracks[0]!.request.cseq.number).toBe(cseq + 1);
    expect(statuses).toEqual([183]);
  });

  it('is not acknowledged when one before it is missing', async () => {
    const { sent, transactions } = await callingBob();
    sent.respond(183, { ...bobsContact, ...reliable, RSeq: '17' }, 'bob');
    sent.respond(183, { ...bobsContact, ...reliable, RSeq: '19' }, 'bob');
    sent.respond(183, { ...bobsContact, ...reliable, RSeq: '18' }, 'bob');
    await settle();
    const racks = transactions.sent
      .map((item) => item.request.get('RAck'))
      .filter((rack) => rack !== undefined);
    expect(racks.map((rack) => rack.split(' ')[0])).toEqual(['17', '18']);
  });
});
