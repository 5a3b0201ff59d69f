import { describe, expect, it } from 'vitest';
import { answerTimer } from '../../../src/sip/dialog/session-timer.js';
import type { SipRequest } from '../../../src/sip/message/message.js';
import { startStack } from '../embedded/fixture.js';
import { requestOf } from '../../tools/fake-transactions.js';
import { answeredCall, bobsContact, callingBob, connectedToBob, invite, settle } from './calls.js';

const timers = (supported: boolean, refresher?: string): SipRequest =>
  requestOf(
    invite(
      `Session-Expires: 1800${refresher === undefined ? '' : `;refresher=${refresher}`}\n${supported ? 'Supported: timer' : ''}`,
    ),
  );

describe('the refresher that a UAS answers (RFC 4028 table 2)', () => {
  it.each([
    [false, undefined, 'uas', false],
    [true, undefined, 'uac', true],
    [true, 'uac', 'uac', true],
    [true, 'uas', 'uas', true],
  ] as const)('client supports timers: %s, asks for %s: %s', (supported, asked, refresher, require) => {
    expect(answerTimer(timers(supported, asked), 90)).toEqual({
      kind: 'timer',
      seconds: 1800,
      refresher,
      require,
    });
  });
});

describe('a session timer as UAS', () => {
  it('is answered with Session-Expires and Require, and its end without refresh is a BYE a third or 32 s before', async () => {
    const { incoming, ack, clock, transactions, ends } = await answeredCall(
      'Supported: timer\nSession-Expires: 1800;refresher=uac',
    );
    ack();
    expect(incoming.last.get('Session-Expires')).toBe('1800;refresher=uac');
    expect(incoming.last.headers.hasToken('Require', 'timer')).toBe(true);
    clock.advance(1_767_990);
    expect(ends).toEqual([]);
    clock.advance(10);
    expect(transactions.lastSent('BYE').request.get('Reason')).toContain('Session expired');
    expect(ends).toEqual(['session expired']);
  });

  it('starts anew with the peer’s refresh', async () => {
    const { ack, clock, peer, ends } = await answeredCall(
      'Supported: timer\nSession-Expires: 90;refresher=uac',
    );
    ack();
    clock.advance(50_000);
    const update = peer('UPDATE', 8, 'Supported: timer\nSession-Expires: 90;refresher=uac');
    expect(update.last.get('Session-Expires')).toBe('90;refresher=uac');
    clock.advance(59_990);
    expect(ends).toEqual([]);
    clock.advance(10);
    expect(ends).toEqual(['session expired']);
  });

  it('refreshes after half the interval when it is the refresher, by UPDATE where the peer allows it', async () => {
    const { ack, clock, transactions } = await answeredCall(
      'Supported: timer\nSession-Expires: 100;refresher=uas\nAllow: INVITE, ACK, BYE, UPDATE',
    );
    ack();
    clock.advance(49_990);
    expect(transactions.sent).toHaveLength(0);
    clock.advance(10);
    await settle();
    const update = transactions.lastSent('UPDATE');
    expect(update.request.get('Session-Expires')).toBe('100;refresher=uac');
    update.respond(200, { 'Session-Expires': '100;refresher=uac', Contact: '<sip:alice@127.0.0.1:5070>' });
    await settle();
    clock.advance(50_000);
    expect(transactions.sent).toHaveLength(2);
  });

  it('refuses an interval below its minimum with 422, and the client’s lack of support forbids that', async () => {
    const { stack, transactions } = await startStack({ minSe: 120 });
    stack.on('INVITE', async (request, response) => {
      await stack.createUAS(request, response);
    });
    const short = transactions.receive(invite('Supported: timer\nSession-Expires: 100'));
    await settle();
    expect(short.statuses).toEqual([422]);
    expect(short.last.get('Min-SE')).toBe('120');
    const unaware = transactions.receive(invite('Session-Expires: 100').replace('call-1', 'call-2'));
    await settle();
    expect(unaware.statuses).toEqual([200]);
    expect(unaware.last.get('Session-Expires')).toBe('100;refresher=uas');
  });
});

