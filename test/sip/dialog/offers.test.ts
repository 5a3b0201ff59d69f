import { describe, expect, it } from 'vitest';
import type { FakeServerTransaction } from '../../tools/fake-transactions.js';
import type { ServerResponse } from '../../../src/sip/stack.js';
import { answeredCall, bobsContact, connectedToBob, inDialog, settle } from './calls.js';

const sdp = { 'Content-Type': 'application/sdp' };

describe('a call', () => {
  it('keeps the octets of its descriptions alone, not the large buffers in which they came or were made', async () => {
    const slab = Buffer.alloc(8_192, 'v=0 ');
    const sent = { headers: sdp, body: slab.subarray(0, 40) };
    const { dialog: caller } = await connectedToBob(sent);
    const { dialog: callee } = await answeredCall(`Content-Type: application/sdp`, sent, {}, 'v=0 offer');
    for (const message of [caller.request, callee.request, callee.response!]) {
      expect(Buffer.from(message.body).toString()).toMatch(/^v=0 /);
      expect(message.body.buffer.byteLength).toBe(message.body.length);
    }
  });
});

describe('a re-INVITE that we send', () => {
  it('carries the new offer and our Contact, and its 2xx is acknowledged', async () => {
    const { dialog, transactions } = await connectedToBob();
    const modified = dialog.modify('v=1', sdp);
    const reinvite = transactions.lastSent('INVITE');
    expect(Buffer.from(reinvite.request.body).toString()).toBe('v=1');
    expect(reinvite.request.get('Contact')).toBe('<sip:127.0.0.1:5060>');
    expect(reinvite.request.toTag).toBe('bob');
    reinvite.respond(200, { Contact: '<sip:bob@127.0.0.1:6009>' });
    expect((await modified).status).toBe(200);
    const ack = transactions.stateless.at(-1)!;
    expect(ack.request.cseq).toEqual({ number: reinvite.request.cseq.number, method: 'ACK' });
    expect(ack.hop.port).toBe(6009);
    expect(dialog.remoteTarget).toBe('sip:bob@127.0.0.1:6009');
    reinvite.respond(200, { Contact: '<sip:bob@127.0.0.1:6009>' });
    expect(transactions.stateless.filter(({ request }) => request.method === 'ACK')).toHaveLength(3);
  });

  it('leaves the dialog as it was when it is refused', async () => {
    const { dialog, transactions } = await connectedToBob();
    const modified = dialog.modify('v=1', sdp);
    transactions.lastSent('INVITE').respond(488, { Contact: '<sip:bob@127.0.0.1:6009>' });
    expect((await modified).status).toBe(488);
    expect(dialog).toMatchObject({ state: 'confirmed', remoteTarget: 'sip:bob@127.0.0.1:6001' });
    expect(transactions.stateless).toHaveLength(1);
  });

  it('is tried once more after the time of RFC 3261 §14.1 when it meets one of the peer', async () => {
    const { dialog, transactions, clock } = await connectedToBob();
    const modified = dialog.modify('v=1', sdp);
    transactions.lastSent('INVITE').respond(491);
    await settle();
    clock.advance(2_090);
    await settle();
    expect(transactions.sent).toHaveLength(2);
    clock.advance(1_920);
    await settle();
    expect(transactions.sent).toHaveLength(3);
    transactions.lastSent('INVITE').respond(491);
    expect((await modified).status).toBe(491);
  });

  it('fails at once while another request of the dialog makes an offer', async () => {
    const { dialog } = await connectedToBob();
    void dialog.modify('v=1', sdp);
    await expect(dialog.modify('v=2', sdp)).rejects.toMatchObject({ code: 'sip-request-pending', sip: 491 });
  });
});

