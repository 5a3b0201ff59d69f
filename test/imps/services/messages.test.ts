import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { xmlCoding } from '../../../src/imps/codec/coding.js';
import { child, childrenOf, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { clients, keyOf, mailbox, outbox } from '../../../src/imps/state/records.js';
import { codeOf, detailsOf, message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
let bob: Phone;
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
  bob = await here.phone('bob').start();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const toBob = (text: string, ...info: readonly Element[]): Element => message(text, [userId('bob')], ...info);
const wantsReport = element('DeliveryReport', true);
const info = (primitive: Element | undefined): Element | undefined => child(primitive, 'MessageInfo');
const notify = element('SetDeliveryMethod-Request', element('DeliveryMethod', 'N'));

describe('a message', () => {
  it('to a user who is logged in is pushed with its Message-ID, sender, recipient and time', async () => {
    const sent = await alice.request(toBob('hello'));
    expect(codeOf(sent)).toBe(200);
    const primitive = (await bob.poll())[0]!.primitive!;
    expect(primitive.name).toBe('NewMessage');
    expect(textOf(primitive, 'ContentData')).toBe('hello');
    expect(textOf(info(primitive), 'MessageID')).toBe(textOf(sent, 'MessageID'));
    expect(textOf(child(child(info(primitive), 'Sender'), 'User'), 'UserID')).toBe(userId('alice'));
    expect(textOf(child(child(info(primitive), 'Recipient'), 'User'), 'UserID')).toBe(userId('bob'));
    expect(textOf(info(primitive), 'DateTime')).toBe('20260101T000000Z');
    expect(textOf(info(primitive), 'ContentType')).toBe('text/plain');
  });

  it('reaches a phone of another version in another coding, letter for letter', async () => {
    const text = 'Grüße & <Küsse> \u{1f600}';
    for (const version of ['1.1', '1.2'] as const) {
      const carol = await here
        .phone('carol', { version, coding: xmlCoding, clientId: `wv:${version}` })
        .start();
      await alice.request(message(text, [userId('carol')]));
      expect(await carol.messages()).toEqual([text]);
      await carol.request(element('Logout-Request'));
    }
  });

  it('waits until it is acknowledged: it comes again under the same Transaction-ID, and then no more', async () => {
    await alice.request(toBob('once'));
    const [first] = await bob.poll();
    expect(await bob.poll()).toEqual([]);
    here.clock.advance(60_000);
    const [again] = await bob.poll();
    expect([again?.id, textOf(again?.primitive, 'ContentData')]).toEqual([first?.id, 'once']);
    const id = textOf(info(again?.primitive), 'MessageID') ?? '';
    await bob.respond(again!.id, element('MessageDelivered', element('MessageID', id)));
    here.clock.advance(60_000);
    expect(await bob.poll()).toEqual([]);
    expect([here.store.size(mailbox), here.store.size(outbox)]).toEqual([0, 0]);
  });

  it('is acknowledged by MessageDelivered in request mode too, and by a Status from simple clients', async () => {
    await alice.request(toBob('one'));
    const [first] = await bob.poll();
    const id = textOf(info(first?.primitive), 'MessageID') ?? '';
    expect(await bob.code(element('MessageDelivered', element('MessageID', id)))).toBe(200);
    expect(here.store.size(mailbox)).toBe(0);
    await alice.request(toBob('two'));
    const [second] = await bob.poll();
    await bob.respond(second!.id, element('Status', element('Result', element('Code', 200))));
    expect(here.store.size(mailbox)).toBe(0);
  });

  it('to several recipients names those who do not get it, by code', async () => {
    const sent = await alice.request(
      message('hi', [userId('bob'), userId('nobody'), 'wv:', userId('nobody2')]),
    );
    expect(codeOf(sent)).toBe(201);
    expect(detailsOf(sent)).toEqual(['531 wv:nobody@ims.test wv: wv:nobody2@ims.test']);
    expect(textOf(sent, 'MessageID')).toBeDefined();
    const failed = await alice.request(message('hi', [userId('nobody')]));
    expect([codeOf(failed), textOf(failed, 'MessageID')]).toEqual([900, undefined]);
  });

  it('without a recipient, or without MessageInfo, is 400', async () => {
    expect(await alice.code(message('hi', []))).toBe(400);
    expect(await alice.code(element('SendMessage-Request'))).toBe(400);
  });

  it('shows the sender that the session has: another user is 427, another client 428, another application 450', async () => {
    const from = (...user: readonly Element[]): Element => element('Sender', element('User', user));
    const code = (sender: Element): Promise<number> => alice.code(toBob('x', sender));
    expect(await code(from(element('UserID', userId('alice'))))).toBe(200);
    expect(await code(from(element('UserID', userId('carol'))))).toBe(427);
    expect(await code(from(element('ClientID', element('URL', 'wv:other'))))).toBe(428);
    expect(await code(from(element('ApplicationID', 'chess')))).toBe(450);
  });

  it('repeated under its Transaction-ID is answered the same and not sent twice', async () => {
    const first = await alice.request(toBob('only once'), 'same');
    expect(await alice.request(toBob('only once'), 'same')).toEqual(first);
    here = await here.restart();
    const after = here.phone('alice');
    after.sessionId = alice.sessionId;
    expect(await after.request(toBob('only once'), 'same')).toEqual(first);
    const bobAfter = here.phone('bob');
    bobAfter.sessionId = bob.sessionId;
    expect(await bobAfter.messages()).toEqual(['only once']);
  });

  it('under a Transaction-ID that another request had is a message of its own', async () => {
    await alice.request(toBob('one'), 'same');
    await alice.request(toBob('two'), 'same');
    expect(await bob.messages()).toEqual(['one', 'two']);
  });

  it('that the store cannot commit is not acknowledged', async () => {
    here.store.failure = new Error('disk full');
    expect(await alice.code(toBob('lost?'))).toBe(500);
    here.store.failure = undefined;
    expect(await bob.messages()).toEqual([]);
    expect(here.errors.splice(0)).toHaveLength(1);
  });

  it('comes in the order in which messages were sent', async () => {
    for (let number = 1; number <= 30; number++) await alice.request(toBob(`${number}`));
    expect(await bob.messages()).toEqual(Array.from({ length: 30 }, (_, index) => `${index + 1}`));
  });
});

describe('a message to one who is not logged in', () => {
  beforeEach(() => bob.request(element('Logout-Request')));

  it('is stored and delivered at the next login, in order and once', async () => {
    for (let number = 1; number <= 25; number++) await alice.request(toBob(`${number}`));
    const back = await here.phone('bob').start();
    await alice.request(toBob('26'));
    expect(await back.messages()).toEqual(Array.from({ length: 26 }, (_, index) => `${index + 1}`));
    await back.request(element('Logout-Request'));
    expect(await (await here.phone('bob').start()).messages()).toEqual([]);
  });

  it('goes to one of two clients that log in, not to both', async () => {
    for (const text of ['1', '2', '3']) await alice.request(toBob(text));
    const phones = [
      await here.phone('bob').start(),
      await here.phone('bob', { clientId: 'wv:second' }).start(),
    ];
    const seen = [await phones[0]!.messages(), await phones[1]!.messages()];
    expect(seen).toEqual([['1', '2', '3'], []]);
  });

  it('is 534 for a barred user, and waits for nobody then', async () => {
    await bob.request(element('Logout-Request'));
    await here.server.users.change(userId('bob'), (user) => ({ ...user, state: 'barred' }));
    expect(detailsOf(await alice.request(toBob('x')))).toEqual(['534 wv:bob@ims.test']);
    await here.server.users.change(userId('bob'), (user) => ({ ...user, state: 'active' }));
    expect(await alice.code(toBob('y'))).toBe(200);
    expect(await (await here.phone('bob').start()).messages()).toEqual(['y']);
  });

  it('is 533 where the last client wanted that, or the operator stores nothing', async () => {
    const last = here.phone('bob');
    await last.login2();
    await last.negotiate(element('OfflineETEMHandling', 'REJECT'));
    await last.request(element('Logout-Request'));
    expect(detailsOf(await alice.request(toBob('x')))).toEqual(['533 wv:bob@ims.test']);
    await here.close();
    here = await world({ messages: { storeOffline: false } });
    alice = await here.phone('alice').start();
    expect(detailsOf(await alice.request(toBob('x')))).toEqual(['533 wv:bob@ims.test']);
  });

  it('that a session did not acknowledge before it ended is delivered to the next', async () => {
    const second = await here.phone('bob').start();
    await alice.request(toBob('unread'));
    await second.poll();
    await second.request(element('Logout-Request'));
    expect(await (await here.phone('bob').start()).messages()).toEqual(['unread']);
  });

  it('is announced by WVON over the bearer that its client negotiated: once until it logs in, then again', async () => {
    const pages: string[] = [];
    await here.close();
    here = await world(
      {},
      {
        pagers: [
          {
            methods: ['SSMS', 'WAPSMS'],
            page: async (method, { msisdn }, text) => pages.push(`${method} ${msisdn} ${text}`) > 0,
          },
        ],
      },
    );
    alice = await here.phone('alice').start();
    const mobile = here.phone('bob', { msisdn: '+46701234567' });
    await mobile.login2();
    await mobile.negotiate(element('SupportedOfflineBearer', 'SSMS'));
    await mobile.request(element('Logout-Request'));
    for (const text of ['1', '2', '3']) await alice.request(toBob(text));
    expect(pages).toEqual(['SSMS +46701234567 WVON 1.3 Offline-Message-Notification']);
    await mobile.login2();
    await mobile.request(element('Logout-Request'));
    await alice.request(toBob('4'));
    expect(pages).toHaveLength(2);
  });

  it('is announced by WVON to the one client that it is for, however many its user had before', async () => {
    const pages: string[] = [];
    await here.close();
    here = await world(
      {},
      { pagers: [{ methods: ['SSMS'], page: async (_, { msisdn }) => pages.push(`${msisdn}`) > 0 }] },
    );
    alice = await here.phone('alice').start();
    const visit = async (clientId: string): Promise<void> => {
      const passing = here.phone('bob', { clientId });
      await passing.login2();
      await passing.request(element('Logout-Request'));
      here.clock.advance(1000);
    };
    for (let count = 0; count < 40; count++) await visit(`wv:a${count}`);
    const mobile = here.phone('bob', { clientId: 'wv:z', msisdn: '+46701234567' });
    await mobile.login2();
    await mobile.negotiate(element('SupportedOfflineBearer', 'SSMS'));
    await mobile.request(element('Logout-Request'));
    for (let count = 0; count < 25; count++) await visit(`wv:b${count}`);
    await alice.request(toBob('1'));
    expect(pages).toEqual(['+46701234567']);
    const remembered = async (): Promise<string[]> => {
      const keys: string[] = [];
      for await (const { key } of here.store.scan(clients, { prefix: keyOf(userId('bob'), '') }))
        keys.push(key);
      return keys;
    };
    // the latest one beside those before it
    expect(await remembered()).toHaveLength(33);
    for (let count = 0; count < 32; count++) await visit(`wv:c${count}`);
    expect((await remembered()).filter((key) => !key.includes('wv:c'))).toHaveLength(1);
  });

  it('is announced by WVON too when the session that it was for ends without it', async () => {
    const pages: string[] = [];
    await here.close();
    here = await world(
      {},
      { pagers: [{ methods: ['SSMS'], page: async (_, __, text) => pages.push(text) > 0 }] },
    );
    alice = await here.phone('alice', { timeToLive: 7000 }).start();
    const mobile = await here
      .phone('bob', { msisdn: '+46701234567' })
      .start(element('SupportedOfflineBearer', 'SSMS'));
    const other = await here.phone('bob', { clientId: 'wv:other' }).start();
    await alice.request(toBob('unfetched'));
    await mobile.request(element('Logout-Request'));
    expect(pages).toEqual([]); // the other one has it
    here.clock.advance(3_599_000);
    await here.clock.advanceAsync(4000, 1000);
    expect(pages).toEqual(['WVON 1.3 Offline-Message-Notification']);
    expect(await other.code(element('GetList-Request'))).toBe(600);
    expect(await (await here.phone('bob').start()).messages()).toEqual(['unfetched']);
  });

  it.each([
    ['the operator switched it off', { offlineNotification: { enabled: false } }, 'SSMS', 'wv:bob@ims.test'],
    ['the client wants a bearer that there is not', {}, 'WAPUDP', 'wv:bob@ims.test'],
    ['the home domain of the user is another', {}, 'SSMS', 'wv:bob@elsewhere.example'],
  ] as const)('is not announced where %s', async (_title, settings, bearer, address) => {
    await here.close();
    const pages: string[] = [];
    const page = async (_: string, __: object, text: string) => pages.push(text) > 0;
    here = await world(settings, { pagers: [{ methods: ['SSMS'], page }] });
    alice = await here.phone('alice').start();
    const mobile = here.phone('bob', { msisdn: '+46701234567' });
    await mobile.login2();
    const agreed = await mobile.negotiate(element('SupportedOfflineBearer', bearer));
    const told = textOf(child(agreed, 'AgreedCapabilityList'), 'SupportedOfflineBearer');
    expect(told).toBe(address.includes('elsewhere') ? bearer : undefined);
    await mobile.request(element('Logout-Request'));
    const sent = await alice.code(message('1', [address]));
    expect(sent).toBe(address.includes('elsewhere') ? 900 : 200);
    expect(pages).toEqual([]);
  });

  it.each([
    ['removed', () => here.server.removeUser(userId('bob'))],
    ['barred', () => here.server.users.change(userId('bob'), (user) => ({ ...user, state: 'barred' }))],
  ])('is not announced to who has just been %s', async (_state, act) => {
    const pages: string[] = [];
    await here.close();
    here = await world(
      {},
      { pagers: [{ methods: ['SSMS'], page: async (_, __, text) => pages.push(text) > 0 }] },
    );
    alice = await here.phone('alice').start();
    const mobile = await here
      .phone('bob', { msisdn: '+46701234567' })
      .start(element('SupportedOfflineBearer', 'SSMS'));
    await alice.request(toBob('unfetched'));
    await act();
    await here.server.disconnect(mobile.sessionId ?? '');
    expect(pages).toEqual([]);
  });

  it('is not announced to a client that negotiated no bearer', async () => {
    const pages: string[] = [];
    await here.close();
    here = await world(
      {},
      { pagers: [{ methods: ['SSMS'], page: async (_, __, text) => pages.push(text) > 0 }] },
    );
    alice = await here.phone('alice').start();
    const mobile = await here.phone('bob', { msisdn: '+46701234567' }).start();
    await mobile.request(element('Logout-Request'));
    expect(await alice.code(toBob('1'))).toBe(200);
    expect(pages).toEqual([]);
  });
});

describe('delivery by notification', () => {
  it('announces a message, which the client gets, and then acknowledges', async () => {
    await bob.request(notify);
    await alice.request(toBob('fetch me'));
    const [announced] = await bob.poll();
    expect(announced?.primitive?.name).toBe('MessageNotification');
    expect(child(announced?.primitive, 'ContentData')).toBeUndefined();
    const id = textOf(info(announced?.primitive), 'MessageID') ?? '';
    await bob.respond(announced!.id, element('Status', element('Result', element('Code', 200))));
    expect(await bob.poll()).toEqual([]);
    const fetched = await bob.request(element('GetMessage-Request', element('MessageID', id)));
    expect(textOf(fetched, 'ContentData')).toBe('fetch me');
    await bob.request(element('MessageDelivered', element('MessageID', id)));
    expect(await bob.code(element('GetMessage-Request', element('MessageID', id)))).toBe(426);
  });

  it('lists what waits, and the announced message is still there at the next login', async () => {
    await bob.request(notify);
    await alice.request(toBob('a'));
    await alice.request(toBob('b'));
    const list = await bob.request(element('GetMessageList-Request'));
    expect(textOf(list, 'MessageTotalCount')).toBe('2');
    expect(childrenOf(child(list, 'MessageInfoList'), 'MessageInfo')).toHaveLength(2);
    await bob.drain();
    await bob.request(element('Logout-Request'));
    expect(await (await here.phone('bob').start()).messages()).toEqual(['a', 'b']);
  });

  it('lists as many as the client takes, the oldest first, and tells how many there are', async () => {
    await bob.request(notify);
    for (const text of ['a', 'b', 'c']) await alice.request(toBob(text));
    const list = async (count: number, phone = bob): Promise<(string | undefined)[]> => {
      const answer = await phone.request(element('GetMessageList-Request', element('MessageCount', count)));
      const infos = childrenOf(child(answer, 'MessageInfoList') ?? answer, 'MessageInfo');
      return [textOf(answer, 'MessageTotalCount'), ...infos.map((one) => textOf(one, 'MessageID'))];
    };
    const [total, ...ids] = await list(9);
    expect([total, ids.length]).toEqual(['3', 3]);
    expect(await list(2)).toEqual(['3', ids[0], ids[1]]);
    expect(await list(0)).toEqual(['3']);
    const old = await here.phone('bob', { version: '1.2', clientId: 'wv:old' }).start();
    expect(await list(2, old)).toEqual([undefined, ids[0], ids[1]]);
  });

  it('of a group is another thing: there is no history, 821', async () => {
    const of = element('GetMessageList-Request', element('GroupID', 'wv:alice/chess@ims.test'));
    expect(await bob.code(of)).toBe(821);
  });

  it('holds for what is over the size that may be pushed, and for a type that was not agreed', async () => {
    const carol = here.phone('carol');
    await carol.login2();
    await carol.negotiate(
      element('AcceptedPushLength', 10),
      element('AnyContent', false),
      element('AcceptedContentType', element('ContentType', 'image/*')),
    );
    const names = async (): Promise<string[]> => (await carol.drain()).map(({ name }) => name);
    const of = (text: string, type: string): Element => {
      const { children } = message(text, [userId('carol')]);
      const typed = element('MessageInfo', [
        element('ContentType', type),
        ...child({ ...element('x'), children }, 'MessageInfo')!.children.filter(
          ({ name }) => name !== 'ContentType',
        ),
      ]);
      return element(
        'SendMessage-Request',
        element('DeliveryReport', false),
        typed,
        element('ContentData', text),
      );
    };
    await alice.request(of('short', 'text/plain'));
    expect(await names()).toEqual(['NewMessage']);
    await alice.request(of('longer than ten', 'text/plain'));
    expect(await names()).toEqual(['MessageNotification']);
    await alice.request(of('picture', 'image/png'));
    expect(await names()).toEqual(['NewMessage']);
    await alice.request(of('sound', 'audio/amr'));
    expect(await names()).toEqual(['MessageNotification']);
  });

  it('goes by the size that a message has, not by the one that its sender claims', async () => {
    const bob = await here.phone('bob').start(element('AcceptedContentLength', 100));
    const claim = element('ContentSize', 4_000_000_000);
    const sent = message('hi', [userId('bob')]);
    const children = sent.children.map((part) =>
      part.name === 'MessageInfo'
        ? { ...part, children: part.children.map((of) => (of.name === 'ContentSize' ? claim : of)) }
        : part,
    );
    await alice.request({ ...sent, children });
    const [got] = await bob.drain();
    expect([got?.name, textOf(child(got, 'MessageInfo'), 'ContentSize')]).toEqual(['NewMessage', '2']);
  });

  it('replaces a push that is larger than the client can parse', async () => {
    const carol = here.phone('carol');
    await carol.login2();
    await carol.negotiate(element('ParserSize', 600));
    await alice.request(message('x'.repeat(1000), [userId('carol')]));
    expect((await carol.drain()).map(({ name }) => name)).toEqual(['MessageNotification']);
    const [waiting] = childrenOf(
      child(await carol.request(element('GetMessageList-Request')), 'MessageInfoList'),
      'MessageInfo',
    );
    const id = textOf(waiting, 'MessageID') ?? '';
    expect(await carol.code(element('GetMessage-Request', element('MessageID', id)))).toBe(432);
  });
});

describe('a delivery report', () => {
  const reports = async (phone: Phone): Promise<number[]> =>
    (await phone.drain()).filter(({ name }) => name === 'DeliveryReport-Request').map(codeOf);

  it('is sent when it was asked for: 200 once the message is acknowledged', async () => {
    const sent = await alice.request(toBob('report', wantsReport));
    await alice.request(toBob('none'));
    await bob.messages();
    const [report, ...more] = await alice.drain();
    expect(more).toEqual([]);
    expect(report?.name).toBe('DeliveryReport-Request');
    expect(codeOf(report!)).toBe(200);
    expect(textOf(info(report), 'MessageID')).toBe(textOf(sent, 'MessageID'));
    expect(textOf(child(child(info(report), 'Recipient'), 'User'), 'UserID')).toBe(userId('bob'));
  });

  it('is 538 for a rejected message, which is gone then', async () => {
    const id = textOf(await alice.request(toBob('spam', wantsReport)), 'MessageID') ?? '';
    expect(await bob.code(element('RejectMessage-Request', element('MessageID', id)))).toBe(200);
    expect(await bob.messages()).toEqual([]);
    expect(await reports(alice)).toEqual([538]);
    expect(await bob.code(element('RejectMessage-Request', element('MessageID', id)))).toBe(900);
  });

  it('is 541 for a forwarded message, which its new recipient gets from the one who forwards', async () => {
    const id = textOf(await alice.request(toBob('pass it on', wantsReport)), 'MessageID') ?? '';
    const forward = element(
      'ForwardMessage-Request',
      element('MessageID', id),
      element('Recipient', element('User', element('UserID', userId('carol')))),
    );
    const carol = await here.phone('carol').start();
    expect((await bob.request(forward)).name).toBe('ForwardMessage-Response');
    const [got] = await carol.drain();
    expect(textOf(got, 'ContentData')).toBe('pass it on');
    expect(textOf(child(child(info(got), 'Sender'), 'User'), 'UserID')).toBe(userId('bob'));
    expect(await bob.messages()).toEqual([]);
    expect(await reports(alice)).toEqual([541]);
  });

  it('is 542 when the validity of a message is over before it was delivered', async () => {
    await alice.request(toBob('short-lived', wantsReport, element('Validity', 60)));
    await here.clock.advanceAsync(62_000, 1000);
    expect(await bob.messages()).toEqual([]);
    expect(await reports(alice)).toEqual([542]);
  });

  it('waits for a sender who has logged out', async () => {
    await alice.request(toBob('report', wantsReport));
    await alice.request(element('Logout-Request'));
    await bob.messages();
    expect(await reports(await here.phone('alice').start())).toEqual([200]);
  });
});

describe('a message from outside', () => {
  it('is committed and delivered as if a user had sent it', async () => {
    const sender = { user: userId('someone') };
    const { status } = await here.server.deliver(userId('bob'), {
      sender,
      contentType: 'text/plain',
      content: 'hi',
    });
    expect(status).toBe(200);
    expect(await bob.messages()).toEqual(['hi']);
    const unknown = { sender, contentType: 'text/plain', content: 'hi' };
    expect((await here.server.deliver(userId('nobody'), unknown)).status).toBe(531);
  });

  it('goes the other way through the router, which may take a message or refuse it', async () => {
    await here.close();
    const taken: string[] = [];
    here = await world(
      {},
      {
        router: {
          report: async () => undefined,
          mayKnow: async () => false,
          knows: async (user) => user.startsWith('wv:out'),
          claims: async () => false,
          blocks: async () => false,
          route: async (user, { content }) => {
            if (user === userId('outside')) {
              taken.push(content);
              return { kind: 'taken' };
            }
            return user === userId('outcast') ? { kind: 'refused', status: 516 } : { kind: 'local' };
          },
        },
      },
    );
    alice = await here.phone('alice').start();
    expect(await alice.code(message('out', [userId('outside')]))).toBe(200);
    expect(taken).toEqual(['out']);
    expect(detailsOf(await alice.request(message('x', [userId('outcast')])))).toEqual([
      '516 wv:outcast@ims.test',
    ]);
  });
});
