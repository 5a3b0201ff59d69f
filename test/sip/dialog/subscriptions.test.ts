import { describe, expect, it } from 'vitest';
import type { EmbeddedOptions } from '../../../src/sip/embedded/stack.js';
import type { SipRequest } from '../../../src/sip/message/message.js';
import type { Dialog, UasOptions } from '../../../src/sip/stack.js';
import type { FakeClientTransaction, FakeServerTransaction } from '../../tools/fake-transactions.js';
import { startStack, type Fixture } from '../embedded/fixture.js';
import { inDialog, settle } from './calls.js';

interface Subscribed extends Fixture {
  readonly sent: FakeClientTransaction;
  readonly made: Promise<Dialog>;
  /** The notifier, with that tag, sends a NOTIFY. */
  readonly notify: (tag: string, sequence: number, state?: string) => FakeServerTransaction;
}

async function subscribing(expires = 600, options: Partial<EmbeddedOptions> = {}): Promise<Subscribed> {
  const fixture = await startStack(options);
  const made = fixture.stack.createUAC('sip:alice@127.0.0.1:6001', {
    method: 'SUBSCRIBE',
    headers: { Event: 'reg', Expires: expires, Accept: 'application/reginfo+xml' },
  });
  made.catch(() => {});
  await settle();
  const sent = fixture.transactions.lastSent('SUBSCRIBE');
  const { callId, fromTag } = sent.request;
  return {
    ...fixture,
    sent,
    made,
    notify: (tag, sequence, state = 'active;expires=600') =>
      fixture.transactions.receive(`NOTIFY sip:127.0.0.1:5060 SIP/2.0
        Via: SIP/2.0/UDP 127.0.0.1:6001;branch=z9hG4bKn${tag}${sequence}
        From: <sip:alice@127.0.0.1:6001>;tag=${tag}
        To: <sip:ims.test>;tag=${fromTag}
        Call-ID: ${callId}
        CSeq: ${sequence} NOTIFY
        Contact: <sip:alice@127.0.0.1:6001>
        Event: reg
        ${state === '' ? '' : `Subscription-State: ${state}`}`),
  };
}

const accepted = { Contact: '<sip:alice@127.0.0.1:6001>', Expires: '600' };

