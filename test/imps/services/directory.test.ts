import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wbxmlCoding, xmlCoding } from '../../../src/imps/codec/coding.js';
import { child, childrenOf, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { groupCriteria, userCriteria } from '../../../src/imps/services/search-criteria.js';
import { codeOf, detailsOf, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
beforeEach(async () => {
  here = await world({ limits: { searchPage: 2 } });
  alice = await here.phone('alice').start();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const pair = (name: string, text: string): Element[] => [
  element('SearchElement', name),
  element('SearchString', text),
];
const search = (...pairs: readonly Element[][]): Element =>
  element(
    'Search-Request',
    pairs.map((one) => element('SearchPairList', one)),
    element('SearchLimit', 10),
  );
const hits = (answer: Element): string[] => {
  const result = child(answer, 'SearchResult');
  const users = childrenOf(child(result, 'UserList'), 'User').map((user) => textOf(user, 'UserID') ?? '');
  return [...users, ...childrenOf(child(result, 'GroupList'), 'GroupID').map(({ text }) => text)];
};
const profile = (phone: Phone, given: Readonly<Record<string, string>>, clear = false): Promise<number> =>
  phone.code(
    element(
      'UpdatePublicProfile-Request',
      element('ClearPublicProfile', clear),
      element(
        'PublicProfile',
        Object.entries(given).map(([name, value]) =>
          element('Property', element('Name', name), element('Value', value)),
        ),
      ),
    ),
  );

describe('search', () => {
  it('gives findings page by page, counted from 1, until the flag says that it is complete', async () => {
    const first = await alice.request(search(pair('USER_ID', 'ims.test')));
    expect(textOf(first, 'SearchFindings')).toBe('3');
    expect([hits(first), textOf(first, 'CompletionFlag'), textOf(first, 'SearchIndex')]).toEqual([
      [userId('alice'), userId('bob')],
      'F',
      '3',
    ]);
    const id = element('SearchID', textOf(first, 'SearchID') ?? '');
    const next = (index: number): Element => element('Search-Request', id, element('SearchIndex', index));
    const second = await alice.request(next(3));
    expect([hits(second), textOf(second, 'CompletionFlag'), child(second, 'SearchIndex')]).toEqual([
      [userId('carol')],
      'T',
      undefined,
    ]);
    expect(await alice.code(next(4))).toBe(425);
    expect(await alice.code(element('StopSearch-Request', id))).toBe(200);
    expect(await alice.code(next(1))).toBe(424);
    expect(await alice.code(element('StopSearch-Request', id))).toBe(424);
  });

  it('is of one session: another does not get its findings', async () => {
    const first = await alice.request(search(pair('USER_ID', 'ims')));
    const bob = await here.phone('bob').start();
    const stolen = element(
      'Search-Request',
      element('SearchID', textOf(first, 'SearchID') ?? ''),
      element('SearchIndex', 1),
    );
    expect(await bob.code(stolen)).toBe(424);
  });

  it('finds users by every property, and all criteria must hold', async () => {
    await here.server.users.create({
      user: userId('dora'),
      password: 'x',
      msisdn: '+46 70 123',
      friendlyName: 'Dora the Great',
      details: { firstName: 'Dora', lastName: 'Lind', email: 'dora@example.net' },
      state: 'active',
      createdAt: 0,
    });
    const dora = await here.phone('dora', { password: 'x' }).start();
    await profile(dora, {
      PP_CITY: 'Lund',
      PP_COUNTRY: 'Sweden',
      PP_AGE: '33',
      PP_GENDER: 'F',
      PP_INTERESTS: 'chess, tea',
      PP_INTENTION: 'Friendship',
      PP_MARITAL_STATUS: 'Single',
    });
    const alias = element('Alias', element('Qualifier', true), element('PresenceValue', 'Dorrie'));
    await dora.request(element('UpdatePresence-Request', element('PresenceSubList', alias)));
    for (const phone of [dora, await here.phone('bob').start()])
      await phone.request(
        element(
          'CreateAttributeList-Request',
          element('PresenceSubList', element('Alias'), element('OnlineStatus')),
          element('DefaultList', true),
        ),
      );
    const found = async (...pairs: readonly Element[][]): Promise<string[]> =>
      hits(await alice.request(search(...pairs)));
    const cases: [string, string][] = [
      ['USER_ID', 'wv:dora'],
      ['USER_ALIAS', 'dorrie'],
      ['USER_FIRST_NAME', 'dora'],
      ['USER_LAST_NAME', 'LIN'],
      ['USER_EMAIL_ADDRESS', 'dora@example.net'],
      ['USER_MOBILE_NUMBER', '4670123'],
      ['USER_FRIENDLY_NAME', 'great'],
      ['USER_CITY', 'lund'],
      ['USER_COUNTRY', 'sweden'],
      ['USER_GENDER', 'f'],
      ['USER_INTERESTS_HOBBIES', 'tea'],
      ['USER_INTENTION', 'friend'],
      ['USER_MARITAL_STATUS', 'single'],
      ['USER_AGE_MIN', '30'],
      ['USER_AGE_MAX', '40'],
    ];
    for (const [name, text] of cases) expect(await found(pair(name, text)), name).toEqual([userId('dora')]);
    expect(await found(pair('USER_CITY', 'lund'), pair('USER_AGE_MIN', '34'))).toEqual([]);
    expect(await found([...pair('USER_CITY', 'lund'), ...pair('USER_AGE_MIN', '33')])).toEqual([
      userId('dora'),
    ]);
    expect(await found([element('SearchPair', pair('USER_CITY', 'lund'))])).toEqual([userId('dora')]);
    // carol shows nothing of her presence to alice
    expect(await found(pair('USER_ONLINE_STATUS', 'T'))).toEqual([userId('alice'), userId('bob')]);
    expect(await found(pair('USER_ONLINE_STATUS', 'F'))).toEqual([]);
    await dora.request(
      element(
        'CreateAttributeList-Request',
        element('PresenceSubList', element('OnlineStatus')),
        element('DefaultList', true),
      ),
    );
    expect(await found(pair('USER_ALIAS', 'dorrie'))).toEqual([]);
    expect([...cases.map(([name]) => name), 'USER_ONLINE_STATUS'].sort()).toEqual([...userCriteria].sort());
  });

  it('finds groups by their properties, and none that does not want to be found', async () => {
    const make = (name: string, searchable: string): Promise<number> =>
      alice.code(
        element(
          'CreateGroup-Request',
          element('GroupID', `wv:alice/${name}`),
          element(
            'GroupProperties',
            ['Name', 'Topic'].map((key) =>
              element('Property', element('Name', key), element('Value', `${name} club`)),
            ),
            element('Property', element('Name', 'Searchable'), element('Value', searchable)),
          ),
          element('OwnProperties', element('Property', element('Name', 'AutoJoin'), element('Value', 'T'))),
          element('JoinGroup', true),
        ),
      );
    await make('chess', 'T');
    await make('secret', 'F');
    const cases = [
      ['GROUP_ID', 'chess', 'checkers'],
      ['GROUP_NAME', 'club', 'society'],
      ['GROUP_TOPIC', 'chess', 'checkers'],
      ['GROUP_USER_ID_OWNER', 'wv:alice', 'wv:bob'],
      ['GROUP_USER_ID_JOINED', 'alice@ims.test', 'bob'],
      ['GROUP_USER_ID_AUTOJOIN', 'alice', 'bob'],
    ] as const;
    for (const [name, text, other] of cases) {
      expect(hits(await alice.request(search(pair(name, text)))), name).toEqual(['wv:alice/chess@ims.test']);
      expect(hits(await alice.request(search(pair(name, other)))), name).toEqual([]);
    }
    expect(cases.map(([name]) => name).sort()).toEqual([...groupCriteria].sort());
    const both = search(pair('GROUP_ID', 'chess'), pair('GROUP_USER_ID_JOINED', 'bob'));
    expect(hits(await alice.request(both))).toEqual([]);
  });

  it('of groups is given page by page too, in every version', async () => {
    for (const name of ['a', 'b', 'c'])
      await alice.request(
        element('CreateGroup-Request', element('GroupID', `wv:alice/${name}`), element('GroupProperties')),
      );
    for (const version of ['1.1', '1.2', '1.3'] as const) {
      const phone = await here.phone('bob', { version, clientId: `wv:${version}` }).start();
      const first = await phone.request(search(pair('GROUP_ID', 'alice')));
      expect([hits(first).length, textOf(first, 'SearchFindings'), textOf(first, 'SearchIndex')]).toEqual([
        2,
        '3',
        '3',
      ]);
      const rest = element(
        'Search-Request',
        element('SearchID', textOf(first, 'SearchID') ?? ''),
        element('SearchIndex', 3),
      );
      const second = await phone.request(rest);
      expect([hits(second), textOf(second, 'CompletionFlag')]).toEqual([['wv:alice/c@ims.test'], 'T']);
    }
  });

  it('is forgotten after an hour', async () => {
    const first = await alice.request(search(pair('USER_ID', 'ims')));
    const next = element(
      'Search-Request',
      element('SearchID', textOf(first, 'SearchID') ?? ''),
      element('SearchIndex', 3),
    );
    here.clock.advance(3_500_000);
    expect((await alice.request(next)).name).toBe('Search-Response');
    await here.clock.advanceAsync(102_000, 1000);
    expect(await alice.code(next)).toBe(424);
  });

  it('without criteria, with unknown ones or with users and groups mixed is 562, advanced 405', async () => {
    expect(await alice.code(search())).toBe(562);
    expect(await alice.code(search(pair('SHOE_SIZE', '42')))).toBe(562);
    expect(await alice.code(search(pair('USER_ID', 'a'), pair('GROUP_ID', 'a')))).toBe(562);
    expect(await alice.code(element('Search-Request', element('AdvancedCriteria', '1 OR 2')))).toBe(405);
  });

  it('shows friendly names to phones of 1.3 alone', async () => {
    await profile(alice, { PP_FRIENDLY_NAME: 'Al' });
    const friendly = async (phone: Phone): Promise<string | undefined> => {
      const answer = await phone.request(search(pair('USER_ID', 'alice')));
      return textOf(child(child(child(answer, 'SearchResult'), 'UserList'), 'User'), 'FriendlyName');
    };
    expect(await friendly(alice)).toBe('Al');
    expect(await friendly(await here.phone('bob', { version: '1.2' }).start())).toBeUndefined();
  });
});

describe('a public profile', () => {
  it('is changed by its owner and seen by everybody', async () => {
    await profile(alice, { PP_CITY: 'Lund', PP_AGE: '33' });
    await profile(alice, { PP_CITY: '', PP_FREE_TEXT: 'hi' });
    const bob = await here.phone('bob').start();
    const answer = await bob.request(element('GetPublicProfile-Request', element('UserID', userId('alice'))));
    const values = childrenOf(child(answer, 'PublicProfile'), 'Property').map(
      (one) => `${textOf(one, 'Name')}=${textOf(one, 'Value')}`,
    );
    expect(values).toEqual(['PP_AGE=33', 'PP_FREE_TEXT=hi']);
    await profile(alice, { PP_GENDER: 'F' }, true);
    const after = await bob.request(
      element('GetPublicProfile-Request', element('UserIDList', element('UserID', userId('alice')))),
    );
    expect(childrenOf(child(after, 'PublicProfile'), 'Property')).toHaveLength(1);
  });

  it('has every property that there is, letter for letter, in both codings', async () => {
    const given = {
      PP_AGE: '33',
      PP_CITY: 'Luleå',
      PP_COUNTRY: 'SE',
      PP_FRIENDLY_NAME: 'Ally & Co',
      PP_FREE_TEXT: '<hi> \u{1f600}',
      PP_GENDER: 'F',
      PP_INTENTION: 'Friendship',
      PP_INTERESTS: 'chess, tea',
      PP_MARITAL_STATUS: 'Single',
    };
    expect(await profile(alice, given)).toBe(200);
    for (const coding of [xmlCoding, wbxmlCoding]) {
      const phone = await here.phone('bob', { coding, clientId: `wv:${coding.contentType}` }).start();
      const answer = await phone.request(
        element('GetPublicProfile-Request', element('UserID', userId('alice'))),
      );
      const shown = childrenOf(child(answer, 'PublicProfile'), 'Property').map((one) => [
        textOf(one, 'Name'),
        textOf(one, 'Value'),
      ]);
      expect(Object.fromEntries(shown)).toEqual(given);
    }
  });

  it('with an unknown property or an age that is none is 702, of an unknown user 531', async () => {
    expect(await profile(alice, { PP_SHOE: '42' })).toBe(702);
    expect(await profile(alice, { PP_AGE: 'old' })).toBe(702);
    const answer = await alice.request(
      element('GetPublicProfile-Request', element('UserID', userId('nobody'))),
    );
    expect(detailsOf(answer)).toEqual(['531 wv:nobody@ims.test']);
  });
});

describe('VerifyID', () => {
  it('is 200 when every identifier is good, and else 201 with a code for each kind', async () => {
    const good = element('IDList', element('UserID', 'alice'), element('Domain', 'IMS.test'));
    expect(await alice.code(element('VerifyID-Request', good))).toBe(200);
    const bad = element(
      'IDList',
      element('UserID', userId('nobody')),
      element('ContactList', 'wv:alice/none'),
      element('GroupID', 'wv:alice/none'),
      element('ScreenName', element('SName', 'x'), element('GroupID', 'wv:alice/none')),
      element('Domain', 'elsewhere.test'),
    );
    const answer = await alice.request(element('VerifyID-Request', bad));
    expect([codeOf(answer), detailsOf(answer)]).toEqual([
      201,
      ['531 wv:nobody@ims.test', '700 wv:alice/none', '800 wv:alice/none ', '404 elsewhere.test'],
    ]);
    expect(await alice.code(element('VerifyID-Request'))).toBe(400);
  });
});

describe('GetMap', () => {
  const location = element(
    'GeoLocation',
    element('Qualifier', true),
    element('Longitude', '13.19'),
    element('Latitude', '55.70'),
  );

  it('gives the address of a map of a position', async () => {
    const answer = await alice.request(element('GetMap-Request', element('PresenceSubList', location)));
    expect(textOf(answer, 'URL')).toBe('geo:55.70,13.19');
    expect(await alice.code(element('GetMap-Request'))).toBe(404);
    const nowhere = element('GeoLocation', element('Latitude', 'x'), element('Longitude', '1'));
    expect(await alice.code(element('GetMap-Request', element('PresenceSubList', nowhere)))).toBe(402);
  });

  it('of a user is for those who may see where he is: 534', async () => {
    const bob = await here.phone('bob').start();
    await bob.request(element('UpdatePresence-Request', element('PresenceSubList', location)));
    const request = element('GetMap-Request', element('UserID', userId('bob')));
    expect(await alice.code(request)).toBe(534);
    await bob.request(
      element(
        'CreateAttributeList-Request',
        element('PresenceSubList', element('GeoLocation')),
        element('DefaultList', true),
      ),
    );
    expect(textOf(await alice.request(request), 'URL')).toBe('geo:55.70,13.19');
    expect(await alice.code(element('GetMap-Request', element('UserID', userId('nobody'))))).toBe(531);
  });
});

describe('a system message', () => {
  const ask = (options: { key?: string } = {}) =>
    here.server.sendSystemMessage(userId('alice'), {
      text: 'Type the word and choose.',
      options: ['Continue', 'Stop'],
      requiresResponse: true,
      verificationKey: options.key,
    });
  const answer = (id: string, option: number, key?: string): Element =>
    element(
      'SystemMessage-User',
      element(
        'SystemMessageResponseList',
        element(
          'SystemMessageResponse',
          element('SystemMessageID', id),
          element('ChosenOptionID', option),
          key === undefined ? undefined : element('VerificationKey', key),
        ),
      ),
    );

  it('is sent to the phones of 1.3 and answered by SystemMessage-User', async () => {
    const id = await ask();
    const [got] = await alice.drain();
    const asked = child(child(got, 'SystemMessageList'), 'SystemMessage');
    expect([got?.name, textOf(asked, 'SystemMessageID'), textOf(asked, 'RequiresResponse')]).toEqual([
      'SystemMessage-Request',
      id,
      'T',
    ]);
    expect(await alice.code(answer(id, 1))).toBe(200);
    expect(await alice.code(answer(id, 1), 'again')).toBe(404);
    expect(here.trail.recent({ code: 'imps.system-message-answered' })[0]?.detail).toBe('option 1');
  });

  it('is 402 for an option that is none and for a wrong key, and then still open', async () => {
    const id = await ask({ key: 'maple' });
    expect(await alice.code(answer(id, 3, 'maple'))).toBe(402);
    expect(await alice.code(answer(id, 1, 'oak'))).toBe(402);
    expect(await alice.code(answer(id, 1, 'maple'))).toBe(200);
  });

  it('without an answer comes again at the next login', async () => {
    await ask();
    await alice.drain();
    await alice.request(element('Logout-Request'));
    expect((await (await here.phone('alice').start()).drain()).map(({ name }) => name)).toEqual([
      'SystemMessage-Request',
    ]);
  });

  it('that wants no answer is shown once, by whichever session, and by another where one ended before it was', async () => {
    const tell = () =>
      here.server.sendSystemMessage(userId('alice'), {
        text: 'Maintenance at noon.',
        options: [],
        requiresResponse: false,
      });
    const next = async (client: string) =>
      (await (await here.phone('alice', { clientId: `wv:${client}` }).start()).drain()).map(
        ({ name }) => name,
      );
    await tell();
    expect((await alice.drain()).map(({ name }) => name)).toEqual(['SystemMessage-Request']);
    expect(await next('second')).toEqual([]);
    await tell();
    await alice.poll();
    await alice.request(element('Logout-Request'));
    expect(await next('third')).toEqual(['SystemMessage-Request']);
    expect(await next('fourth')).toEqual([]);
  });

  it('does not go to phones before 1.3', async () => {
    const old = await here.phone('alice', { version: '1.2', clientId: 'wv:old' }).start();
    await ask();
    expect(await old.drain()).toEqual([]);
  });
});
