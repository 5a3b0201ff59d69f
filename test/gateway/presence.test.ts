import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { child, element, textOf, type Element } from '../../src/imps/codec/element.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { setPolicy } from '../cpm/participating/session-world.js';
import { codeOf, type Phone } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { Phone as SipPhone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';
import { GatewayWorld, until } from './world.js';

const cleanups = useCleanups();
let world: GatewayWorld;
afterEach(() => world.close());

const start = async (settings: Record<string, unknown> = {}): Promise<void> => {
  world = await GatewayWorld.start({
    ...settings,
    gateway: { presence: { interval: 0 } },
    // dave has no IMPS account
    subscribers: [
      ...['alice', 'bob'].map((name) => ({
        privateId: `${name}@ims.test`,
        password: `${name}-secret`,
        identities: [`sip:${name}@ims.test`],
        imps: `wv:${name}@ims.test`,
      })),
      { privateId: 'dave@ims.test', password: 'dave-secret', identities: ['sip:dave@ims.test'] },
    ],
  });
};

const subscribe = async (phone: SipPhone, to: string): Promise<SipRequest> => {
  phone.send('SUBSCRIBE', to, { Event: 'presence', Accept: 'application/pidf+xml', Expires: 600 });
  expect((await phone.peer.response(200)).status).toBe(200);
  return phone.answer('NOTIFY', 200);
};
/** The next NOTIFY whose document matches. */
const told = async (phone: SipPhone, pattern: RegExp): Promise<string> => {
  for (;;) {
    const body = Buffer.from((await phone.answer('NOTIFY', 200)).body).toString();
    if (pattern.test(body)) return body;
  }
};
const pidf = (basic: string, more = ''): string =>
  `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:dave@ims.test"><tuple id="a"><status><basic>${basic}</basic></status></tuple>${more}</presence>`;
const busy =
  '<dm:person id="p"><rpid:activities><rpid:meeting/></rpid:activities><rpid:mood><rpid:happy/></rpid:mood><dm:note>in a meeting</dm:note></dm:person>';
const publish = { Event: 'presence', 'Content-Type': 'application/pidf+xml', Expires: 600 };
const attribute = (name: string, value: string): Element =>
  element(name, element('Qualifier', true), element('PresenceValue', value));
/** Values of the next notification with an attribute. */
const heard = (phone: Phone, name: string): Promise<string> =>
  until(async () => {
    for (const primitive of await phone.drain()) {
      const list = child(child(primitive, 'Presence'), 'PresenceSubList');
      const found = list && child(list, name);
      if (found) return textOf(found, 'PresenceValue') ?? '';
    }
    return undefined;
  });

describe('presence of an IMPS user at a SIP watcher', () => {
  it('waits for the owner, then tells what the owner grants, and follows the session', async () => {
    await start();
    const bob = await world.sip('bob');
    const alice = await world.loggedIn('alice', { version: '1.2' });
    const first = await subscribe(bob, 'sip:alice@ims.test');
    expect(first.get('Subscription-State')).toMatch(/^pending/);
    const asked = await until(async () =>
      (await alice.drain()).find(({ name }) => name === 'PresenceAuth-Request'),
    );
    expect(textOf(asked, 'UserID')).toBe('wv:bob@ims.test');
    await alice.request(
      element('PresenceAuth-User', element('UserID', 'wv:bob@ims.test'), element('Acceptance', true)),
    );
    await told(bob, /<basic>open<\/basic>/);
    await alice.request(
      element(
        'UpdatePresence-Request',
        element(
          'PresenceSubList',
          attribute('UserAvailability', 'DISCREET'),
          attribute('StatusText', 'a <b> & c'),
          attribute('StatusMood', 'BORED'),
        ),
      ),
    );
    const body = await told(bob, /bored/);
    expect(body).toContain('<rpid:other>discreet</rpid:other>');
    expect(body).toContain('a &lt;b&gt; &amp; c');
    await alice.request(element('Logout-Request'));
    await told(bob, /<basic>closed<\/basic>/);
  });
});

describe('a SIP watcher when the server starts again', () => {
  it('goes on in its dialog: it hears how things are now, and what changes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-presence-'));
    const settings = {
      store: `lmdb:${join(folder, 'data')}`,
      sip: { listen: [`udp:127.0.0.1:${await freePort()}`] },
    };
    try {
      await start(settings);
      const bob = await SipPhone.registered('bob', world.parley.port);
      cleanups.push(() => bob.close());
      const first = await subscribe(bob, 'sip:dave@ims.test');
      expect(first.get('Subscription-State')).toMatch(/^active/);
      await world.parley.stop();
      await start(settings);
      const again = await bob.answer('NOTIFY', 200);
      expect(again.callId).toBe(first.callId);
      expect(again.cseq.number).toBeGreaterThan(first.cseq.number);
      await world.sip('dave');
      await told(bob, /<basic>open<\/basic>/);
    } finally {
      await world.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe.skipIf(missing('redis-server'))('a SIP watcher at one of two nodes', () => {
  it('hears what registers, publishes and changes at the other', async () => {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    await start({ store: redis.url });
    const other = world;
    cleanups.push(() => other.close());
    await start({ store: redis.url });
    const bob = await world.sip('bob');
    const first = await subscribe(bob, 'sip:dave@ims.test');
    expect(Buffer.from(first.body).toString()).toContain('<basic>closed</basic>');
    const dave = await other.sip('dave');
    await told(bob, /<basic>open<\/basic>/);
    expect((await dave.ask('PUBLISH', 'sip:dave@ims.test', publish, pidf('open', busy))).status).toBe(200);
    await told(bob, /in a meeting/);
  });
});

describe('presence of a SIP user at an IMPS watcher', () => {
  const ask = (user: string): Element =>
    element(
      'GetPresence-Request',
      element('UserIDList', element('UserID', user)),
      element('PresenceSubList', element('OnlineStatus'), element('StatusText')),
    );

  it('is what the phone published itself, but while a SIP device of the user publishes', async () => {
    await start();
    const alice = await world.loggedIn('alice');
    const bob = await world.loggedIn('bob');
    const grant = element(
      'CreateAttributeList-Request',
      element('PresenceSubList', element('OnlineStatus'), element('StatusText')),
      element('DefaultList', true),
    );
    expect(codeOf(await bob.request(grant))).toBe(200);
    const mine = element(
      'UpdatePresence-Request',
      element('PresenceSubList', attribute('StatusText', 'at my phone')),
    );
    expect(codeOf(await bob.request(mine))).toBe(200);
    const text = async (): Promise<string | undefined> => {
      const answer = await alice.request(ask('wv:bob@ims.test'));
      return textOf(
        child(child(child(answer, 'Presence'), 'PresenceSubList'), 'StatusText'),
        'PresenceValue',
      );
    };
    expect(await text()).toBe('at my phone');
    const device = await world.sip('bob');
    expect(await text()).toBe('at my phone');
    const said = await device.ask('PUBLISH', 'sip:bob@ims.test', publish, pidf('open', busy));
    expect([said.status, await text()]).toEqual([200, 'in a meeting']);
    const over = { Event: 'presence', Expires: 0, 'SIP-If-Match': said.get('SIP-ETag') };
    expect((await device.ask('PUBLISH', 'sip:bob@ims.test', over)).status).toBe(200);
    expect(await text()).toBe('at my phone');
  });

  it('who asks once is that of the SIP device too, whether its user has an IMPS account or none', async () => {
    await start();
    const alice = await world.loggedIn('alice');
    const bob = await world.loggedIn('bob');
    const grant = element(
      'CreateAttributeList-Request',
      element('PresenceSubList', element('OnlineStatus')),
      element('DefaultList', true),
    );
    expect(codeOf(await bob.request(grant))).toBe(200);
    await bob.request(element('Logout-Request'));
    await world.settled();
    const online = async (user: string): Promise<string | undefined> => {
      const shown = child(await alice.request(ask(`wv:${user}@ims.test`)), 'Presence');
      return textOf(child(child(shown, 'PresenceSubList'), 'OnlineStatus'), 'PresenceValue');
    };
    for (const user of ['bob', 'dave']) {
      expect(await online(user)).toBe('F');
      const device = await world.sip(user);
      expect(await online(user)).toBe('T');
      expect((await device.register(';expires=0')).status).toBe(200);
      expect(await online(user)).toBe('F');
    }
  });

  it('is nothing to one whom the user blocks', async () => {
    await start();
    const alice = await world.loggedIn('alice');
    expect(await setPolicy(world.parley, 'sip:dave@ims.test', { blocked: ['sip:alice@ims.test'] })).toBe(200);
    const users = element('UserIDList', element('UserID', 'wv:dave@ims.test'));
    await alice.request(element('SubscribePresence-Request', users));
    await world.sip('dave');
    const shown = child(await alice.request(ask('wv:dave@ims.test')), 'Presence');
    expect(child(shown, 'PresenceSubList')?.children ?? []).toEqual([]);
    expect((await alice.drain()).map(({ name }) => name)).not.toContain('PresenceNotification-Request');
  });

  it('is registration and what its device publishes', async () => {
    await start();
    const alice = await world.loggedIn('alice');
    const list = element('PresenceSubList', element('OnlineStatus'), element('StatusText'));
    const users = element('UserIDList', element('UserID', 'wv:dave@ims.test'));
    expect(codeOf(await alice.request(element('SubscribePresence-Request', users, list)))).toBe(200);
    expect(await heard(alice, 'OnlineStatus')).toBe('F');
    const dave = await world.sip('dave');
    expect(await heard(alice, 'OnlineStatus')).toBe('T');
    const answer = await dave.ask('PUBLISH', 'sip:dave@ims.test', publish, pidf('open', busy));
    expect(answer.status).toBe(200);
    expect(await heard(alice, 'StatusText')).toBe('in a meeting');
    const etag = answer.get('SIP-ETag')!;
    const close = await dave.ask(
      'PUBLISH',
      'sip:dave@ims.test',
      { ...publish, 'SIP-If-Match': etag },
      pidf('closed'),
    );
    expect(close.status).toBe(200);
    expect(await heard(alice, 'OnlineStatus')).toBe('F');
    const gone = await dave.ask('PUBLISH', 'sip:dave@ims.test', {
      Event: 'presence',
      'SIP-If-Match': close.get('SIP-ETag'),
      Expires: 0,
    });
    expect(gone.status).toBe(200);
    expect(await heard(alice, 'OnlineStatus')).toBe('T');
  });
});

describe('a publication is refused', () => {
  it.each([
    ['of somebody else', 'sip:alice@ims.test', {}, pidf('open'), 403],
    ['of another type', 'sip:dave@ims.test', { 'Content-Type': 'text/plain' }, 'here', 415],
    ['that is no document', 'sip:dave@ims.test', {}, '<presence', 400],
    ['that is too large', 'sip:dave@ims.test', {}, pidf('open', `<note>${'x'.repeat(20_000)}</note>`), 413],
    ['to change one that is not there', 'sip:dave@ims.test', { 'SIP-If-Match': 'x' }, pidf('open'), 412],
    ['for too short a time', 'sip:dave@ims.test', { Expires: 5 }, pidf('open'), 423],
  ])('%s', async (_name, to, headers, body, status) => {
    await start();
    const dave = await world.sip('dave');
    expect((await dave.ask('PUBLISH', to, { ...publish, ...headers }, body)).status).toBe(status);
  });
});
