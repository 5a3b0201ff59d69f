import { afterEach, beforeEach, expect, it } from 'vitest';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { codeOf, message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const length = (name: string, octets: number): Element => element(name, octets);

async function send(content: string, type = 'text/plain'): Promise<string> {
  const info = element(
    'MessageInfo',
    element('ContentType', type),
    element('Recipient', element('User', element('UserID', userId('bob')))),
  );
  const sent = element(
    'SendMessage-Request',
    element('DeliveryReport', false),
    info,
    element('ContentData', content),
  );
  const answer = await alice.request(sent);
  expect(codeOf(answer)).toBe(200);
  return textOf(answer, 'MessageID') ?? '';
}

const type = (name: string, ...limits: readonly Element[]): Element =>
  element('AcceptedContentType', element('ContentType', name), limits);

it.each([
  {
    limits: 'AcceptedTextContentLength beside AcceptedPushLength',
    capabilities: [length('AcceptedPushLength', 20), length('AcceptedTextContentLength', 5)],
    sent: [
      ['text/plain', 5, 'NewMessage'],
      ['text/plain', 6, 'MessageNotification'],
      ['text/x-vcard', 6, 'MessageNotification'],
      ['image/png', 20, 'NewMessage'],
      ['image/png', 21, 'MessageNotification'],
    ],
  },
  {
    limits: 'AcceptedRichContentLength of a type',
    capabilities: [
      length('AcceptedPushLength', 20),
      type('image/png', length('AcceptedRichContentLength', 50)),
      type('image/gif', element('ContentPolicy', 'N'), length('ContentPolicyLimit', 8)),
    ],
    sent: [
      ['image/png', 50, 'NewMessage'],
      ['image/png', 51, 'MessageNotification'],
      ['image/gif', 8, 'NewMessage'],
      ['image/gif', 9, 'MessageNotification'],
      ['text/plain', 21, 'MessageNotification'],
    ],
  },
] as const)('a message over $limits is announced, and not pushed', async ({ capabilities, sent }) => {
  const bob = await here.phone('bob').start(...capabilities);
  for (const [contentType, size, name] of sent) {
    await send('x'.repeat(size), contentType);
    const [got] = await bob.drain();
    expect([contentType, size, got?.name]).toEqual([contentType, size, name]);
  }
});

it('a message over AcceptedPullLength is 432 when it is asked for, and stays for another client', async () => {
  const bob = await here
    .phone('bob')
    .start(element('InitialDeliveryMethod', 'N'), length('AcceptedPullLength', 5));
  const get = (id: string): Element => element('GetMessage-Request', element('MessageID', id));
  const [small, large] = [await send('12345'), await send('123456')];
  expect((await bob.request(get(small))).name).toBe('GetMessage-Response');
  expect(codeOf(await bob.request(get(large)))).toBe(432);
  const other = await here.phone('bob', { clientId: 'wv:other' }).start();
  expect(textOf(await other.request(get(large)), 'ContentData')).toBe('123456');
});

it('an answer carries no more requests than MultiTrans and MultiTransPerMessage allow', async () => {
  const bob = here.phone('bob');
  await bob.login2();
  const carried = async (multiTrans: number, perMessage: number): Promise<number> => {
    const agreed = await bob.negotiate(
      length('MultiTrans', multiTrans),
      length('MultiTransPerMessage', perMessage),
    );
    const list = child(agreed, 'AgreedCapabilityList');
    expect(textOf(list, 'MultiTrans')).toBe(String(Math.max(1, multiTrans)));
    for (let count = 0; count < 5; count++) await alice.request(message('x', [userId('bob')]));
    const requests = await bob.poll();
    await bob.messages();
    here.clock.advance(120_000);
    await bob.messages();
    return requests.length;
  };
  expect(await carried(2, 5)).toBe(2);
  expect(await carried(5, 3)).toBe(3);
  expect(await carried(1, 5)).toBe(1);
  expect(await carried(0, 5)).toBe(1);
});
