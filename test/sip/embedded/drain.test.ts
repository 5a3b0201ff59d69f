import { describe, expect, it } from 'vitest';
import type { Listener } from '../../../src/sip/stack.js';
import { answeredCall } from '../dialog/calls.js';
import { message, settle, startStack } from './fixture.js';

describe('a stack that drains', () => {
  it('answers new requests 503 with Retry-After and goes on with running dialogs', async () => {
    const { stack, transactions, peer, ack, clock, trail } = await answeredCall();
    stack.on('REGISTER', (_request, response) => {
      response.send(200);
    });
    const drained = stack.drain(10_000);
    const refused = transactions.receive(message('REGISTER', 'sip:ims.test'));
    expect(refused.statuses).toEqual([503]);
    expect(Number(refused.last.get('Retry-After'))).toBeGreaterThanOrEqual(30);
    expect(trail.counts().get('sip.refused-draining')).toBe(1);
    ack();
    expect(peer('BYE', 8).statuses).toEqual([200]);
    clock.advance(50);
    await drained;
  });

  it('takes what it sends to itself, since that belongs to what runs already, and from nobody else who names it', async () => {
    const { stack, transactions, trail } = await startStack();
    stack.on('MESSAGE', (_request, response) => {
      response.send(200);
    });
    void stack.drain(0);
    const [{ address, port }] = stack.listeners as [Listener];
    const own = message('MESSAGE', 'sip:bob@ims.test').replace('127.0.0.1:5070', `${address}:${port}`);
    expect(transactions.receive(own, { address, port, localAddress: address }).statuses).toEqual([200]);
    expect(transactions.receive(own, { address: '192.0.2.7', localAddress: address }).statuses).toEqual([
      503,
    ]);
    expect(trail.counts().get('sip.refused-draining')).toBe(1);
  });

  it('is done when nothing runs any more, and at the latest when its time is over', async () => {
    const { stack, transactions, clock } = await startStack();
    transactions.running = 2;
    let done = 0;
    void stack.drain(10_000).then(() => done++);
    await clock.advanceAsync(1_000, 50);
    expect(done).toBe(0);
    transactions.running = 0;
    await clock.advanceAsync(50, 50);
    expect(done).toBe(1);
    transactions.running = 1;
    void stack.drain(500).then(() => done++);
    await clock.advanceAsync(550, 50);
    expect(done).toBe(2);
  });
});

describe('a stack that is closed', () => {
  it('ends its dialogs without a word, leaves no timer behind and refuses to send', async () => {
    const { stack, wire, clock, transactions, ends, ack } = await answeredCall(
      'Supported: timer\nSession-Expires: 90',
    );
    ack();
    clock.advance(40_000);
    await settle();
    const sent = transactions.sent.length;
    await stack.close();
    expect(wire.closed).toBe(true);
    expect(ends).toEqual(['stack closed']);
    expect(clock.pending).toBe(0);
    expect(transactions.sent).toHaveLength(sent);
    await expect(stack.request('sip:bob@127.0.0.1', { method: 'MESSAGE' })).rejects.toMatchObject({
      code: 'sip-stack-closed',
    });
    await expect(stack.createUAC('sip:bob@127.0.0.1', { method: 'INVITE' })).rejects.toMatchObject({
      code: 'sip-stack-closed',
    });
  });
});
