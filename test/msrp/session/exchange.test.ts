import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  MsrpNegotiation,
  streamedMessages,
  wholeMessages,
  type WholeMessage,
} from '../../../src/msrp/session/index.js';
import {
  anything,
  counting,
  eventually,
  join,
  meanwhile,
  octets,
  startEndpoint,
} from '../tools/endpoints.js';

describe('two endpoints with a session', () => {
  it('exchange text both ways, octet for octet', async () => {
    const [a, b] = [await startEndpoint(), await startEndpoint()];
    const heard: string[] = [];
    const ears = (name: string) => ({
      receiver: wholeMessages(1000, ({ octets, contentType }) => {
        heard.push(`${name} ${contentType} ${octets.toString('latin1')}`);
        return 200;
      }),
    });
    const [alice, bob] = join(a.endpoint, b.endpoint, ears('alice'), ears('bob'));
    expect(
      await alice.send({ contentType: 'text/plain', content: Buffer.from('hi \0\xff', 'latin1') }).sent,
    ).toBe(200);
    expect(await bob.send({ contentType: 'text/plain;charset=UTF-8', content: Buffer.from('') }).sent).toBe(
      200,
    );
    expect(heard).toEqual(['bob text/plain hi \0\xff', 'alice text/plain;charset=UTF-8 ']);
    expect([alice.figures.messagesOut, alice.figures.messagesIn]).toEqual([1, 1]);
  });

  it('connect from the side that the answer makes active', async () => {
    const [a, b] = [await startEndpoint(), await startEndpoint()];
    const behindNat = { ...anything, behindNat: true };
    const offerer = { receiver: wholeMessages(100, () => 200) };
    const offering = new MsrpNegotiation(a.endpoint.createSession(offerer), behindNat);
    const answering = new MsrpNegotiation(b.endpoint.createSession(), behindNat);
    const answer = answering.answer(offering.offer());
    expect(answer).toContain('a=setup:active');
    offering.accept(answer);
    expect(await answering.session.send({ contentType: 'text/plain', content: Buffer.from('x') }).sent).toBe(
      200,
    );
  });

  it('a file of 20 MB arrives while text overtakes it', async () => {
    const [a, b] = [await startEndpoint(), await startEndpoint()];
    const order: string[] = [];
    const digest = createHash('sha256');
    const receiver = streamedMessages(30_000_000, async ({ contentType }, pieces) => {
      for await (const piece of pieces) if (contentType === 'image/png') digest.update(piece);
      order.push(contentType);
      return 200;
    });
    const [alice] = join(a.endpoint, b.endpoint, {}, { receiver });
    const file = octets(20_000_000);
    const sending = alice.send({ contentType: 'image/png', content: file, successReport: true });
    await eventually(() => alice.isBound);
    const text = alice.send({ contentType: 'text/plain', content: Buffer.from('meanwhile') });
    expect(await text.sent).toBe(200);
    expect(await sending.reported).toBe(200);
    expect(order).toEqual(['text/plain', 'image/png']);
    expect(digest.digest('hex')).toBe(createHash('sha256').update(file).digest('hex'));
  });

  it('a message is sent from a source that is asked only as fast as the peer takes it', async () => {
    const [a, b] = [await startEndpoint(), await startEndpoint()];
    let asked = 0;
    async function* source(): AsyncGenerator<Buffer> {
      for (let i = 0; i < 200; i++) {
        asked++;
        yield octets(50_000);
        await Promise.resolve();
      }
    }
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    const receiver = counting(
      streamedMessages(30_000_000, async (_message, pieces) => {
        await gate;
        for await (const piece of pieces) void piece;
        return 200;
      }),
    );
    const [alice] = join(a.endpoint, b.endpoint, {}, { receiver });
    const sending = alice.send({ contentType: 'a/b', content: source() });
    await eventually(() => receiver.octets > 262_144);
    await meanwhile(a.endpoint);
    expect(asked).toBeLessThan(20);
    go();
    expect(await sending.sent).toBe(200);
    expect(receiver.octets).toBe(10_000_000);
  });

  it('a refusal ends the message at once with its status', async () => {
    const [a, b] = [await startEndpoint(), await startEndpoint()];
    const heard: WholeMessage[] = [];
    const receiver = wholeMessages(100_000, (message) => (heard.push(message), 403));
    const [alice, bob] = join(a.endpoint, b.endpoint, {}, { receiver });
    expect(await alice.send({ contentType: 'text/plain', content: octets(300_000) }).sent).toBe(413);
    expect(heard).toEqual([]);
    expect(await alice.send({ contentType: 'text/plain', content: octets(10) }).sent).toBe(403);
    expect(bob.figures.refused).toBeGreaterThanOrEqual(2);
    expect(bob.figures.messagesIn).toBe(0);
  });

  it('a session that closes tells what became of its messages', async () => {
    const { endpoint } = await startEndpoint();
    const session = endpoint.createSession();
    const sending = session.send({ contentType: 'text/plain', content: octets(10), successReport: true });
    session.close();
    expect([await sending.sent, await sending.reported]).toEqual([481, 481]);
    expect(() => session.send({ contentType: 'text/plain', content: octets(1) })).toThrow('ended');
  });
});
