import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/log.js';
import { login } from '../../../src/imps/access/login.js';
import { xmlCoding } from '../../../src/imps/codec/coding.js';
import { child, element, textOf } from '../../../src/imps/codec/element.js';
import { createContext } from '../../../src/imps/create-context.js';
import { codeOf, message, serviceRequest } from '../tools/phone.js';
import { userId, world, worldOn, type World } from '../tools/world.js';

let here: World;
beforeEach(async () => {
  here = await world({ login: { sessionsPerUser: 3 } });
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const alive = async (phone: ReturnType<World['phone']>): Promise<boolean> =>
  codeOf(await phone.request(element('KeepAlive-Request'))) === 200;

describe('several sessions of a user (document 001)', () => {
  it('GEN-11, GEN-14: a ClientID that is not in use gets a session beside the others', async () => {
    const phones = ['wv:a', 'wv:b', 'wv:c'].map((clientId) => here.phone('alice', { clientId }));
    for (const phone of phones) expect(codeOf(await phone.login2())).toBe(200);
    expect(new Set(phones.map(({ sessionId }) => sessionId)).size).toBe(3);
  });

  it('GEN-12: the same ClientID with another ApplicationID is another session', async () => {
    const one = here.phone('alice', { applicationId: 'chess' });
    const other = here.phone('alice', { applicationId: 'chat' });
    expect([codeOf(await one.login2()), codeOf(await other.login2())]).toEqual([200, 200]);
  });

  it('GEN-13: a ClientID in use is refused with 603, and free again after logout', async () => {
    const first = await here.phone('alice').start();
    const second = here.phone('alice');
    second.cookie = 'another';
    const refused = await second.login2();
    expect(codeOf(refused)).toBe(603);
    expect(child(refused, 'SessionID')).toBeUndefined();
    await first.request(element('Logout-Request'));
    expect(codeOf(await second.login2())).toBe(200);
  });

  it('GEN-13 holds for one user: the same ClientID of another user is free', async () => {
    await here.phone('alice').start();
    expect(codeOf(await here.phone('bob').login2())).toBe(200);
  });

  it('GEN-15: neither a new session nor a refused one ends the others', async () => {
    const first = await here.phone('alice', { clientId: 'wv:a' }).start();
    await here.phone('alice', { clientId: 'wv:b' }).start();
    const twin = here.phone('alice', { clientId: 'wv:a' });
    twin.cookie = 'twin';
    await twin.login2();
    expect(await alive(first)).toBe(true);
  });

  it('GEN-16: one session over the limit is refused with the time to try again, and nothing else changes', async () => {
    const phones = ['wv:a', 'wv:b', 'wv:c'].map((clientId) => here.phone('alice', { clientId }));
    for (const phone of phones) await phone.login2();
    const refused = await here.phone('alice', { clientId: 'wv:d' }).login2();
    expect(codeOf(refused)).toBe(403);
    expect(textOf(child(refused, 'Result'), 'TryAgainTimeout')).toBe('3600');
    for (const phone of phones) expect(await alive(phone)).toBe(true);
    const before13 = await here.phone('alice', { clientId: 'wv:d', version: '1.2' }).login2();
    expect(child(child(before13, 'Result'), 'TryAgainTimeout')).toBeUndefined();
  });

  it('tells the limit in the agreed capabilities of 1.3', async () => {
    const phone = here.phone('alice');
    await phone.login2();
    const agreed = child(await phone.negotiate(), 'AgreedCapabilityList');
    expect(textOf(agreed, 'UserSessionLimit')).toBe('3');
  });

  it('GEN-13, GEN-14 hold for a phone of CSP 1.1 and of 1.2 in XML too: a second Client-ID beside, the same refused', async () => {
    for (const version of ['1.1', '1.2'] as const) {
      const options = { version, coding: xmlCoding };
      const first = await here.phone('bob', { ...options, clientId: `wv:${version}a` }).start();
      await here.phone('bob', { ...options, clientId: `wv:${version}b` }).start();
      const twin = here.phone('bob', { ...options, clientId: `wv:${version}a` });
      twin.cookie = 'twin';
      expect(codeOf(await twin.login2())).toBe(603);
      expect(await alive(first)).toBe(true);
      for await (const { id } of here.server.sessions(userId('bob'))) await here.server.disconnect(id);
    }
  });

  it('two logins of one ClientID at the same instant make one session', async () => {
    const phones = ['c1', 'c2', 'c3'].map((cookie) => {
      const phone = here.phone('alice');
      phone.cookie = cookie;
      return phone;
    });
    const codes = await Promise.all(phones.map(async (phone) => codeOf(await phone.login2())));
    expect(codes.sort()).toEqual([200, 603, 603]);
  });

  it('a silent session gives way to its own client only where the operator says so', async () => {
    await here.close();
    here = await world({ login: { replaceSilentAfter: 60 } });
    await here.phone('alice').start();
    const again = here.phone('alice');
    again.cookie = 'after-power-loss';
    here.clock.advance(59_000);
    expect(codeOf(await again.login2())).toBe(603);
    here.clock.advance(2_000);
    expect(codeOf(await again.login2())).toBe(200);
  });

  it('a repeated Login-Request is answered with the same session', async () => {
    const phone = here.phone('alice');
    const request = phone.loginElement(element('Password', 'alice-secret'));
    const first = await phone.request(request, '1');
    expect(await phone.request(request, '1')).toEqual(first);
  });
});

describe('re-establishing a session', () => {
  const again = (phone: ReturnType<World['phone']>, id: string | undefined) =>
    phone.login2(element('SessionID', id ?? ''));

  it('gives user and client their session back with what was agreed', async () => {
    const phone = await here.phone('alice').start();
    const id = phone.sessionId;
    const back = here.phone('alice');
    const response = await again(back, id);
    expect(codeOf(response)).toBe(200);
    expect(textOf(response, 'SessionID')).toBe(id);
    expect(textOf(response, 'CapabilityRequest')).toBe('F');
  });

  it('agrees anew on what a short login of 1.3 brings, and keeps the rest', async () => {
    const phone = await here.phone('alice').start(element('MultiTransPerMessage', 3));
    const back = here.phone('alice');
    const response = await back.login2(
      element('SessionID', phone.sessionId ?? ''),
      element('Functions', element('WVCSPFeat', element('PresenceFeat'))),
      element('CapabilityList', element('InitialDeliveryMethod', 'N'), element('ServerPollMin', 40)),
    );
    expect(textOf(response, 'SessionID')).toBe(phone.sessionId);
    const list = child(response, 'AgreedCapabilityList');
    expect([textOf(list, 'ServerPollMin'), textOf(list, 'MultiTransPerMessage')]).toEqual(['40', '3']);
    expect(await back.code(message('no more', [userId('bob')]))).toBe(506);
    expect((await back.request(element('GetList-Request'))).name).toBe('GetList-Response');
    const none = await again(here.phone('alice'), phone.sessionId);
    expect(child(none, 'AgreedCapabilityList')).toBeUndefined();
    expect(await back.code(message('still none', [userId('bob')]))).toBe(506);
  });

  it('keeps what waits, and does not count as a new session', async () => {
    const phone = await here.phone('alice').start();
    const bob = await here.phone('bob').start();
    await bob.request(message('while you were away', [userId('alice')]));
    const back = here.phone('alice');
    await again(back, phone.sessionId);
    expect(await back.messages()).toEqual(['while you were away']);
  });

  it('takes the Session-ID from the descriptor too, as clients in the field put it', async () => {
    const phone = await here.phone('alice').start();
    const response = await phone.request(phone.loginElement(element('Password', 'alice-secret')));
    expect(textOf(response, 'SessionID')).toBe(phone.sessionId);
  });

  it('is 422 when the session is of another application of the client', async () => {
    const phone = await here.phone('alice', { applicationId: 'chess' }).start();
    expect(codeOf(await again(here.phone('alice', { applicationId: 'chat' }), phone.sessionId))).toBe(422);
    expect(codeOf(await again(here.phone('alice'), phone.sessionId))).toBe(422);
    expect(codeOf(await again(here.phone('alice', { applicationId: 'chess' }), phone.sessionId))).toBe(200);
  });

  it('is 422 when the session is of another user or another client', async () => {
    const phone = await here.phone('alice').start();
    expect(codeOf(await again(here.phone('bob'), phone.sessionId))).toBe(422);
    expect(codeOf(await again(here.phone('alice', { clientId: 'wv:other' }), phone.sessionId))).toBe(422);
  });

  it('is 502 when the session is not known any more, and the client logs in afresh', async () => {
    const phone = here.phone('alice');
    expect(codeOf(await again(phone, 'gone'))).toBe(502);
    expect(codeOf(await phone.login2())).toBe(200);
  });
});

describe('the life of a session', () => {
  it('has the time that was asked for, within the bounds of the operator; without one, the longest', async () => {
    const time = async (clientId: string, timeToLive: number | undefined) =>
      textOf(await here.phone('alice', { clientId, timeToLive }).login2(), 'KeepAliveTime');
    expect(await time('wv:a', 600)).toBe('600');
    expect(await time('wv:b', 1)).toBe('60');
    expect(await time('wv:c', undefined)).toBe('7200');
  });

  it('ends without traffic when its time is over, and any transaction restarts the time', async () => {
    const phone = await here.phone('alice', { timeToLive: 600 }).start();
    await here.clock.advanceAsync(599_000, 1000);
    expect(await alive(phone)).toBe(true);
    await here.clock.advanceAsync(599_000, 1000);
    expect(await alive(phone)).toBe(true);
    await here.clock.advanceAsync(602_000, 1000);
    expect(codeOf(await phone.request(element('GetList-Request')))).toBe(600);
    expect(codeOf(await here.phone('alice').login2())).toBe(200);
  });

  it('goes on at a node that it had left and comes back to, and is nowhere begun a second time', async () => {
    const phone = await here.phone('alice', { timeToLive: 600 }).start();
    const there = await worldOn(here.store, here.clock);
    try {
      const elsewhere = there.phone('alice');
      elsewhere.sessionId = phone.sessionId;
      await here.clock.advanceAsync(30_000, 1000);
      expect(await alive(elsewhere)).toBe(true);
      await here.clock.advanceAsync(40_000, 1000);
      expect(await alive(elsewhere)).toBe(true);
      await here.clock.advanceAsync(580_000, 1000);
      const twin = here.phone('alice');
      twin.cookie = 'twin';
      expect(codeOf(await twin.login2())).toBe(603);
      expect(await alive(phone)).toBe(true);
      await here.clock.advanceAsync(590_000, 1000);
      expect(await alive(elsewhere)).toBe(true);
    } finally {
      await there.close();
    }
  });

  it('is changed by KeepAlive, which answers with the time when it is not the one asked', async () => {
    const phone = await here.phone('alice').start();
    const keepAlive = (seconds: number) =>
      phone.request(element('KeepAlive-Request', element('TimeToLive', seconds)));
    const same = await keepAlive(1200);
    expect([codeOf(same), textOf(same, 'KeepAliveTime')]).toEqual([200, undefined]);
    expect(textOf(await keepAlive(100_000), 'KeepAliveTime')).toBe('7200');
    expect(codeOf(await keepAlive(0))).toBe(605);
  });

  it.each([
    ['1.1', 'Disconnect'],
    ['1.2', 'Status'],
    ['1.3', 'Status'],
  ] as const)('ends with logout, which CSP %s answers with %s', async (version, name) => {
    const phone = await here.phone('alice', { version }).start();
    const id = phone.sessionId;
    const answer = await phone.request(element('Logout-Request'));
    expect([answer.name, codeOf(answer)]).toEqual([name, 200]);
    phone.sessionId = id;
    expect(codeOf(await phone.request(element('GetList-Request')))).toBe(604);
  });

  it('ended by the server: the next poll brings a Disconnect with 601 once, any other request that status', async () => {
    const phone = await here.phone('alice').start();
    const other = await here.phone('alice', { clientId: 'wv:b' }).start();
    expect(await here.server.disconnect(phone.sessionId ?? '')).toBe(true);
    const [disconnect] = await phone.poll();
    expect([disconnect?.mode, disconnect?.primitive?.name, codeOf(disconnect!.primitive!)]).toEqual([
      'Request',
      'Disconnect',
      601,
    ]);
    expect(codeOf(await phone.request(element('GetList-Request')))).toBe(601);
    expect(await alive(other)).toBe(true);
  });

  it('survives a restart of the server, with what was agreed and what waits', async () => {
    const phone = await here.phone('alice').start();
    const bob = await here.phone('bob').start();
    await bob.request(message('before the restart', [userId('alice')]));
    here = await here.restart();
    const after = here.phone('alice');
    after.sessionId = phone.sessionId;
    expect(await after.messages()).toEqual(['before the restart']);
  });

  it('is told as 604 when it never was', async () => {
    const phone = here.phone('alice');
    phone.sessionId = 'made-up';
    for (const request of [element('GetList-Request'), serviceRequest, element('Logout-Request')]) {
      expect(codeOf(await phone.request(request))).toBe(604);
    }
  });

  it('is not begun while the server drains: 503 and no session, whatever the secret', async () => {
    const { store, clock, trail } = here;
    const context = createContext({ store, clock, trail, log: silentLogger }, [], () => true);
    const phone = here.phone('alice');
    const kept: unknown[] = [];
    const primitive = phone.loginElement(element('Password', 'alice-secret'));
    const origin = { remoteAddress: '127.0.0.1', msisdn: undefined };
    const arrival = { version: '1.3', transactionId: '1', sessionId: undefined, primitive, origin } as const;
    const answer = await login(context, arrival, async (reply) => void kept.push(reply));
    expect([answer.name, codeOf(answer)]).toEqual(['Login-Response', 503]);
    expect(child(answer, 'SessionID')).toBeUndefined();
    expect(kept).toEqual([]);
    expect(codeOf(await phone.login2())).toBe(200);
  });
});
