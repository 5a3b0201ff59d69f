import { afterEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/imps/access/digest.js';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { codeOf, detailsOf, message } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const questions = [
  { id: 'terms', text: 'Accept the terms?', options: ['Yes', 'No'] },
  { id: 'human', text: 'Type maple', options: ['Done'], key: 'maple' },
];
const answers = (...given: readonly [string, number, string?][]) =>
  element(
    'SystemMessageResponseList',
    given.map(([id, option, key]) =>
      element(
        'SystemMessageResponse',
        element('SystemMessageID', id),
        element('ChosenOptionID', option),
        key === undefined ? undefined : element('VerificationKey', key),
      ),
    ),
  );

describe('auto-registration (document 004 §6.2)', () => {
  it('is off unless the operator turns it on: 531', async () => {
    here = await world();
    expect(codeOf(await here.phone('newcomer').login2())).toBe(531);
  });

  it('makes the user of a first login, sends the User-ID, and starts a session', async () => {
    here = await world({ autoRegistration: { policy: 'open' } });
    const phone = here.phone('Newcomer');
    const response = await phone.login2();
    expect(codeOf(response)).toBe(200);
    expect(textOf(response, 'UserID')).toBe('wv:newcomer@ims.test');
    expect(child(response, 'Password')).toBeUndefined();
    await phone.request(element('Logout-Request'));
    const again = await phone.login2();
    expect([codeOf(again), textOf(again, 'UserID')]).toEqual([200, undefined]);
  });

  it('makes a password too where the operator wants it, and that is the one from then on', async () => {
    here = await world({ autoRegistration: { policy: 'open', makePassword: true } });
    const response = await here.phone('newcomer').login2();
    const password = textOf(response, 'Password') ?? '';
    expect(password).toHaveLength(16);
    const other = { clientId: 'wv:other' };
    expect(codeOf(await here.phone('newcomer', other).login2())).toBe(409);
    expect(codeOf(await here.phone('newcomer', { ...other, password }).login2())).toBe(200);
  });

  it('asks by digest too: 203 after the second round, no session, and a session once it is answered', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions } });
    const phone = here.phone('newcomer');
    const asked = await phone.login4();
    expect(codeOf(asked)).toBe(203);
    expect(child(asked, 'SessionID')).toBeUndefined();
    const password = textOf(asked, 'Password') ?? '';
    expect(child(child(asked, 'Result'), 'SystemMessageList')?.children).toHaveLength(2);
    const registered = here.phone('newcomer', { password });
    expect(codeOf(await registered.login4())).toBe(203);
    const id = registered.nextTransaction();
    const challenge = await registered.request(registered.loginElement(element('DigestSchema', 'MD5')), id);
    const digest = digestOf('MD5', textOf(challenge, 'Nonce') ?? '', password);
    const given = answers(['terms', 1], ['human', 1, 'maple']);
    const done = await registered.request(registered.loginElement(element('DigestBytes', digest), given), id);
    expect(codeOf(done)).toBe(200);
    expect(textOf(done, 'SessionID')).toMatch(/^[0-9a-f]{32}$/);
  });

  it('works by digest: the challenge first, then a password is made', async () => {
    here = await world({ autoRegistration: { policy: 'open' } });
    const response = await here.phone('newcomer').login4();
    expect(codeOf(response)).toBe(200);
    expect(textOf(response, 'Password')).toHaveLength(16);
  });

  it('by the network takes the number that a trusted proxy asserts for User-ID, and nobody else', async () => {
    here = await world({ autoRegistration: { policy: 'network' }, trustedProxies: ['127.0.0.1'] });
    const headers = { 'X-Network-MSISDN': '46701234567' };
    const response = await here.phone('x', { user: '', headers }).login2();
    expect(codeOf(response)).toBe(200);
    expect(textOf(response, 'UserID')).toBe('wv:+46701234567@ims.test');
    expect(codeOf(await here.phone('newcomer').login2())).toBe(531);
  });

  it('makes no second user of a number that has one: GEN-17', async () => {
    here = await world({ autoRegistration: { policy: 'network' }, trustedProxies: ['127.0.0.1'] });
    const headers = { 'X-Network-MSISDN': '46701234567' };
    const first = here.phone('first', { headers });
    expect(codeOf(await first.login2())).toBe(200);
    expect(codeOf(await here.phone('second', { headers, clientId: 'wv:other' }).login2())).toBe(531);
    const itself = here.phone('first', { user: '', headers, clientId: 'wv:another' });
    expect(codeOf(await itself.login2())).toBe(200);
    expect((await here.server.users.findByMsisdn('+46701234567'))?.user).toBe('wv:first@ims.test');
  });

  it('takes the number of a telephone from none of its users for another', async () => {
    here = await world({ autoRegistration: { policy: 'open' }, trustedProxies: ['127.0.0.1'] });
    const headers = { 'X-Network-MSISDN': '46701234567' };
    for (const name of ['first', 'second'])
      expect(codeOf(await here.phone(name, { headers, clientId: `wv:${name}` }).login2())).toBe(200);
    expect((await here.server.users.findByMsisdn('+46701234567'))?.user).toBe('wv:first@ims.test');
  });

  it('gives a User-ID that is a number to whom the network asserts that number for, whatever the policy', async () => {
    here = await world({ autoRegistration: { policy: 'open' }, trustedProxies: ['127.0.0.1'] });
    const user = 'wv:+46701234567@ims.test';
    const login = async (msisdn?: string): Promise<number> =>
      codeOf(await here.phone('x', { user, headers: msisdn ? { 'X-Network-MSISDN': msisdn } : {} }).login2());
    expect([await login(), await login('46709999999'), await login('46701234567')]).toEqual([531, 531, 200]);
  });

  it('is for users of the home domain alone', async () => {
    here = await world({ autoRegistration: { policy: 'open' } });
    expect(codeOf(await here.phone('x', { user: 'wv:x@elsewhere.test' }).login2())).toBe(531);
  });

  const welcomeOf = (response: Element): string | undefined =>
    textOf(
      child(child(child(response, 'Result'), 'SystemMessageList'), 'SystemMessage'),
      'SystemMessageText',
    );

  it('says that the service is ready without being told to, once', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions } });
    const phone = here.phone('newcomer');
    await phone.login2();
    const ready = await phone.login2(answers(['terms', 1], ['human', 1, 'maple']));
    expect(welcomeOf(ready)).toBe('Your registration is complete. The service is ready to be used.');
    await phone.request(element('Logout-Request'));
    expect(welcomeOf(await phone.login2())).toBeUndefined();
  });

  it('says so as well to a client that completes it while it takes its session up again', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions } });
    const phone = here.phone('newcomer');
    await phone.login2();
    await phone.login2(answers(['terms', 1], ['human', 1, 'maple']));
    await here.server.users.change(userId('newcomer'), (user) => ({ ...user, state: 'confirming' }));
    const again = await phone.login2(
      element('SessionID', phone.sessionId ?? ''),
      answers(['terms', 1], ['human', 1, 'maple']),
    );
    expect([codeOf(again), textOf(again, 'SessionID')]).toEqual([200, phone.sessionId]);
    expect([textOf(again, 'UserID'), welcomeOf(again)]).toEqual([
      'wv:newcomer@ims.test',
      'Your registration is complete. The service is ready to be used.',
    ]);
  });

  it('that is not confirmed makes nobody whom others could write to, invite or list', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions } });
    const newcomer = here.phone('newcomer');
    expect(codeOf(await newcomer.login2())).toBe(203);
    const bob = await here.phone('bob').start();
    expect(detailsOf(await bob.request(message('early', [userId('newcomer')])))).toEqual([
      `531 ${userId('newcomer')}`,
    ]);
    const verify = element('VerifyID-Request', element('IDList', element('UserID', userId('newcomer'))));
    expect(detailsOf(await bob.request(verify))).toEqual([`531 ${userId('newcomer')}`]);
    await newcomer.login2(answers(['terms', 1], ['human', 1, 'maple']));
    expect(await bob.code(message('welcome', [userId('newcomer')]))).toBe(200);
    expect(await bob.code(verify)).toBe(200);
    await newcomer.negotiate();
    expect(await newcomer.messages()).toEqual(['welcome']);
  });

  it('that is not confirmed is 531 for a client that knows no 203', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions } });
    await here.phone('newcomer').login2();
    expect(codeOf(await here.phone('newcomer', { version: '1.2' }).login2())).toBe(531);
  });

  it('of a client before 1.3 needs no word that it cannot read', async () => {
    here = await world({ autoRegistration: { policy: 'open' } });
    const response = await here.phone('newcomer', { version: '1.2' }).login2();
    expect([codeOf(response), child(response, 'UserID')]).toEqual([200, undefined]);
    expect(codeOf(await here.phone('other', { version: '1.2' }).login4())).toBe(531);
    await here.close();
    here = await world({ autoRegistration: { policy: 'open', questions } });
    expect(codeOf(await here.phone('newcomer', { version: '1.2' }).login2())).toBe(531);
  });

  it('with questions is 203 and no session until all are answered, and then says that the service is ready', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions, welcome: 'Ready.' } });
    const phone = here.phone('newcomer');
    const first = await phone.login2();
    expect(codeOf(first)).toBe(203);
    expect(textOf(first, 'UserID')).toBe('wv:newcomer@ims.test');
    expect(child(first, 'SessionID')).toBeUndefined();
    const asked = child(child(first, 'Result'), 'SystemMessageList')?.children ?? [];
    expect(asked.map((one) => textOf(one, 'SystemMessageID'))).toEqual(['terms', 'human']);
    expect(codeOf(await phone.login2())).toBe(203);
    expect(codeOf(await phone.login2(answers(['terms', 1])))).toBe(203);
    expect(codeOf(await phone.login2(answers(['terms', 1], ['human', 1, 'oak'])))).toBe(203);
    const ready = await phone.login2(answers(['terms', 1], ['human', 1, 'maple']));
    expect(codeOf(ready)).toBe(200);
    const welcome = child(child(child(ready, 'Result'), 'SystemMessageList'), 'SystemMessage');
    expect(textOf(welcome, 'SystemMessageText')).toBe('Ready.');
  });

  it('with questions is complete as well for a client that answers each time what is still asked', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions } });
    const phone = here.phone('newcomer');
    const asked = (response: Element): (string | undefined)[] =>
      (child(child(response, 'Result'), 'SystemMessageList')?.children ?? []).map((one) =>
        textOf(one, 'SystemMessageID'),
      );
    expect(asked(await phone.login2())).toEqual(['terms', 'human']);
    expect(asked(await phone.login2(answers(['human', 1, 'maple'])))).toEqual(['terms']);
    expect(codeOf(await phone.login2(answers(['terms', 1])))).toBe(200);
    expect(await here.server.users.find(userId('newcomer'))).toMatchObject({ state: 'active' });
  });

  it('that is declined is 403, and leaves no user behind', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions } });
    const phone = here.phone('newcomer');
    await phone.login2();
    expect(codeOf(await phone.login2(answers(['terms', 2])))).toBe(403);
    expect(await here.server.users.find(userId('newcomer'))).toBeUndefined();
  });

  it('that is not confirmed lets nobody send to the user who is not there yet', async () => {
    here = await world({ autoRegistration: { policy: 'open', questions } });
    await here.phone('newcomer').login2();
    expect(codeOf(await here.phone('newcomer', { password: 'guess' }).login2(answers(['terms', 2])))).toBe(
      409,
    );
    expect(await here.server.users.find(userId('newcomer'))).toMatchObject({ state: 'confirming' });
  });
});
