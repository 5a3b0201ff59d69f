import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { element } from '../../../src/imps/codec/element.js';
import { codeOf, detailsOf, message, type Phone } from '../tools/phone.js';
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

const logout = element('Logout-Request');

/** A client of Bob that is logged in, with its ClientIMPriority. */
async function client(name: string, priority: number, ...capabilities: string[]): Promise<Phone> {
  const phone = here.phone('bob', { clientId: `wv:${name}` });
  await phone.login2();
  const [offline, online] = capabilities;
  await phone.negotiate(
    ...(offline === undefined ? [] : [element('OfflineETEMHandling', offline)]),
    ...(online === undefined ? [] : [element('OnlineETEMHandling', online)]),
  );
  const info = element('ClientInfo', element('Qualifier', true), element('ClientIMPriority', priority));
  expect(await phone.code(element('UpdatePresence-Request', element('PresenceSubList', info)))).toBe(200);
  return phone;
}

/** Sends to Bob's client `mobile`. @returns 200, or the code that names him */
async function toMobile(text: string): Promise<string> {
  const { children } = message(text, []);
  const bob = element(
    'User',
    element('UserID', userId('bob')),
    element('ClientID', element('URL', 'wv:mobile')),
  );
  const sent = await alice.request(
    element(
      'SendMessage-Request',
      children.map((part) =>
        part.name === 'MessageInfo' ? element('MessageInfo', element('Recipient', bob)) : part,
      ),
    ),
  );
  return codeOf(sent) === 200 ? '200' : (detailsOf(sent)[0] ?? '').slice(0, 3);
}

interface Case {
  readonly handling: string;
  /** What the sender hears and which of the other two clients get the message. */
  readonly others: string;
  /** What the sender hears when no client is there, and whether the next login gets the message. */
  readonly nobody: string;
}
const cases: readonly Case[] = [
  { handling: 'SENDSTORE', others: '200 desk web', nobody: '200 stored' },
  { handling: 'SENDREJECT', others: '200 desk web', nobody: '533' },
  { handling: 'PRIORITYSTORE', others: '200 desk', nobody: '200 stored' },
  { handling: 'PRIORITYREJECT', others: '200 desk', nobody: '533' },
  { handling: 'REJECT', others: '533', nobody: '533' },
];

describe.each(cases)(
  'OfflineETEMHandling $handling of a client that is away',
  ({ handling, others, nobody }) => {
    beforeEach(async () => {
      await (await client('mobile', 9, handling)).request(logout);
    });

    it(`is "${others}" while two other clients of its user are there`, async () => {
      const desk = await client('desk', 5);
      const web = await client('web', 1);
      const code = await toMobile('hello');
      const got = [...(await desk.messages()).map(() => 'desk'), ...(await web.messages()).map(() => 'web')];
      expect([code, ...got].join(' ')).toBe(others);
    });

    it(`is "${nobody}" where no client of its user is there`, async () => {
      const code = await toMobile('hello');
      const next = await here.phone('bob', { clientId: 'wv:mobile' }).start();
      const stored = (await next.messages()).map(() => 'stored');
      expect([code, ...stored].join(' ')).toBe(nobody);
    });

    it('has no say over a message to the user, who is there', async () => {
      const web = await client('web', 1);
      expect(await alice.code(message('hi', [userId('bob')]))).toBe(200);
      expect(await web.messages()).toEqual(['hi']);
    });
  },
);

describe('OnlineETEMHandling', () => {
  it.each([
    ['SERVERLOGIC', 'mobile'],
    ['FORKALL', 'mobile web'],
    ['DETECT', 'web'],
  ])('%s of the first client gives a message to: %s', async (handling, expected) => {
    const mobile = await client('mobile', 9, 'SENDSTORE', handling);
    here.clock.advance(1000);
    const web = await client('web', 1, 'SENDSTORE', handling);
    await alice.request(message('hi', [userId('bob')]));
    const got = [
      ...(await mobile.messages()).map(() => 'mobile'),
      ...(await web.messages()).map(() => 'web'),
    ];
    expect(got.join(' ')).toBe(expected);
  });

  it('has no say over a message to one client, which gets it alone', async () => {
    const mobile = await client('mobile', 1, 'REJECT', 'FORKALL');
    const web = await client('web', 9, 'REJECT', 'FORKALL');
    expect(await toMobile('for you')).toBe('200');
    expect([await mobile.messages(), await web.messages()]).toEqual([['for you'], []]);
  });
});
