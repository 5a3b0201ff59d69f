import { describe, expect, it } from 'vitest';
import { child, childrenOf, element, textOf, type Element } from '../../src/imps/codec/element.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { codeOf, Phone as ImpsPhone } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { ForeignCore } from '../tools/foreign-core.js';
import { Phone as SipPhone } from '../tools/phone.js';
import { GatewayWorld, subscribers, until } from './world.js';

const cleanups = useCleanups();
const FAR = 'wv:far@elsewhere.test';
/** A busy machine must not have a request sent twice. */
const calm = { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } };

const subscribe = (user: string): Element =>
  element(
    'SubscribePresence-Request',
    element('UserIDList', element('UserID', user)),
    element('PresenceSubList', element('OnlineStatus'), element('StatusText')),
  );
const unsubscribe = (user: string): Element =>
  element('UnsubscribePresence-Request', element('UserIDList', element('UserID', user)));
const pidf = (basic: string, note: string): string =>
  `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:far@elsewhere.test"><tuple id="a"><status><basic>${basic}</basic></status><note>${note}</note></tuple></presence>`;

/** What the next notification says of a user: OnlineStatus and StatusText. */
const heard = (phone: ImpsPhone): Promise<(string | undefined)[]> =>
  until(async () => {
    for (const primitive of await phone.drain()) {
      if (primitive.name !== 'PresenceNotification-Request') continue;
      return shownIn(child(primitive, 'Presence'));
    }
    return undefined;
  });
const shownIn = (presence: Element | undefined): (string | undefined)[] => {
  const list = child(presence, 'PresenceSubList');
  return ['OnlineStatus', 'StatusText'].map((name) => textOf(child(list, name), 'PresenceValue'));
};

/** The system of somebody watched. */
class Notifier {
  readonly #phone: SipPhone;
  #sent = 0;

  constructor(phone: SipPhone) {
    this.#phone = phone;
  }

  /** Takes the next SUBSCRIBE. */
  async subscribed(status = 200): Promise<SipRequest> {
    const request = await this.#phone.peer.request('SUBSCRIBE');
    const headers = {
      Contact: `<sip:notifier@127.0.0.1:${this.#phone.peer.port}>`,
      Expires: request.get('Expires'),
    };
    this.#phone.peer.answer(request, status, headers, 'notifier');
    return request;
  }

