import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { element, type Element } from '../../../src/imps/codec/element.js';
import { keyOf, mailbox } from '../../../src/imps/state/records.js';
import { creating, group, joining, screenName } from '../tools/groups.js';
import { detailsOf, message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

const LIMIT = 3;
let here: World;
let alice: Phone;
beforeEach(async () => {
  here = await world({ messages: { waitingLimit: LIMIT } });
  alice = await here.phone('alice').start();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const full = ['507 wv:bob@ims.test'];
/** Sends one more to Bob. @returns why he does not get it */
const more = async (): Promise<string[]> => detailsOf(await alice.request(message('x', [userId('bob')])));

describe('a mailbox', () => {
  it('takes no more than the operator lets wait: 507, until some have gone', async () => {
    for (let count = 0; count < LIMIT; count++) expect(await more()).toEqual([]);
    expect(await more()).toEqual(full);
    const bob = await here.phone('bob').start();
    expect(await bob.messages()).toHaveLength(LIMIT);
    expect(await more()).toEqual([]);
  });

  it('takes no more by a group: its owner is named by screen name, and by a private message too', async () => {
    const bob = await here.phone('bob').start();
    const carol = await here.phone('carol').start();
    await alice.request(creating({ PrivateMessaging: 'T' }));
    for (const [phone, name] of [
      [alice, 'A'],
      [bob, 'B'],
      [carol, 'C'],
    ] as const)
      await phone.request(joining(screenName(name)));
    for (let count = 0; count < LIMIT; count++) expect(await more()).toEqual([]);
    const to = async (...recipient: Element[]): Promise<string[]> =>
      detailsOf(
        await alice.request(
          element(
            'SendMessage-Request',
            element('DeliveryReport', false),
            element('MessageInfo', element('Recipient', element('Group', recipient))),
            element('ContentData', 'to the group'),
          ),
        ),
      );
    expect(await to(group)).toEqual(['507 ']);
    expect(await to(screenName('B'))).toEqual(['507 ']);
    expect(await carol.messages()).toEqual(['to the group']);
    expect(await bob.messages()).toHaveLength(LIMIT);
    expect(await to(group)).toEqual([]);
  });

  it('is full after a restart as before', async () => {
    for (let count = 0; count < LIMIT; count++) await more();
    here = await here.restart();
    alice = await here.phone('alice', { clientId: 'wv:again' }).start();
    expect(await more()).toEqual(full);
  });

  it('is counted again where another node took messages away', async () => {
    for (let count = 0; count < LIMIT; count++) await more();
    for await (const { key } of here.store.scan(mailbox, { prefix: keyOf(userId('bob'), '') }))
      await here.store.update(mailbox, key, () => ({ kind: 'remove', result: undefined }));
    expect(await more()).toEqual([]);
    await alice.request(element('Logout-Request'));
  });
});