describe('a subscriber', () => {
  it('hears NOTIFYs, and a NOTIFY that says terminated ends the dialog', async () => {
    const { sent, made, notify } = await subscribing();
    expect(sent.request.get('Contact')).toBe('<sip:127.0.0.1:5060>');
    sent.respond(200, accepted, 'n');
    const dialog = await made;
    const heard: (string | undefined)[] = [];
    const ends: unknown[] = [];
    dialog.onEnd((cause) => ends.push(cause));
    dialog.onRequest((request, response) => {
      heard.push(request.get('Subscription-State'));
      response.send(200);
    });
    expect(notify('n', 1).statuses).toEqual([200]);
    const last = notify('n', 2, 'terminated;reason=deactivated');
    expect(last.statuses).toEqual([200]);
    expect(heard).toEqual(['active;expires=600', 'terminated;reason=deactivated']);
    expect((ends[0] as SipRequest).method).toBe('NOTIFY');
    expect(notify('n', 3).statuses).toEqual([481]);
  });

  it('keeps a NOTIFY that comes before the 2xx until its user can hear it', async () => {
    const { sent, made, notify, clock } = await subscribing();
    const early = notify('n', 1);
    expect(early.statuses).toEqual([]);
    sent.respond(200, accepted, 'n');
    const dialog = await made;
    const heard: SipRequest[] = [];
    dialog.onRequest((request, response) => {
      heard.push(request);
      response.send(200);
    });
    clock.advance(10);
    expect(heard).toHaveLength(1);
    expect(early.statuses).toEqual([200]);
  });

  it('is over when no NOTIFY comes within 64·T1 (Timer N)', async () => {
    const { sent, made, clock } = await subscribing();
    sent.respond(200, accepted, 'n');
    const dialog = await made;
    const ends: unknown[] = [];
    dialog.onEnd((cause) => ends.push(cause));
    clock.advance(32_010);
    expect(ends).toEqual(['no NOTIFY came']);
  });

  it('gets a dialog of its own for each notifier of a forked SUBSCRIBE, until Timer N', async () => {
    const others: Dialog[] = [];
    const fixture = await startStack();
    const made = fixture.stack.createUAC('sip:alice@127.0.0.1:6001', {
      method: 'SUBSCRIBE',
      headers: { Event: 'reg' },
      onEarlyDialog: (dialog) => others.push(dialog),
    });
    const { request } = fixture.transactions.lastSent();
    const notify = (tag: string): FakeServerTransaction =>
      fixture.transactions.receive(`NOTIFY sip:127.0.0.1:5060 SIP/2.0
        Via: SIP/2.0/UDP 127.0.0.1:6001;branch=z9hG4bKn${tag}
        From: <sip:alice@ims.test>;tag=${tag}
        To: <sip:ims.test>;tag=${request.fromTag}
        Call-ID: ${request.callId}
        CSeq: 1 NOTIFY
        Contact: <sip:alice@127.0.0.1:6002>
        Subscription-State: active;expires=60`);
    fixture.transactions.lastSent().respond(200, accepted, 'n1');
    await made;
    notify('n2');
    expect(others.map((dialog) => [dialog.remoteTag, dialog.remoteTarget])).toEqual([
      ['n2', 'sip:alice@127.0.0.1:6002'],
    ]);
    fixture.clock.advance(32_010);
    expect(notify('n3').statuses).toEqual([481]);
  });

  it('refreshes before it expires, with its Event and Expires, and ends when the notifier does not know it', async () => {
    const { sent, made, notify, clock, transactions } = await subscribing(1_000);
    sent.respond(200, { ...accepted, Expires: '1000' }, 'n');
    const dialog = await made;
    notify('n', 1, 'active;expires=1000');
    clock.advance(899_990);
    expect(transactions.sent).toHaveLength(1);
    clock.advance(10);
    await settle();
    const refresh = transactions.lastSent('SUBSCRIBE');
    expect(refresh.request.toTag).toBe('n');
    expect(refresh.request.get('Event')).toBe('reg');
    expect(refresh.request.get('Expires')).toBe('1000');
    expect(refresh.request.get('Contact')).toBe('<sip:127.0.0.1:5060>');
    refresh.respond(481);
    await settle();
    expect(dialog.state).toBe('terminated');
  });

  it('whose refresh is refused asks again, later each time or when it is told to, until its time is over', async () => {
    const { sent, made, notify, clock, transactions } = await subscribing(1_000);
    sent.respond(200, { ...accepted, Expires: '1000' }, 'n');
    const dialog = await made;
    const ends: unknown[] = [];
    dialog.onEnd((cause) => ends.push(cause));
    notify('n', 1, 'active;expires=1000');
    /** Refuses the refresh that is due after so many milliseconds, and not before. */
    const refused = async (ms: number, status: number, headers = {}): Promise<void> => {
      const before = transactions.sent.length;
      clock.advance(ms - 10);
      expect(transactions.sent).toHaveLength(before);
      clock.advance(10);
      await settle();
      expect(transactions.sent).toHaveLength(before + 1);
      transactions.lastSent('SUBSCRIBE').respond(status, headers);
      await settle();
    };
    await refused(900_000, 500);
    await refused(1_000, 403);
    await refused(2_000, 503, { 'Retry-After': '90 (restarting)' });
    clock.advance(96_990);
    expect(ends).toEqual([]);
    clock.advance(10);
    expect(ends).toEqual(['timeout']);
  });

  it('asks for as long as the notifier wants it to at least (423)', async () => {
    const { sent, made, notify, clock, transactions } = await subscribing(100);
    // without Expires: what was asked for counts
    sent.respond(200, { Contact: '<sip:alice@127.0.0.1:6001>' }, 'n');
    const dialog = await made;
    notify('n', 1, 'active');
    clock.advance(68_000);
    await settle();
    transactions.lastSent('SUBSCRIBE').respond(423, { 'Min-Expires': '300' });
    await settle();
    clock.advance(10);
    await settle();
    const longer = transactions.lastSent('SUBSCRIBE');
    expect(longer.request.get('Expires')).toBe('300');
    longer.respond(200, { Expires: '300' });
    notify('n', 2, 'active;expires=300');
    clock.advance(200_000);
    expect(dialog.state).toBe('confirmed');
  });

  it('unsubscribes with Expires 0 and stays until the last NOTIFY', async () => {
    const { sent, made, notify, transactions } = await subscribing();
    sent.respond(200, accepted, 'n');
    const dialog = await made;
    notify('n', 1);
    const destroyed = dialog.destroy();
    const { request } = transactions.lastSent('SUBSCRIBE');
    expect(request.get('Expires')).toBe('0');
    transactions.lastSent().respond(200, { Expires: '0' });
    await destroyed;
    expect(dialog.state).toBe('confirmed');
    expect(notify('n', 2, 'terminated;reason=timeout').statuses).toEqual([200]);
    expect(dialog.state).toBe('terminated');
  });

  it('answers 400 to a NOTIFY without Subscription-State', async () => {
    const { sent, made, notify } = await subscribing();
    sent.respond(200, accepted, 'n');
    await made;
    const { last } = notify('n', 1, '');
    expect(last.startLine()).toBe('SIP/2.0 400 No Subscription-State');
  });
});