  /** @returns the status of the answer */
  async notify(subscribe: SipRequest, body: string, state = 'active;expires=600'): Promise<number> {
    const headers: HeaderMap = {
      From: `${subscribe.get('To')!.replace(/;tag=.*/, '')};tag=notifier`,
      To: subscribe.get('From'),
      'Call-ID': subscribe.callId,
      CSeq: `${++this.#sent} NOTIFY`,
      Event: 'presence',
      'Subscription-State': state,
      ...(body === '' ? {} : { 'Content-Type': 'application/pidf+xml' }),
    };
    this.#phone.send('NOTIFY', subscribe.contacts[0]!.uriText, headers, body);
    return (await this.#phone.peer.response(200)).status;
  }
}

describe('presence of a user of another domain at an IMPS watcher', () => {
  const start = async (): Promise<{ world: GatewayWorld; far: Notifier }> => {
    const world = await GatewayWorld.start({ sip: calm });
    cleanups.push(() => world.close());
    const phone = await SipPhone.open('far', world.parley.port);
    cleanups.push(() => phone.close());
    await world.parley.app.gateway!.addresses.provision(FAR, `sip:far@127.0.0.1:${phone.peer.port}`);
    return { world, far: new Notifier(phone) };
  };

  it('is what that domain shows to this one, by a subscription in its name that ends with the watching', async () => {
    const { world, far } = await start();
    const alice = await world.loggedIn('alice');
    expect(codeOf(await alice.request(subscribe(FAR)))).toBe(200);
    const request = await far.subscribed();
    expect(request.get('P-Asserted-Identity')).toContain('sip:alice@ims.test');
    expect([request.get('Event'), request.get('Accept')]).toEqual(['presence', 'application/pidf+xml']);
    expect(await far.notify(request, '', 'pending;expires=600')).toBe(200);
    expect(await far.notify(request, pidf('open', 'at work'))).toBe(200);
    expect(await heard(alice)).toEqual(['T', 'at work']);
    expect(await far.notify(request, '<presence')).toBe(400);

    // the second watcher is another subscription: what it sees is its own
    const bob = await world.loggedIn('bob');
    await bob.request(subscribe(FAR));
    const other = await far.subscribed();
    expect(await far.notify(other, pidf('closed', 'not for you'))).toBe(200);
    expect(await heard(bob)).toEqual(['F', 'not for you']);
    expect((await alice.drain()).map(({ name }) => name)).not.toContain('PresenceNotification-Request');

    await alice.request(unsubscribe(FAR));
    expect((await far.subscribed()).get('Expires')).toBe('0');
    await bob.request(element('Logout-Request'));
    const ended = await far.subscribed();
    expect([ended.callId, ended.get('Expires')]).toEqual([other.callId, '0']);
  });

  it('is asked for once by GetPresence, with a subscription of no time', async () => {
    const { world, far } = await start();
    const alice = await world.loggedIn('alice');
    const asked = alice.request(
      element('GetPresence-Request', element('UserIDList', element('UserID', FAR))),
    );
    const request = await far.subscribed();
    expect(request.get('Expires')).toBe('0');
    expect(await far.notify(request, pidf('open', 'here'), 'terminated;reason=timeout')).toBe(200);
    expect(shownIn(child(await asked, 'Presence'))).toEqual(['T', 'here']);
  });

  it('keeps no phone waiting that asks, when the domain does not answer', async () => {
    const { world } = await start();
    const alice = await world.loggedIn('alice');
    const users = element('UserIDList', element('UserID', FAR), element('UserID', 'wv:alice@ims.test'));
    const answer = await alice.request(element('GetPresence-Request', users));
    expect(childrenOf(answer, 'Presence').map((one) => textOf(one, 'UserID'))).toEqual([
      FAR,
      'wv:alice@ims.test',
    ]);
  });

  it('is nothing where the domain refuses', async () => {
    const { world, far } = await start();
    const alice = await world.loggedIn('alice');
    expect(codeOf(await alice.request(subscribe(FAR)))).toBe(200);
    await far.subscribed(403);
    const noted = (): boolean =>
      world.parley.app.trail
        .recent({ code: 'presence.watched-elsewhere' })
        .some(({ outcome }) => outcome === 'refused');
    await expect.poll(noted, { timeout: 20_000 }).toBe(true);
    expect((await alice.drain()).map(({ name }) => name)).not.toContain('PresenceNotification-Request');
  });
});

describe('presence behind another core', () => {
  it('is asked for there in the name of the phone, and given at the contact of the phone', async () => {
    const core = await ForeignCore.start({ roles: ['participating', 'imps'], sip: calm, subscribers });
    cleanups.push(() => core.close());
    const url = core.parley.app.imps!.csp.replace(/\/csp$/, '');
    const alice = new ImpsPhone({ url, user: 'wv:alice@ims.test', password: 'alice-secret' });
    const started = alice.start();
    const registered = async (): Promise<SipRequest> => {
      const request = await core.unanswered('REGISTER');
      const contact = `<${request.contacts[0]!.uriText}>;expires=600`;
      core.peer.answer(request, 200, { Contact: contact }, 'core');
      return request;
    };
    let register = await registered();
    while (!register.get('Contact')!.includes('oma.cpm.msg')) register = await registered();
    await started;

    const nobody = 'wv:erin@ims.test';
    expect(codeOf(await alice.request(subscribe(nobody)))).toBe(200);
    const request = await core.unanswered('SUBSCRIBE');
    expect(request.uri).toBe('sip:erin@ims.test');
    expect(request.get('P-Served-User')).toContain('<sip:alice@ims.test>;sescase=orig');
    core.peer.answer(request, 200, { Contact: `<sip:core@127.0.0.1:${core.port}>`, Expires: '600' }, 'core');

    const grant = element(
      'CreateAttributeList-Request',
      element('PresenceSubList', element('OnlineStatus')),
      element('DefaultList', true),
    );
    expect(codeOf(await alice.request(grant))).toBe(200);
    const contact = register.contacts[0]!.uriText;
    expect(register.get('Contact')).toMatch(/methods="[^"]*SUBSCRIBE/);
    const headers = {
      Route: register.get('Path'),
      'P-Asserted-Identity': '<sip:bob@ims.test>',
      To: '<sip:alice@ims.test>',
      Event: 'presence',
      Expires: '600',
    };
    core.send('SUBSCRIBE', contact, headers);
    expect((await core.response()).status).toBe(200);
    const told = await core.answer('NOTIFY');
    expect(Buffer.from(told.body).toString()).toContain('<basic>open</basic>');
    core.send('SUBSCRIBE', contact, { ...headers, Event: 'dialog' });
    expect((await core.response()).status).toBe(489);
  });
});
