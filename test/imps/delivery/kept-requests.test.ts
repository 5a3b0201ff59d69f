import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { tokenTables } from '../../../src/imps/vocabulary/tables.js';
import { creating, group, joining } from '../tools/groups.js';
import { message, type Phone } from '../tools/phone.js';
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

const bobAs = (version: Phone['version']): Phone => here.phone('bob', { version, clientId: `wv:${version}` });
const logout = element('Logout-Request');
const recipient = element('Recipient', element('User', element('UserID', userId('bob'))));
const namesIn = (tree: Element): string[] => [tree.name, ...tree.children.flatMap(namesIn)];

const invitation = element(
  'Invite-Request',
  element('InviteID', 'i-1'),
  element('InviteType', 'PR'),
  recipient,
  element('ApplicationID', 'chess'),
  element('PresenceSubList', element('InfoLink'), element('ClientContentLimit'), element('Alias')),
  element('InviteNote', 'look'),
);

describe.each(['1.1', '1.2', '1.3'] as const)(
  'a request that waited for a user, at a phone of %s',
  (version) => {
    /** What bob's phone of this version is asked when it comes. */
    const asked = async (): Promise<Element> => {
      const seen = await (await bobAs(version).start()).drain();
      expect(seen).toHaveLength(1);
      const unknown = namesIn(seen[0]!).filter((name) => !tokenTables[version].tokens.has(name));
      expect(unknown).toEqual([]);
      return seen[0]!;
    };
    const is13 = version === '1.3';

    it('invites in the shape of its version', async () => {
      await alice.request(invitation);
      const request = await asked();
      expect(request.children.map(({ name }) => name)).toEqual(
        is13
          ? [
              'InviteID',
              'InviteType',
              'Sender',
              'Recipient',
              'ApplicationID',
              'PresenceSubList',
              'InviteNote',
            ]
          : ['InviteID', 'InviteType', 'Sender', 'PresenceSubList', 'InviteNote'],
      );
      const wanted = { '1.1': ['Alias'], '1.2': ['InfoLink', 'Alias'] }[String(version)];
      expect(child(request, 'PresenceSubList')?.children.map(({ name }) => name)).toEqual(
        wanted ?? ['InfoLink', 'ClientContentLimit', 'Alias'],
      );
    });

    it('takes an invitation back in the shape of its version', async () => {
      const early = await bobAs('1.3').start();
      await alice.request(invitation);
      await early.drain();
      await early.request(logout);
      await alice.request(element('CancelInvite-Request', element('InviteID', 'i-1'), recipient));
      const { name, children } = await asked();
      expect([name, ...children.map((part) => part.name)]).toEqual(
        ['CancelInviteUser-Request', 'InviteID', 'Sender', is13 ? 'Recipient' : ''].filter(Boolean),
      );
    });

    it('answers an invitation in the shape of its version', async () => {
      const early = await bobAs('1.3').start();
      await early.request(
        element(
          'Invite-Request',
          element('InviteID', 'i-2'),
          element('InviteType', 'IM'),
          element('Recipient', element('User', element('UserID', userId('alice')))),
        ),
      );
      await early.request(logout);
      await alice.drain();
      await alice.request(
        element(
          'InviteUser-Response',
          element('InviteID', 'i-2'),
          element('Acceptance', true),
          element('ResponseNote', 'gladly'),
        ),
      );
      const answer = await asked();
      expect(textOf(answer, is13 ? 'InviteNote' : 'ResponseNote')).toBe('gladly');
      expect(child(answer, 'Recipient') !== undefined).toBe(is13);
    });

    it('reports of a message in the shape of its version', async () => {
      const early = await bobAs('1.3').start();
      const font = element('Font', element('Size', 'Big'), element('Color', 'Red'));
      await early.request(
        message(
          'hello',
          [userId('alice')],
          element('DeliveryReport', true),
          element('ContentName', 'greeting'),
          font,
        ),
      );
      await early.request(logout);
      await alice.drain();
      const about = child(await asked(), 'MessageInfo');
      expect([textOf(about, 'ContentName'), child(about, 'Font') !== undefined]).toEqual(
        is13 ? ['greeting', true] : [undefined, false],
      );
    });
  },
);

