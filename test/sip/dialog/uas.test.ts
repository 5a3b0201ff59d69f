import { describe, expect, it } from 'vitest';
import type { SipRequest } from '../../../src/sip/message/message.js';
import { message, startStack } from '../embedded/fixture.js';
import { answeredCall, inDialog, invite, settle } from './calls.js';

describe('a dialog as UAS', () => {
  it('begins with a 2xx that has our tag, a Contact and the Record-Route of the INVITE', async () => {
    const { incoming, dialog } = await answeredCall('Record-Route: <sip:p2;lr>, <sip:p1;lr>', {
      body: 'v=0',
    });
    const { last } = incoming;
    expect(last.status).toBe(200);
    expect(last.toTag).toBe(dialog.localTag);
    expect(last.get('Contact')).toBe('<sip:bob@127.0.0.1:5060>');
    expect(last.headers.list('Record-Route')).toEqual(['<sip:p2;lr>', '<sip:p1;lr>']);
    expect(Buffer.from(last.body).toString()).toBe('v=0');
    expect(dialog).toMatchObject({
      role: 'uas',
      state: 'confirmed',
      callId: 'call-1',
      remoteTag: 'alice',
      localUri: 'sip:bob@ims.test',
      remoteUri: 'sip:alice@ims.test',
      remoteTarget: 'sip:alice@127.0.0.1:5070',
      routeSet: ['<sip:p2;lr>', '<sip:p1;lr>'],
    });
  });

  it('sends its 2xx again after T1, doubling up to T2, until the ACK comes', async () => {
    const { incoming, clock, ack, dialog } = await answeredCall();
    const acks: SipRequest[] = [];
    dialog.onAck((request) => acks.push(request));
    const at: number[] = [];
    const start = clock.now();
    for (let i = 0; i < 1_600; i++) {
      const before = incoming.responses.length;
      clock.advance(10);
      if (incoming.responses.length > before) at.push(clock.now() - start);
    }
    expect(at).toEqual([500, 1_500, 3_500, 7_500, 11_500, 15_500]);
    ack();
    ack();
    clock.advance(60_000);
    expect(incoming.responses).toHaveLength(7);
    expect(acks).toHaveLength(1);
  });

  it('is ended by BYE when no ACK comes for 64·T1', async () => {
    const { clock, transactions, ends } = await answeredCall();
    clock.advance(31_990);
    expect(ends).toEqual([]);
    clock.advance(10);
    expect(transactions.lastSent().request.method).toBe('BYE');
    expect(ends).toEqual(['no ACK came']);
  });

  it('ends with the peer’s BYE, which gets 200', async () => {
    const { peer, ack, ends, dialog } = await answeredCall();
    ack();
    const bye = peer('BYE', 8, 'Reason: Q.850;cause=16');
    expect(bye.statuses).toEqual([200]);
    expect((ends[0] as SipRequest).get('Reason')).toBe('Q.850;cause=16');
    expect(dialog.state).toBe('terminated');
    expect(peer('INFO', 9).statuses).toEqual([481]);
  });

  it('sends its requests to the peer’s Contact by the route set, with rising CSeq', async () => {
    const { dialog, transactions, ack } = await answeredCall(
      'Record-Route: <sip:127.0.0.1:6100;lr>, <sip:p1;lr>',
    );
    ack();
    const answered = dialog.send({ method: 'INFO', headers: { 'Info-Package': 'x' } });
    const { request, hop } = transactions.lastSent();
    transactions.lastSent().respond(200, {}, 'ignored');
    expect((await answered).status).toBe(200);
    expect(hop.port).toBe(6100);
    expect(request.uri).toBe('sip:alice@127.0.0.1:5070');
    expect(request.headers.list('Route')).toEqual(['<sip:127.0.0.1:6100;lr>', '<sip:p1;lr>']);
    expect(request.fromTag).toBe(dialog.localTag);
    expect(request.toTag).toBe('alice');
    expect(request.has('Contact')).toBe(false);
    void dialog.send({ method: 'INFO' });
    expect(transactions.lastSent().request.cseq.number).toBe(request.cseq.number + 1);
  });

  it('puts the first Route into the Request-URI when that is a strict router', async () => {
    const { dialog, transactions } = await answeredCall('Record-Route: <sip:127.0.0.1:6100>, <sip:p1;lr>');
    void dialog.send({ method: 'INFO' });
    const { request, hop } = transactions.lastSent();
    expect(hop.port).toBe(6100);
    expect(request.uri).toBe('sip:127.0.0.1:6100');
    expect(request.headers.list('Route')).toEqual(['<sip:p1;lr>', '<sip:alice@127.0.0.1:5070>']);
  });

  it('answers 500 to a request whose CSeq is not above the last one', async () => {
    const { peer } = await answeredCall();
    expect(peer('INFO', 9).statuses).toEqual([200]);
    expect(peer('INFO', 8).statuses).toEqual([500]);
    expect(peer('INFO', 9).statuses).toEqual([500]);
    expect(peer('INFO', 100).statuses).toEqual([200]);
  });

  it('moves its remote target with a re-INVITE that it accepts, and not with one that it refuses', async () => {
    const { transactions, dialog, ack } = await answeredCall();
    ack();
    dialog.onRequest((request, response) => {
      response.send(request.cseq.number === 8 ? 488 : 200);
    });
    const reinvite = (sequence: number, port: number): void => {
      const text = inDialog('INVITE', sequence, dialog.localTag);
      transactions.receive(text.replace(/Contact: .*/, `Contact: <sip:alice@127.0.0.1:${port}>`));
    };
    reinvite(8, 5080);
    expect(dialog.remoteTarget).toBe('sip:alice@127.0.0.1:5070');
    reinvite(9, 5090);
    expect(dialog.remoteTarget).toBe('sip:alice@127.0.0.1:5090');
  });

  it('answers 420 to a request that requires an extension it does not have', async () => {
    const { peer, trail } = await answeredCall();
    const info = peer('INFO', 8, 'Require: timer, foo');
    expect(info.statuses).toEqual([420]);
    expect(info.last.get('Unsupported')).toBe('foo');
    expect(trail.counts().get('dialog.extension-not-supported')).toBe(1);
  });

  it('takes nothing that nobody reads: 501 for MESSAGE without listener, 200 for OPTIONS', async () => {
    const { peer } = await answeredCall();
    expect(peer('MESSAGE', 8).statuses).toEqual([501]);
    expect(peer('OPTIONS', 9).statuses).toEqual([200]);
  });

  it('does not send BYE before its 2xx has been acknowledged', async () => {
    const { dialog, transactions, ack, ends } = await answeredCall();
    const destroyed = dialog.destroy({ Reason: 'SIP;cause=480' });
    await settle();
    expect(transactions.sent).toHaveLength(0);
    ack();
    await settle();
    const bye = transactions.lastSent('BYE');
    expect(bye.request.get('Reason')).toBe('SIP;cause=480');
    expect(ends).toEqual(['destroyed']);
    bye.respond(200);
    await destroyed;
  });
});

