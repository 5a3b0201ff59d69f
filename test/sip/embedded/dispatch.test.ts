import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../../src/base/errors.js';
import { message, settle, startStack } from './fixture.js';

describe('the embedded stack', () => {
  it('hands a request to the handler of its method and answers with the fields that RFC 3261 §8.2.6 copies', async () => {
    const { stack, transactions } = await startStack();
    stack.on('REGISTER', (request, response) => {
      expect(request.source.port).toBe(5070);
      response.send(200, { headers: { Contact: '<sip:alice@127.0.0.1:5070>;expires=60' } });
    });
    const { last } = transactions.receive(message('REGISTER', 'sip:ims.test', 'Timestamp: 54'));
    expect(last.startLine()).toBe('SIP/2.0 200 OK');
    expect(last.get('Via')).toBe('SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKphone');
    expect(last.get('From')).toBe('<sip:alice@ims.test>;tag=alice');
    expect(last.get('To')).toMatch(/^<sip:bob@ims\.test>;tag=[0-9a-f]{16}$/);
    expect(last.get('CSeq')).toBe('7 REGISTER');
    expect(last.callId).toBe('call-1');
    expect(last.get('Timestamp')).toBe('54');
  });

  it('keeps one To tag through all responses of a transaction', async () => {
    const { stack, transactions } = await startStack();
    stack.on('INVITE', (_request, response) => {
      response.send(180);
      response.send(486);
    });
    const { responses } = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    expect(responses[0]!.toTag).toBeDefined();
    expect(responses[1]!.toTag).toBe(responses[0]!.toTag);
  });

  it('answers with the status of a ParleyError that a handler throws or rejects with', async () => {
    const { stack, transactions, trail } = await startStack();
    stack.on('MESSAGE', () => {
      throw new ParleyError('sip-bad-header', 'Event: no package');
    });
    stack.on('OPTIONS', async () => {
      throw new ParleyError('sip-unsupported');
    });
    const thrown = transactions.receive(message('MESSAGE', 'sip:ims.test'));
    expect(thrown.last.startLine()).toBe('SIP/2.0 400 bad header field: Event: no package');
    const rejected = transactions.receive(message('OPTIONS', 'sip:ims.test'));
    await settle();
    expect(rejected.statuses).toEqual([501]);
    expect([...trail.counts().keys()]).toEqual(['sip-bad-header', 'sip-unsupported']);
  });

  it('answers 500 to a request whose handler has a bug, and goes on', async () => {
    const { stack, transactions, trail } = await startStack();
    stack.on('MESSAGE', () => {
      throw new TypeError('secret detail');
    });
    for (let i = 0; i < 2; i++)
      expect(transactions.receive(message('MESSAGE', 'sip:ims.test')).last.startLine()).toBe(
        'SIP/2.0 500 Server Internal Error',
      );
    expect(trail.counts().get('sip.handler-failed')).toBe(2);
  });

  it('answers 405 with Allow to a method without handler and 501 to a method that no standard knows', async () => {
    const { stack, transactions } = await startStack();
    stack.on('MESSAGE', () => {});
    const known = transactions.receive(message('PUBLISH', 'sip:ims.test'));
    expect(known.statuses).toEqual([405]);
    expect(known.last.get('Allow')).toBe('ACK, BYE, CANCEL, PRACK, UPDATE, MESSAGE');
    expect(transactions.receive(message('NEWMETHOD', 'sip:ims.test')).statuses).toEqual([501]);
  });

  it('answers 481 to a request in a dialog that nobody knows', async () => {
    const { transactions } = await startStack();
    const bye = transactions.receive(
      message('BYE', 'sip:bob@127.0.0.1:5060', '', '<sip:bob@ims.test>;tag=x'),
    );
    expect(bye.statuses).toEqual([481]);
  });

  it('sends 487 to a cancelled INVITE that its handler has not answered', async () => {
    const { stack, transactions } = await startStack();
    const cancelled: (string | undefined)[] = [];
    stack.on('INVITE', (request, response) => {
      response.send(180);
      request.onCancel((cancel) => cancelled.push(cancel.get('Reason')));
    });
    const incoming = transactions.receive(message('INVITE', 'sip:bob@ims.test'));
    incoming.cancel({ Reason: 'SIP;cause=200' });
    expect(cancelled).toEqual(['SIP;cause=200']);
    expect(incoming.statuses).toEqual([180, 487]);
  });
});