describe('an authorization request that waited for a user', () => {
  it('is passed over by a phone of 1.3, which has none, and kept for an older one', async () => {
    await alice.request(
      element('SubscribePresence-Request', element('UserIDList', element('UserID', userId('bob')))),
    );
    const young = await bobAs('1.3').start();
    expect(await young.drain()).toEqual([]);
    const old = await bobAs('1.1').start();
    expect((await old.drain()).map(({ name }) => name)).toEqual(['PresenceAuth-Request']);
    await old.request(logout);
    expect(await (await bobAs('1.2').start()).drain()).toEqual([]);
  });
});

describe('a request for a user whose session ends before it answered', () => {
  const report = message('hello', [userId('carol')], element('DeliveryReport', true));
  const names = async (phone: Phone): Promise<string[]> => (await phone.drain()).map(({ name }) => name);

  /** Alice hears of a message that Carol got, in the session that sent it, and of an invitation, in each. */
  async function waits(sender: Phone): Promise<void> {
    const carol = await here.phone('carol').start();
    await sender.request(report);
    await carol.messages();
    await carol.request(
      element(
        'Invite-Request',
        element('InviteID', 'i-3'),
        element('InviteType', 'IM'),
        element('Recipient', element('User', element('UserID', userId('alice')))),
      ),
    );
  }

  it.each(['logout', 'silence'])('goes to another session of the user, once, after %s', async (end) => {
    const second = await here.phone('alice', { clientId: 'wv:second', timeToLive: 7000 }).start();
    await waits(alice);
    await alice.poll();
    if (end === 'logout') await alice.request(logout);
    else {
      here.clock.advance(3_599_000);
      await here.clock.advanceAsync(4000, 1000);
    }
    expect(await names(second)).toEqual(['DeliveryReport-Request', 'InviteUser-Request']);
    await second.request(logout);
    expect(await names(await here.phone('alice').start())).toEqual([]);
  });

  it('goes also to one that came after it', async () => {
    await waits(alice);
    here.clock.advance(1000);
    const late = await here.phone('alice', { clientId: 'wv:late', version: '1.2' }).start();
    expect(await names(late)).toEqual([]);
    await alice.request(logout);
    expect((await names(late)).sort()).toEqual(['DeliveryReport-Request', 'InviteUser-Request']);
  });

  it('waits for the next login where there is no other', async () => {
    await waits(alice);
    await alice.request(logout);
    const next = await here.phone('alice', { version: '1.1' }).start();
    expect((await names(next)).sort()).toEqual(['DeliveryReport-Request', 'InviteUser-Request']);
  });

  it('is not lost where no session of the user takes such requests', async () => {
    const narrow = here.phone('bob');
    await narrow.login2();
    const onlyMessages = element('Functions', element('WVCSPFeat', element('IMFeat')));
    await narrow.request(element('Service-Request', onlyMessages, element('AllFunctionsRequest', false)));
    await alice.request(invitation);
    expect(await narrow.drain()).toEqual([]);
    await narrow.request(logout);
    expect(await names(await here.phone('bob').start())).toEqual(['InviteUser-Request']);
  });
});

