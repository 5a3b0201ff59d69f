import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { textCoding } from '../../../src/imps/codec/coding.js';
import { element, textOf } from '../../../src/imps/codec/element.js';
import { capabilityRequest, codeOf, message, serviceRequest } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
beforeEach(async () => {
  here = await world();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

describe('a client of the plain text syntax', () => {
  it('logs in, negotiates, sends, and gets all that waits one after the other', async () => {
    const alice = here.phone('alice', { coding: textCoding });
    const bob = await here.phone('bob').start();
    expect(codeOf(await alice.login2())).toBe(200);
    const agreed = await alice.request(
      capabilityRequest('1.3', element('SupportedCIRMethod', 'SHTTP'), element('ServerPollMin', 30)),
    );
    expect(textOf(agreed.children[0], 'ServerPollMin')).toBe('30');
    expect((await alice.request(serviceRequest)).name).toBe('Service-Response');
    expect(codeOf(await alice.request(message('hello, "bob"', [userId('bob')])))).toBe(200);
    expect(await bob.messages()).toEqual(['hello, "bob"']);
    for (const text of ['one', 'two', 'three']) await bob.request(message(text, [userId('alice')]));
    expect(await alice.messages()).toEqual(['one', 'two', 'three']);
    expect(await alice.poll()).toEqual([]);
  });

  it('takes its session up again by the SI of its login', async () => {
    const alice = await here.phone('alice', { coding: textCoding }).start();
    const { sessionId } = alice;
    alice.sessionId = undefined;
    const again = await alice.login2(element('SessionID', sessionId ?? ''));
    expect([codeOf(again), textOf(again, 'SessionID')]).toEqual([200, sessionId]);
  });

  it('is given the next request with the answer to the last, since the syntax cannot say that more waits', async () => {
    const alice = await here.phone('alice', { coding: textCoding }).start();
    const bob = await here.phone('bob').start();
    for (const text of ['one', 'two']) await bob.request(message(text, [userId('alice')]));
    const [first] = await alice.poll();
    expect(first?.id).toMatch(/^\d{1,3}$/);
    const id = textOf(first?.primitive?.children[0], 'MessageID') ?? '';
    const next = await alice.respond(first!.id, element('MessageDelivered', element('MessageID', id)));
    expect(next?.transactions).toMatchObject([{ mode: 'Request', primitive: { name: 'NewMessage' } }]);
  });

  it('hears 506 for a code that stands for nothing, and 505 for a version that is none', async () => {
    const alice = await here.phone('alice', { coding: textCoding }).start();
    const unknown = await alice.postBytes(
      Buffer.from(`WV13QQ7 SI=${alice.sessionId}`),
      textCoding.contentType,
    );
    expect(unknown.bytes.toString()).toBe(`WV13ST7 SI=${alice.sessionId} ST=(506,"Service not agreed")`);
    const version = await alice.postBytes(Buffer.from('WV99LR1 UI=alice'), textCoding.contentType);
    expect(version.bytes.toString()).toBe('WV13RL1 ST=(505,"Version not supported")');
  });
});
