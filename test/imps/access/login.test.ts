import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/imps/access/digest.js';
import { wbxmlCoding, xmlCoding } from '../../../src/imps/codec/coding.js';
import { child, element, textOf } from '../../../src/imps/codec/element.js';
import { VirtualClock } from '../../../src/base/clock.js';
import { LocalUsers } from '../../../src/imps/access/local-users.js';
import type { UserId } from '../../../src/imps/address/wv-address.js';
import type { UserRecord } from '../../../src/imps/state/records.js';
import { MemoryStore } from '../../tools/memory-store.js';
import { codeOf, message } from '../tools/phone.js';
import { userId, world, worldOn, type World } from '../tools/world.js';

let here: World;
beforeEach(async () => {
  here = await world();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

describe('login', () => {
  it.each([
    ['1.1', 'xml'],
    ['1.1', 'wbxml'],
    ['1.2', 'xml'],
    ['1.2', 'wbxml'],
    ['1.3', 'xml'],
    ['1.3', 'wbxml'],
  ] as const)(
    'by password works in CSP %s over %s, and only then there is a Session-ID',
    async (version, syntax) => {
      const coding = syntax === 'xml' ? xmlCoding : wbxmlCoding;
      const phone = here.phone('alice', { version, coding });
      const response = await phone.login2();
      expect(codeOf(response)).toBe(200);
      expect(textOf(response, 'SessionID')).toMatch(/^[0-9a-f]{32}$/);
      expect(textOf(response, 'KeepAliveTime')).toBe('3600');
      expect(textOf(response, 'CapabilityRequest')).toBe('T');
      const wrong = here.phone('bob', { version, coding, password: 'no' });
      const refused = await wrong.login2();
      expect(codeOf(refused)).toBe(409);
      expect(child(refused, 'SessionID')).toBeUndefined();
      expect(child(refused, 'KeepAliveTime')).toBeUndefined();
    },
  );

  it.each(['MD5', 'SHA', 'MD4'])('by digest works with %s alone', async (schema) => {
    expect(codeOf(await here.phone('alice').login4([schema]))).toBe(200);
  });

  it('by digest takes a list with commas, and chooses MD5 first', async () => {
    const phone = here.phone('alice', { version: '1.1' });
    const challenge = await phone.request(phone.loginElement(element('DigestSchema', 'PWD,SHA,MD4,MD5,MD6')));
    expect(codeOf(challenge)).toBe(401);
    expect(textOf(challenge, 'DigestSchema')).toBe('MD5');
    expect(child(challenge, 'SessionID')).toBeUndefined();
  });

  it('is answered 543 when no schema is common, as with PWD and MD6', async () => {
    const phone = here.phone('alice');
    const offers = ['PWD', 'MD6'].map((schema) => element('DigestSchema', schema));
    expect(await phone.code(phone.loginElement(...offers))).toBe(543);
  });

  it('never gives the same nonce twice, and a nonce serves once', async () => {
    const phone = here.phone('alice');
    const nonce = async (id: string): Promise<string> =>
      textOf(await phone.request(phone.loginElement(element('DigestSchema', 'MD5')), id), 'Nonce') ?? '';
    const first = await nonce('1');
    expect(await nonce('2')).not.toBe(first);
    const stale = element('DigestBytes', digestOf('MD5', first, 'wrong'));
    expect(await phone.code(phone.loginElement(stale), '1')).toBe(409);
    const right = element('DigestBytes', digestOf('MD5', first, 'alice-secret'));
    expect(await phone.code(phone.loginElement(right), '1')).toBe(401);
  });

  it('forgets a nonce after its lifetime', async () => {
    const phone = here.phone('alice');
    const challenge = await phone.request(phone.loginElement(element('DigestSchema', 'MD5')), '1');
    here.clock.advance(120_000);
    const digest = digestOf('MD5', textOf(challenge, 'Nonce') ?? '', 'alice-secret');
    expect(await phone.code(phone.loginElement(element('DigestBytes', digest)), '1')).toBe(401);
  });

  it('takes a digest only under the Transaction-ID of its challenge', async () => {
    const phone = here.phone('alice');
    const challenge = await phone.request(phone.loginElement(element('DigestSchema', 'MD5')), 'one');
    const digest = digestOf('MD5', textOf(challenge, 'Nonce') ?? '', 'alice-secret');
    expect(await phone.code(phone.loginElement(element('DigestBytes', digest)), 'two')).toBe(401);
    expect(await phone.code(phone.loginElement(element('DigestBytes', digest)), 'one')).toBe(200);
  });

  it('takes a password outside US-ASCII in UTF-8 and in ISO-8859-1', async () => {
    await here.server.users.create({ user: userId('dora'), password: 'grün', state: 'active', createdAt: 0 });
    for (const encoding of ['utf8', 'latin1'] as const) {
      const phone = here.phone('dora', { clientId: `wv:${encoding}` });
      const challenge = await phone.request(phone.loginElement(element('DigestSchema', 'SHA')), '1');
      const digest = digestOf('SHA', textOf(challenge, 'Nonce') ?? '', 'grün', encoding);
      expect(await phone.code(phone.loginElement(element('DigestBytes', digest)), '1')).toBe(200);
    }
  });

  it('of a user who is barred while it runs starts nothing: 403', async () => {
    await here.close();
    /** Who bars alice comes after her login looked whether she is barred. */
    class Barring extends LocalUsers {
      override async find(user: UserId): Promise<UserRecord | undefined> {
        const found = await super.find(user);
        if (user === userId('alice')) await this.change(user, (one) => ({ ...one, state: 'barred' }));
        return found;
      }
    }
    const store = new MemoryStore();
    here = await worldOn(store, new VirtualClock(), {}, { users: new Barring(store) });
    const phone = here.phone('alice');
    const response = await phone.login2();
    expect([codeOf(response), child(response, 'SessionID')]).toEqual([403, undefined]);
    const sessions = [];
    for await (const session of here.server.sessions()) sessions.push(session);
    expect(sessions).toEqual([]);
    // nor does its repeat
    expect(await phone.code(phone.loginElement(element('Password', 'alice-secret')), '1')).toBe(403);
  });

  it('of an unknown user is 531, of a barred one 403', async () => {
    expect(codeOf(await here.phone('nobody').login2())).toBe(531);
    await here.server.users.create({ user: userId('mallory'), password: 'x', state: 'barred', createdAt: 0 });
    expect(codeOf(await here.phone('mallory', { password: 'x' }).login2())).toBe(403);
  });

  it('by digest that nobody asked for is challenged once, and 409 from then on', async () => {
    const phone = here.phone('alice');
    const stray = (id: string): Promise<number> =>
      phone.code(phone.loginElement(element('DigestBytes', digestOf('MD5', 'stale', 'alice-secret'))), id);
    const codes: number[] = [];
    for (let id = 1; id <= 13; id++) codes.push(await stray(`s${id}`));
    expect(codes).toEqual([401, ...new Array<number>(10).fill(409), 503, 503]);
  });

  it('by digest may be late again once one was right', async () => {
    const phone = here.phone('alice');
    const stray = (id: string): Promise<number> =>
      phone.code(phone.loginElement(element('DigestBytes', digestOf('MD5', 'stale', 'alice-secret'))), id);
    expect(await stray('one')).toBe(401);
    expect(codeOf(await phone.login4())).toBe(200);
    await phone.request(element('Logout-Request'));
    expect([await stray('two'), await stray('three')]).toEqual([401, 409]);
  });

  it('finds its user without scheme, without domain and without regard to case', async () => {
    for (const [index, user] of ['alice', 'WV:Alice', 'alice@ims.test', 'wv:ALICE@IMS.TEST'].entries()) {
      const phone = here.phone('alice', { user, clientId: `wv:c${index}` });
      expect(codeOf(await phone.login2())).toBe(200);
    }
  });

  it('without ClientID or SessionCookie is 400, with a cookie over 50 characters 402', async () => {
    const phone = here.phone('alice');
    const { children } = phone.loginElement(element('Password', 'alice-secret'));
    const without = (name: string) =>
      element(
        'Login-Request',
        children.filter((part) => part.name !== name),
      );
    expect(await phone.code(without('ClientID'))).toBe(400);
    expect(await phone.code(without('SessionCookie'))).toBe(400);
    phone.cookie = 'c'.repeat(51);
    expect(codeOf(await phone.login2())).toBe(402);
  });

  it('after too many wrong passwords is put off for that user, and not for another', async () => {
    const guesser = here.phone('alice', { password: 'guess' });
    const guess = () => guesser.login2();
    for (let attempt = 0; attempt < 10; attempt++) expect(codeOf(await guess())).toBe(409);
    expect(codeOf(await guess())).toBe(503);
    expect(codeOf(await here.phone('alice').login2())).toBe(503);
    expect(codeOf(await here.phone('bob').login2())).toBe(200);
    expect(here.trail.counts().get('imps.login-409')).toBe(10);
    expect(here.trail.counts().get('imps.login-guessing')).toBe(2);
    here.clock.advance(300_000);
    expect(codeOf(await here.phone('alice').login2())).toBe(200);
  });

  it('of two phones that guess at once gets no more attempts than in turn, and each phone its own', async () => {
    await here.close();
    here = await world({ trustedProxies: ['127.0.0.1'], login: { userFailureLimit: 15 } });
    const home = { 'X-Forwarded-For': '192.0.2.9' };
    expect(codeOf(await here.phone('alice', { headers: home }).login2())).toBe(200);
    const guesses = (address: string, count: number): Promise<number[]> =>
      Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const headers = { 'X-Forwarded-For': address };
          const phone = here.phone('alice', { password: `guess ${index}`, headers });
          return codeOf(index % 2 === 0 ? await phone.login2() : await phone.login4());
        }),
      );
    const count = (codes: readonly number[], code: number): number =>
      codes.filter((each) => each === code).length;
    const first = await guesses('192.0.2.1', 30);
    expect(count(first, 409)).toBeLessThanOrEqual(10);
    expect(count(first, 409) + count(first, 503)).toBe(30);
    const second = await guesses('192.0.2.2', 30);
    expect(count(first, 409) + count(second, 409)).toBeLessThanOrEqual(15);
    expect(count(second, 409)).toBeGreaterThan(0);
    expect(here.trail.counts().get('imps.login-guessing')).toBe(count([...first, ...second], 503));
    // the user gets in where a phone of his was before, and nobody guesses from elsewhere
    const again = (headers: Record<string, string>) => here.phone('alice', { clientId: 'wv:b', headers });
    expect(codeOf(await again({ 'X-Forwarded-For': '192.0.2.3' }).login2())).toBe(503);
    expect(codeOf(await again(home).login2())).toBe(200);
  });

  it('negotiates in one step when Functions and CapabilityList are in the Login-Request of 1.3', async () => {
    const phone = here.phone('alice');
    const functions = element('Functions', element('WVCSPFeat', element('IMFeat')));
    const list = element(
      'CapabilityList',
      element('InitialDeliveryMethod', 'P'),
      element('ServerPollMin', 30),
    );
    const response = await phone.login2(functions, list);
    expect(codeOf(response)).toBe(200);
    expect(textOf(response, 'CapabilityRequest')).toBe('F');
    expect(textOf(child(response, 'AgreedCapabilityList'), 'ServerPollMin')).toBe('30');
    expect(await phone.code(element('GetList-Request'))).toBe(506);
    expect(await phone.code(message('hi', [userId('bob')]))).toBe(200);
  });

  it('that asks for services of which there is none is 606 and starts no session', async () => {
    const phone = here.phone('alice');
    const segments = element('FundamentalFeat', element('ServiceFunc', element('SGMNT')));
    const response = await phone.login2(element('Functions', element('WVCSPFeat', segments)));
    expect(codeOf(response)).toBe(606);
    expect(child(response, 'SessionID')).toBeUndefined();
  });

  it('leaves one event with a stable code for each decision', async () => {
    await here.phone('alice').login2();
    await here.phone('bob', { password: 'no' }).login2();
    expect(here.trail.recent({ code: 'imps.login-200' })[0]).toMatchObject({
      outcome: 'accepted',
      subject: userId('alice'),
    });
    expect(here.trail.recent({ code: 'imps.login-409' })[0]).toMatchObject({
      outcome: 'refused',
      subject: userId('bob'),
    });
    expect(JSON.stringify(here.trail.recent({ limit: 1000 }))).not.toContain('secret');
  });
});