describe('a request for a user with a session that did not agree on its service', () => {
  const names = async (phone: Phone): Promise<string[]> => (await phone.drain()).map(({ name }) => name);
  const onlyMessages = element(
    'WVCSPFeat',
    element('IMFeat', element('IMReceiveFunc', element('NEWM'), element('NOTIF'))),
  );
  const narrowly = async (phone: Phone): Promise<Phone> => {
    await phone.login2();
    await phone.request(
      element('Service-Request', element('Functions', onlyMessages), element('AllFunctionsRequest', false)),
    );
    return phone;
  };
  const second = (): Phone => here.phone('bob', { clientId: 'wv:second' });
  const wantsReport = message('hello', [userId('carol')], element('DeliveryReport', true));

  it.each(['before the login', 'between login and negotiation'])(
    'that came %s waits for the next session that does',
    async (when) => {
      if (when === 'before the login') await alice.request(invitation);
      const narrow = here.phone('bob');
      await narrow.login2();
      if (when !== 'before the login') await alice.request(invitation);
      await narrow.request(
        element('Service-Request', element('Functions', onlyMessages), element('AllFunctionsRequest', false)),
      );
      expect(await names(narrow)).toEqual([]);
      expect(await names(await second().start())).toEqual(['InviteUser-Request']);
      expect(await names(narrow)).toEqual([]);
    },
  );

  it('waits for it in a short login too', async () => {
    await alice.request(invitation);
    const narrow = here.phone('bob');
    await narrow.login2(element('Functions', onlyMessages));
    expect(await names(narrow)).toEqual([]);
    const wide = second();
    await wide.login2(element('Functions', element('WVCSPFeat', element('FundamentalFeat'))));
    expect(await names(wide)).toEqual(['InviteUser-Request']);
  });

  it('goes to the session that did, though another is older', async () => {
    const narrow = await narrowly(here.phone('bob'));
    const wide = await second().start();
    const sender = await here.phone('bob', { clientId: 'wv:third' }).start();
    await sender.request(wantsReport);
    await sender.request(logout);
    await (await here.phone('carol').start()).messages();
    expect(await names(narrow)).toEqual([]);
    expect(await names(wide)).toEqual(['DeliveryReport-Request']);
  });

  it('goes past it when a session ends that had it', async () => {
    const narrow = await narrowly(here.phone('bob'));
    const wide = await second().start();
    await alice.request(invitation);
    await wide.request(logout);
    expect(await names(narrow)).toEqual([]);
    expect(await names(await second().start())).toEqual(['InviteUser-Request']);
  });

  it('goes to it once it agrees after all', async () => {
    const narrow = await narrowly(here.phone('bob'));
    await alice.request(invitation);
    expect(await names(narrow)).toEqual([]);
    await narrow.negotiate();
    expect(await names(narrow)).toEqual(['InviteUser-Request']);
  });

  it('is refused with 507 when a hundred of its kind wait', async () => {
    const invite = (id: number): Promise<number> =>
      alice.code(
        element('Invite-Request', element('InviteID', `many-${id}`), element('InviteType', 'IM'), recipient),
      );
    for (let id = 0; id < 100; id++) expect(await invite(id)).toBe(200);
    expect(await invite(100)).toBe(900);
    expect(here.trail.recent({ code: 'imps.kept-requests-full' })).toHaveLength(1);
    expect(await names(await here.phone('bob').start())).toHaveLength(100);
    expect(await invite(101)).toBe(200);
  });
});

describe('a message given to a session that then leaves instant messages out', () => {
  const services = (...features: readonly string[]): Element =>
    element(
      'Service-Request',
      element(
        'Functions',
        element(
          'WVCSPFeat',
          features.map((feature) => element(feature)),
        ),
      ),
    );

  it('goes to another session of its user', async () => {
    const bob = await here.phone('bob').start();
    here.clock.advance(1000);
    const watch = here.phone('bob', { clientId: 'wv:watch' });
    await watch.login2();
    await alice.request(message('for whom', [userId('bob')]));
    expect(await bob.messages()).toEqual([]);
    await watch.request(services('PresenceFeat'));
    expect(await bob.messages()).toEqual(['for whom']);
    expect(await watch.drain()).toEqual([]);
  });

  it('waits for the next one that takes messages where there is none', async () => {
    const watch = here.phone('bob', { clientId: 'wv:watch' });
    await watch.login2();
    await alice.request(message('for whom', [userId('bob')]));
    await watch.request(services('PresenceFeat'));
    expect(await watch.drain()).toEqual([]);
    expect(await (await here.phone('bob').start()).messages()).toEqual(['for whom']);
  });

  it('to a group goes to another session of its user too', async () => {
    const bob = await here.phone('bob').start();
    const watch = here.phone('bob', { clientId: 'wv:watch' });
    await watch.login2();
    await watch.request(services('GroupFeat'));
    await alice.request(creating({}, element('JoinGroup', true)));
    expect((await watch.request(joining())).name).toBe('JoinGroup-Response');
    const toGroup = element('MessageInfo', element('Recipient', element('Group', group)));
    expect(await alice.code(element('SendMessage-Request', toGroup, element('ContentData', 'to all')))).toBe(
      200,
    );
    await watch.drain();
    expect(await bob.messages()).toEqual(['to all']);
  });
});