describe('createUAS', () => {
  it('answers 420 instead when the INVITE requires an extension that it does not have', async () => {
    const { stack, transactions } = await startStack();
    const failures: unknown[] = [];
    stack.on('INVITE', async (request, response) => {
      await stack.createUAS(request, response).catch((error: unknown) => failures.push(error));
    });
    const incoming = transactions.receive(invite('Require: 100rel, recipient-list-invite'));
    await settle();
    expect(incoming.statuses).toEqual([420]);
    expect(incoming.last.get('Unsupported')).toBe('recipient-list-invite');
    expect(failures).toMatchObject([{ code: 'sip-bad-extension' }]);
  });

  it('answers 482 to the same INVITE that came by another way', async () => {
    const { transactions } = await answeredCall();
    const merged = transactions.receive(invite().replace('z9hG4bKINVITE7', 'z9hG4bKother'));
    await settle();
    expect(merged.statuses).toEqual([482]);
  });

  it('rejects when the INVITE was cancelled before', async () => {
    const { stack, transactions } = await startStack();
    const failures: unknown[] = [];
    let answer = (): void => {};
    stack.on('INVITE', async (request, response) => {
      response.send(180);
      await new Promise<void>((resolve) => (answer = resolve));
      await stack.createUAS(request, response).catch((error: unknown) => failures.push(error));
    });
    const incoming = transactions.receive(invite());
    incoming.cancel();
    answer();
    await settle();
    expect(incoming.statuses).toEqual([180, 487]);
    expect(failures).toMatchObject([{ code: 'sip-cancelled' }]);
  });

  it('refuses to make a dialog of a MESSAGE', async () => {
    const { stack, transactions } = await startStack();
    stack.on('MESSAGE', async (request, response) => {
      await stack.createUAS(request, response);
    });
    const incoming = transactions.receive(message('MESSAGE', 'sip:bob@ims.test'));
    await settle();
    expect(incoming.statuses).toEqual([501]);
  });
});