describe('a re-INVITE of the peer', () => {
  it('is answered by the listener, and its 2xx is sent again until the ACK', async () => {
    const { dialog, ack, peer, clock } = await answeredCall();
    ack();
    dialog.onRequest((_request, response) => {
      response.send(200, { body: 'v=2', headers: sdp });
    });
    const reinvite = peer('INVITE', 8);
    expect(reinvite.last.get('Contact')).toBe('<sip:bob@127.0.0.1:5060>');
    clock.advance(1_500);
    expect(reinvite.statuses).toEqual([200, 200, 200]);
    ack(8);
    clock.advance(60_000);
    expect(reinvite.statuses).toHaveLength(3);
    expect(dialog.state).toBe('confirmed');
  });

  it('gets 491 while ours is pending', async () => {
    const { dialog, ack, peer, transactions } = await answeredCall();
    ack();
    void dialog.modify('v=1', sdp);
    await settle();
    expect(transactions.lastSent().request.method).toBe('INVITE');
    expect(peer('INVITE', 8).statuses).toEqual([491]);
  });

  it('gets 500 with Retry-After up to 10 s while an earlier one is not answered', async () => {
    const { dialog, ack, peer } = await answeredCall();
    ack();
    dialog.onRequest(() => {});
    peer('INVITE', 8);
    const second = peer('INVITE', 9);
    expect(second.statuses).toEqual([500]);
    expect(Number(second.last.get('Retry-After'))).toBeLessThanOrEqual(10);
  });

  it('without listener is accepted when it changes nothing, with the description we gave, and gets 488 when it does', async () => {
    const { ack, transactions, dialog } = await answeredCall(
      'Content-Type: application/sdp',
      { body: 'v=0 ours', headers: sdp },
      {},
      'v=0 theirs',
    );
    ack();
    const offer = (sequence: number, body: string): FakeServerTransaction =>
      transactions.receive(
        inDialog('INVITE', sequence, dialog.localTag, 'Content-Type: application/sdp'),
        {},
        body,
      );
    const refresh = offer(8, 'v=0 theirs');
    expect(refresh.statuses).toEqual([200]);
    expect(Buffer.from(refresh.last.body).toString()).toBe('v=0 ours');
    ack(8);
    expect(offer(9, 'v=1 theirs').statuses).toEqual([488]);
  });

  it('is ended with 487 by the peer’s BYE', async () => {
    const { dialog, ack, peer } = await answeredCall();
    ack();
    dialog.onRequest(() => {});
    const reinvite = peer('INVITE', 8);
    expect(peer('BYE', 9).statuses).toEqual([200]);
    expect(reinvite.statuses).toEqual([487]);
  });

  it('is ended with 487 by its CANCEL', async () => {
    const { dialog, ack, peer } = await answeredCall();
    ack();
    dialog.onRequest(() => {});
    const reinvite = peer('INVITE', 8);
    reinvite.cancel();
    expect(reinvite.statuses).toEqual([487]);
    expect(dialog.state).toBe('confirmed');
    expect(peer('INVITE', 9).statuses).toEqual([]);
  });
});

describe('UPDATE (RFC 3311 §5.2)', () => {
  it('without a body is a refresh that nobody needs to hear of', async () => {
    const { peer, ack } = await answeredCall();
    ack();
    const update = peer('UPDATE', 8);
    expect(update.statuses).toEqual([200]);
    expect(update.last.get('Contact')).toBe('<sip:bob@127.0.0.1:5060>');
  });

  it('with an offer gets 491 while ours is pending, and 500 while an earlier offer of the peer is', async () => {
    const ours = await connectedToBob();
    void ours.dialog.modify('v=1', sdp);
    const fromBob = (sequence: number): string => `UPDATE sip:127.0.0.1:5060 SIP/2.0
      Via: SIP/2.0/UDP 127.0.0.1:6001;branch=z9hG4bKu${sequence}
      From: <sip:bob@127.0.0.1>;tag=bob
      To: <sip:ims.test>;tag=${ours.dialog.localTag}
      Call-ID: ${ours.dialog.callId}
      CSeq: ${sequence} UPDATE
      Contact: <sip:bob@127.0.0.1:6001>
      Content-Type: application/sdp`;
    expect(ours.transactions.receive(fromBob(1), {}, 'v=9').statuses).toEqual([491]);
    ours.transactions.lastSent('INVITE').respond(200, bobsContact);
    await settle();
    const pending: ServerResponse[] = [];
    ours.dialog.onRequest((_request, response) => {
      pending.push(response);
    });
    ours.transactions.receive(fromBob(2), {}, 'v=9');
    const second = ours.transactions.receive(fromBob(3), {}, 'v=10');
    expect(second.statuses).toEqual([500]);
    expect(second.last.has('Retry-After')).toBe(true);
    expect(pending).toHaveLength(1);
  });
});