describe('a session timer that a UAS wants', () => {
  it('is asked for in the 2xx where the client can do one and asked for none, not below its Min-SE (RFC 4028 §9)', async () => {
    const { incoming, ack, clock, ends } = await answeredCall('Supported: timer', { sessionExpires: 600 });
    ack();
    expect(incoming.last.get('Session-Expires')).toBe('600;refresher=uac');
    expect(incoming.last.headers.hasToken('Require', 'timer')).toBe(true);
    clock.advance(567_990);
    expect(ends).toEqual([]);
    clock.advance(10);
    expect(ends).toEqual(['session expired']);
    const patient = await answeredCall('Supported: timer\nMin-SE: 900', { sessionExpires: 600 });
    expect(patient.incoming.last.get('Session-Expires')).toBe('900;refresher=uac');
  });

  it('gives way to what the client asks for', async () => {
    const { incoming } = await answeredCall('Supported: timer\nSession-Expires: 1800;refresher=uac', {
      sessionExpires: 600,
    });
    expect(incoming.last.get('Session-Expires')).toBe('1800;refresher=uac');
  });

  it('is ours alone to refresh where the client knows none', async () => {
    const { incoming, ack, clock, transactions } = await answeredCall('Allow: INVITE, ACK, BYE, UPDATE', {
      sessionExpires: 600,
    });
    ack();
    expect(incoming.last.has('Session-Expires')).toBe(false);
    expect(incoming.last.headers.hasToken('Require', 'timer')).toBe(false);
    for (let refreshes = 1; refreshes <= 2; refreshes++) {
      clock.advance(300_000);
      expect(transactions.sent.filter(({ request }) => request.method === 'UPDATE')).toHaveLength(refreshes);
      transactions.lastSent('UPDATE').respond(200, { Contact: '<sip:alice@127.0.0.1:5070>' });
      await settle();
    }
  });
});

describe('a session timer as UAC', () => {
  it('is asked for, and refreshed by re-INVITE with the same description where the peer does not allow UPDATE', async () => {
    const sdp = { 'Content-Type': 'application/sdp' };
    const { sent, transactions, clock } = await connectedToBob(
      { sessionExpires: 200, body: 'v=0', headers: sdp },
      { 'Session-Expires': '200;refresher=uac', Allow: 'INVITE, ACK, BYE' },
    );
    expect(sent.request.get('Session-Expires')).toBe('200');
    clock.advance(100_000);
    await settle();
    const refresh = transactions.lastSent('INVITE');
    expect(refresh).not.toBe(sent);
    expect(Buffer.from(refresh.request.body).toString()).toBe('v=0');
    expect(refresh.request.get('Session-Expires')).toBe('200;refresher=uac');
    refresh.respond(200, { ...bobsContact, 'Session-Expires': '200;refresher=uac' });
    await settle();
    expect(transactions.stateless).toHaveLength(2);
  });

  it('is kept by us alone when the peer does not know it', async () => {
    const { clock, transactions } = await connectedToBob({ sessionExpires: 200 }, { Allow: 'UPDATE' });
    clock.advance(100_000);
    await settle();
    transactions.lastSent('UPDATE').respond(200, bobsContact);
    await settle();
    clock.advance(100_000);
    await settle();
    expect(transactions.sent.map((item) => item.request.method)).toEqual(['INVITE', 'UPDATE', 'UPDATE']);
  });

  it('is asked for again with the Min-SE of a 422', async () => {
    const { sent, transactions, made } = await callingBob({ sessionExpires: 100 });
    sent.respond(422, { 'Min-SE': '600' });
    await settle();
    const { request } = transactions.lastSent('INVITE');
    expect(request.get('Session-Expires')).toBe('600');
    expect(request.get('Min-SE')).toBe('600');
    expect(request.cseq.number).toBe(sent.request.cseq.number + 1);
    transactions.lastSent('INVITE').respond(200, bobsContact);
    await made;
  });

  it('ends the call when a refresh times out, and after another failure tries once more before the interval is over', async () => {
    const lost = await connectedToBob({ sessionExpires: 200 }, { Allow: 'UPDATE' });
    lost.clock.advance(100_000);
    await settle();
    lost.transactions.lastSent('UPDATE').fail('timeout');
    await settle();
    expect(lost.ends).toEqual(['408 to UPDATE']);
    const kept = await connectedToBob({ sessionExpires: 200 }, { Allow: 'UPDATE' });
    kept.clock.advance(100_000);
    await settle();
    kept.transactions.lastSent('UPDATE').respond(500);
    await settle();
    kept.clock.advance(50_000);
    await settle();
    expect(kept.transactions.sent.filter((item) => item.request.method === 'UPDATE')).toHaveLength(2);
    expect(kept.ends).toEqual([]);
    kept.clock.advance(50_000);
    expect(kept.ends).toEqual(['session expired']);
  });

  it('does nothing when the peer’s answer turns it off', async () => {
    const { dialog, clock, transactions } = await connectedToBob(
      {},
      { 'Session-Expires': '200;refresher=uas' },
    );
    void dialog.send({ method: 'UPDATE', headers: { 'Session-Expires': undefined } });
    transactions.lastSent('UPDATE').respond(200, { ...bobsContact, 'Session-Expires': '90;refresher=uas' });
    await settle();
    clock.advance(59_990);
    expect(dialog.state).toBe('confirmed');
    clock.advance(20);
    expect(dialog.state).toBe('terminated');
  });
});