describe('a login by policy', () => {
  it('with a password gets 401 and a nonce where the operator wants a digest, and then succeeds', async () => {
    await here.close();
    here = await world({ login: { requireDigest: true } });
    const phone = here.phone('alice');
    const id = phone.nextTransaction();
    const challenge = await phone.request(phone.loginElement(element('Password', 'alice-secret')), id);
    expect(codeOf(challenge)).toBe(401);
    const digest = digestOf('MD5', textOf(challenge, 'Nonce') ?? '', 'alice-secret');
    expect(await phone.code(phone.loginElement(element('DigestBytes', digest)), id)).toBe(200);
  });

  it('is let in by the number that a trusted proxy asserts, and by no header of anybody else', async () => {
    const headers = { 'X-Network-MSISDN': '46701234567' };
    const record = {
      user: userId('nina'),
      password: 'x',
      msisdn: '+46701234567',
      state: 'active',
      createdAt: 0,
    } as const;
    await here.server.users.create(record);
    const outsider = here.phone('nina', { headers });
    expect(await outsider.code(outsider.loginElement(element('DigestSchema', 'MD5')))).toBe(401);
    await here.close();
    here = await world({ trustedProxies: ['127.0.0.1'] });
    await here.server.users.create(record);
    const trusted = here.phone('nina', { headers });
    expect(await trusted.code(trusted.loginElement(element('DigestSchema', 'MD5')))).toBe(200);
  });

  it.each([
    ['x-network-msisdn', '46701234567', 200],
    ['X-Network-MSISDN', '+46701234567', 200],
    ['x-up-calling-line-id', '46701234567', 200],
    ['From', 'tel:+46701234567', 200],
    ['From', '46701234567@gateway.example', 200],
    ['From', 'nina@example.net', 401],
    ['x-network-msisdn', '0046', 401],
    ['MSISDN', '46701234567', 401],
    ['x-network-msisdn', '46709999999', 401],
  ])('with %s: %s of a trusted proxy is %i', async (header, value, code) => {
    await here.close();
    here = await world({ trustedProxies: ['127.0.0.1'] });
    await here.server.users.create({
      user: userId('nina'),
      password: 'x',
      msisdn: '+46701234567',
      state: 'active',
      createdAt: 0,
    });
    const phone = here.phone('nina', { headers: { [header]: value } });
    expect(await phone.code(phone.loginElement(element('DigestSchema', 'MD5')))).toBe(code);
  });

  it('with the asserted number of somebody else is not let in as the one it names', async () => {
    await here.close();
    here = await world({ trustedProxies: ['127.0.0.1'] });
    await here.server.users.change(userId('bob'), (record) => ({ ...record, msisdn: '+46701234567' }));
    const phone = here.phone('alice', { headers: { 'X-Network-MSISDN': '46701234567' } });
    expect(await phone.code(phone.loginElement(element('DigestSchema', 'MD5')))).toBe(401);
  });
});
