import { afterEach, beforeEach, expect, it } from 'vitest';
import { xmlCoding } from '../../src/imps/codec/coding.js';
import { element } from '../../src/imps/codec/element.js';
import { cirUrl, DrawnPhone } from '../imps/tools/drawn-phone.js';
import { codeOf, message } from '../imps/tools/phone.js';
import { userId, world, type World } from '../imps/tools/world.js';
import { Ladder } from '../tools/ladder.js';

let here: World;
beforeEach(async () => {
  here = await world();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

function ladderOf(title: string, about: string, ...peers: readonly string[]): Ladder {
  const ladder = new Ladder(title, about);
  const [first, ...others] = peers;
  ladder.server(first!);
  ladder.server('parley', Number(new URL(here.url).port));
  for (const name of others) ladder.server(name);
  return ladder;
}

const phone = (
  ladder: Ladder,
  name: string,
  column = name,
  clientId = 'wv:lab1$acme@maker.m1.42',
): DrawnPhone =>
  new DrawnPhone(ladder, column, {
    url: here.url,
    user: userId(name),
    password: `${name}-secret`,
    clientId,
    coding: xmlCoding,
  });

const page = (ladder: Ladder, name: string): Promise<void> =>
  expect(ladder.markdown()).toMatchFileSnapshot(`../../docs/ladders/${name}.md`);

it('draws a login by digest and the negotiation after it', async () => {
  const ladder = ladderOf(
    'IMPS: login and negotiation',
    'A phone logs in 4-way: it offers digests, gets a nonce, and answers it under the same Transaction-ID. Then it negotiates capabilities and services, and logs out.',
    'alice',
  );
  const alice = phone(ladder, 'alice');
  expect(codeOf(await alice.login4(['SHA', 'MD5']))).toBe(200);
  await alice.negotiate(element('SupportedCIRMethod', 'STCP'));
  await alice.request(element('Logout-Request'));
  await page(ladder, 'imps-login');
});

it('draws communication initiation over TCP and by HTTP poll', async () => {
  const ladder = ladderOf(
    'IMPS: communication initiation',
    'Alice has a CIR connection over TCP, Bob polls for CIR over HTTP; each is told that something waits, and polls for it.',
    'alice',
    'bob',
  );
  const [alice, bob] = [phone(ladder, 'alice'), phone(ladder, 'bob')];
  let poll = '';
  await ladder.without(async () => {
    await alice.login2();
    await alice.negotiate(element('SupportedCIRMethod', 'STCP'));
    bob.cookie = 'cookie-2';
    await bob.login2();
    poll = cirUrl(await bob.negotiate(element('SupportedCIRMethod', 'SHTTP')));
  });
  const line = alice.cirLine(here.cirPort);
  line.say(`HELO ${alice.sessionId}`);
  await line.hear(1);
  line.say('PING');
  await line.hear(1);
  await bob.cirPoll(poll);
  await bob.request(message('Hello Alice', [userId('alice')]));
  await line.hear(1);
  expect(await alice.messages()).toEqual(['Hello Alice']);
  await alice.request(message('Hello Bob', [userId('bob')]));
  here.clock.advance(60_000);
  await bob.cirPoll(poll);
  expect(await bob.messages()).toEqual(['Hello Bob']);
  line.close();
  await page(ladder, 'imps-cir');
});

it('draws a message that is stored and delivered at the next login', async () => {
  const ladder = ladderOf(
    'IMPS: a message to one who is logged out',
    'Alice sends while Bob is away. The message is stored, and Bob gets it once at his next login; Alice hears that he has it.',
    'alice',
    'bob',
  );
  const [alice, bob] = [phone(ladder, 'alice'), phone(ladder, 'bob')];
  await ladder.without(() => alice.start());
  await alice.request(message('While you were out', [userId('bob')], element('DeliveryReport', true)));
  expect(codeOf(await bob.login2())).toBe(200);
  await ladder.without(() => bob.negotiate());
  expect(await bob.messages()).toEqual(['While you were out']);
  await alice.drain();
  await page(ladder, 'imps-stored-message');
});

it('draws a second client of a user beside the first, and one whose Client-ID is in use', async () => {
  const ladder = ladderOf(
    'IMPS: several clients of one user',
    'A tablet logs in beside the phone of the same user with a Client-ID of its own; another phone with the Client-ID of the first is refused, and the sessions of both others live on.',
    'phone',
    'tablet',
    'twin',
  );
  const first = phone(ladder, 'alice', 'phone');
  const tablet = phone(ladder, 'alice', 'tablet', 'wv:tab$acme@maker.t2.43');
  const twin = phone(ladder, 'alice', 'twin');
  twin.cookie = 'cookie-3';
  expect(codeOf(await first.login2())).toBe(200);
  expect(codeOf(await tablet.login2())).toBe(200);
  expect(codeOf(await twin.login2())).toBe(603);
  expect(codeOf(await first.request(element('KeepAlive-Request')))).toBe(200);
  expect(codeOf(await tablet.request(element('KeepAlive-Request')))).toBe(200);
  await page(ladder, 'imps-second-client');
});