interface Notifying extends Fixture {
  readonly incoming: FakeServerTransaction;
  readonly dialog: Dialog;
  readonly ends: unknown[];
}

async function notifying(expires: string, options: UasOptions = {}): Promise<Notifying> {
  const fixture = await startStack();
  let made: Promise<Dialog> | undefined;
  fixture.stack.on('SUBSCRIBE', async (request, response) => {
    made = fixture.stack.createUAS(request, response, options);
    await made;
  });
  const incoming = fixture.transactions.receive(
    inDialog('SUBSCRIBE', 7, 'x', `Event: reg\n${expires}`).replace(';tag=x', ''),
  );
  const dialog = await made!;
  const ends: unknown[] = [];
  dialog.onEnd((cause) => ends.push(cause));
  return { ...fixture, incoming, dialog, ends };
}

describe('a notifier', () => {
  it('accepts a REFER with 202 and the subscription that it implies (RFC 3515 §2.4.4)', async () => {
    const { stack, transactions, clock } = await startStack();
    let made: Promise<Dialog> | undefined;
    stack.on('REFER', async (request, response) => {
      made = stack.createUAS(request, response, { expires: 40 });
      await made;
    });
    const incoming = transactions.receive(
      inDialog(
        'REFER',
        7,
        'x',
        'Contact: <sip:alice@127.0.0.1:5070>\nRefer-To: <sip:carol@ims.test>',
      ).replace(';tag=x', ''),
    );
    const dialog = await made!;
    expect([incoming.statuses, incoming.last.has('Expires')]).toEqual([[202], false]);
    void dialog.send({
      method: 'NOTIFY',
      body: 'SIP/2.0 100 Trying',
      headers: { 'Content-Type': 'message/sipfrag' },
    });
    const { request } = transactions.lastSent('NOTIFY');
    expect([request.get('Event'), request.get('Subscription-State')]).toEqual(['refer', 'active;expires=40']);
    expect([request.uri, request.fromTag]).toEqual(['sip:alice@127.0.0.1:5070', dialog.localTag]);
    clock.advance(40_000);
    expect(transactions.lastSent('NOTIFY').request.get('Subscription-State')).toBe(
      'terminated;reason=timeout',
    );
    expect(dialog.state).toBe('terminated');
  });

  it('accepts a SUBSCRIBE with Expires and sends NOTIFYs with Event and the time that is left', async () => {
    const { incoming, dialog, transactions, clock } = await notifying('Expires: 100');
    expect(incoming.statuses).toEqual([200]);
    expect(incoming.last.get('Expires')).toBe('100');
    expect(incoming.last.get('Contact')).toBe('<sip:bob@127.0.0.1:5060>');
    clock.advance(40_000);
    void dialog.send({
      method: 'NOTIFY',
      body: '<reginfo/>',
      headers: { 'Content-Type': 'application/reginfo+xml' },
    });
    const { request } = transactions.lastSent('NOTIFY');
    expect(request.get('Event')).toBe('reg');
    expect(request.get('Subscription-State')).toBe('active;expires=60');
    expect(request.get('Contact')).toBe('<sip:bob@127.0.0.1:5060>');
    expect(request.uri).toBe('sip:alice@127.0.0.1:5070');
  });

  it('ends with a NOTIFY that says timeout when nobody refreshes', async () => {
    const { transactions, clock, ends } = await notifying('Expires: 100');
    clock.advance(100_000);
    expect(transactions.lastSent('NOTIFY').request.get('Subscription-State')).toBe(
      'terminated;reason=timeout',
    );
    expect(ends).toEqual(['terminated;reason=timeout']);
  });

  it('lives on when refreshed, for as long as its answer says', async () => {
    const { dialog, transactions, clock, ends } = await notifying('Expires: 100');
    dialog.onRequest((_request, response) => {
      response.send(200, { headers: { Expires: 50 } });
    });
    clock.advance(90_000);
    const refresh = transactions.receive(
      inDialog('SUBSCRIBE', 8, dialog.localTag, 'Event: reg\nExpires: 300'),
    );
    expect(refresh.last.get('Expires')).toBe('50');
    clock.advance(49_990);
    expect(ends).toEqual([]);
    clock.advance(10);
    expect(ends).toEqual(['terminated;reason=timeout']);
  });

  it('ends with the NOTIFY by which its user ends it', async () => {
    const { dialog, transactions, ends } = await notifying('Expires: 100');
    const destroyed = dialog.destroy({ 'Subscription-State': 'terminated;reason=deactivated' });
    transactions.lastSent('NOTIFY').respond(200);
    await destroyed;
    expect(ends).toEqual(['terminated;reason=deactivated']);
  });

  it.each([481, 404, 489])('ends when a NOTIFY gets %i', async (status) => {
    const { dialog, transactions, ends } = await notifying('Expires: 100');
    const sent = dialog.send({ method: 'NOTIFY' });
    transactions.lastSent('NOTIFY').respond(status);
    await sent;
    expect(ends).toEqual([`${status} to NOTIFY`]);
  });

  it('ends when a NOTIFY gets no answer, and not when it is merely refused', async () => {
    const { dialog, transactions, ends } = await notifying('Expires: 100');
    const refused = dialog.send({ method: 'NOTIFY' });
    transactions.lastSent('NOTIFY').respond(500);
    await refused;
    expect(ends).toEqual([]);
    const silent = dialog.send({ method: 'NOTIFY' });
    transactions.lastSent('NOTIFY').fail('timeout');
    await silent;
    expect(ends).toEqual(['408 to NOTIFY']);
  });

  it('takes a fetch (Expires 0): one NOTIFY that says terminated', async () => {
    const { incoming, dialog, transactions, ends } = await notifying('Expires: 0');
    expect(incoming.last.get('Expires')).toBe('0');
    void dialog.send({ method: 'NOTIFY', body: 'state' });
    expect(transactions.lastSent('NOTIFY').request.get('Subscription-State')).toBe(
      'terminated;reason=timeout',
    );
    expect(ends).toEqual(['terminated;reason=timeout']);
  });
});
