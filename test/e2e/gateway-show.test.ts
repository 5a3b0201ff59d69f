import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { wbxmlCoding, xmlCoding, type Coding } from '../../src/imps/codec/coding.js';
import { element, textOf } from '../../src/imps/codec/element.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { BOB, BOB2, device } from '../cpm/participating/session-world.js';
import { everybody, joinGroup, next, sname, toGroup } from '../gateway/phone-in-group.js';
import { chat, SipChat } from '../gateway/sip-chat.js';
import { codeOf, message, Phone as ImpsPhone } from '../imps/tools/phone.js';
// the package of SMPP hands over octets as the link sets it up
import '../../src/imps/sms/smsc-link.js';
import { Smsc } from '../imps/tools/smsc.js';
import { useCleanups } from '../tools/cleanups.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();
const NUMBER = '+15550100001';
const CAROL = 'urn:uuid:00000000-0000-4000-8000-00000000000c';
const TABLET = 'urn:uuid:00000000-0000-4000-8000-00000000000a';
const MESSAGE = { 'P-Preferred-Service': cpmServices.message, 'Content-Type': 'message/cpim' };

async function storeAt(kind: 'LMDB' | 'Redis'): Promise<string> {
  if (kind === 'Redis') {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    return redis.url;
  }
  const folder = mkdtempSync(join(tmpdir(), 'parley-show-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return `lmdb:${join(folder, 'data')}`;
}

/** A server that can be killed and started again at the same addresses, beside a short message service centre. */
class Stage {
  readonly sip: number;
  readonly imps: number;
  readonly smsc: Smsc;
  readonly #env: Record<string, string>;
  #program: Program | undefined;
  api = '';

  private constructor(sip: number, imps: number, smsc: Smsc, store: string) {
    [this.sip, this.imps, this.smsc] = [sip, imps, smsc];
    this.#env = {
      PARLEY_AUTH: 'none',
      PARLEY_STORE: store,
      PARLEY_SIP_LISTEN: `udp:127.0.0.1:${sip}`,
      PARLEY_IMPS_LISTEN: `127.0.0.1:${imps}`,
    };
  }

  static async of(store: string): Promise<Stage> {
    const smsc = await Smsc.start();
    cleanups.push(() => smsc.close());
    const stage = new Stage(await freePort(), await freePort(), smsc, store);
    await stage.serve();
    return stage;
  }

  async serve(): Promise<void> {
    const user = (name: string, number: string): object => ({
      privateId: `${name}@ims.test`,
      password: `${name}-secret`,
      identities: [`sip:${name}@ims.test`, `tel:${number}`],
      imps: `wv:${name}@ims.test`,
    });
    const config = JSON.stringify({
      // a busy machine must make the server neither refuse work nor send it twice
      sip: { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } },
      gateway: { patience: 30 },
      imps: { smpp: { host: '127.0.0.1', port: this.smsc.port, systemId: 'parley', address: '7700' } },
      subscribers: [user('alice', NUMBER), user('bob', '+15550100002'), user('carol', '+15550100003')],
    });
    const bound = this.smsc.binds.length + 1;
    this.#program = new Program(['serve'], { config, env: this.#env });
    cleanups.push(() => this.#program!.dispose());
    this.api = (await this.#program.ready()).api;
    await this.smsc.untilBound(bound);
  }

  async killAndRestart(): Promise<void> {
    this.#program!.child.kill('SIGKILL');
    await this.#program!.exit();
    await this.serve();
  }

  /** Messages that some session of a group has not answered for. */
  async queuedInGroups(): Promise<string | undefined> {
    const metrics = await (await fetch(`${this.api}/metrics`)).text();
    return /^parley_group_messages_queued (\d+)$/m.exec(metrics)?.[1];
  }

  /** The devices of a user that are phones. */
  async phones(user: string): Promise<readonly Record<string, unknown>[]> {
    const url = `${this.api}/api/v1/registrations/${encodeURIComponent(`sip:${user}@ims.test`)}`;
    const { bindings = [] } = (await (await fetch(url)).json()) as { bindings?: Record<string, unknown>[] };
    return bindings.filter(({ userAgent }) => /IMPS/.test(String(userAgent)));
  }

  async device(user: string, instance: string, ...services: readonly string[]): Promise<Phone> {
    const phone = await Phone.open(user, this.sip);
    cleanups.push(() => phone.close());
    const offered = device(instance, [cpmServices.message, ...services]);
    expect((await phone.register(offered, { Supported: 'gruu' })).status).toBe(200);
    return phone;
  }
}

const textIn = (request: SipRequest): string =>
  Buffer.from(request.body).toString().split('\r\n\r\n').at(-1)!;
const bodyOf = (request: SipRequest): string => Buffer.from(request.body).toString();

/** A SIP user extends the conversation to a group with a third user, on the other device; the process dies in between, and all go on. */
async function extendToGroup(
  stage: Stage,
  [bob, other]: readonly [Phone, Phone],
  alice: ImpsPhone,
  gruu: string,
): Promise<void> {
  const alone = await SipChat.of(bob);
  expect((await alone.invite(gruu, { 'Contribution-ID': 'one-to-one' })).status).toBe(200);
  expect(await alone.say(chat('s-1', 'shall we ask carol?', { asks: '' }))).toBe(200);
  expect(await alice.messages()).toEqual(['shall we ask carol?']);

  const third = await stage.device('carol', CAROL, cpmServices.session);
  const [group, carol] = [await SipChat.of(other), await SipChat.of(third)];
  const [created, invitation, , bye] = await Promise.all([
    group.createGroup(
      ['sip:alice@ims.test;method=INVITE?Session-Replaces=one-to-one', 'sip:carol@ims.test'],
      'group-1',
    ),
    next(alice, 'InviteUser-Request'),
    carol.answer(),
    bob.answer('BYE', 200),
  ]);
  expect(bye.get('Reason')).toContain('Session replaced');
  const id = textOf(invitation, 'GroupID')!;
  expect((await alice.request(joinGroup(id, 'Alice'))).name).toBe('JoinGroup-Response');
  expect(await group.say(chat('g-1', 'all together', { asks: '' }))).toBe(200);
  const heard = await next(alice, 'NewMessage', 'all together');
  expect([textOf(heard, 'ContentData'), sname(heard)]).toEqual(['all together', 'bob']);
  await hears(carol, 'all together');
  expect(codeOf(await alice.request(toGroup('here', everybody(id))))).toBe(200);
  await Promise.all([hears(group, 'here'), hears(carol, 'here')]);

  // who has it is known with the next commit, which a registration waits for
  await expect.poll(() => stage.queuedInGroups()).toBe('0');
  await third.register(device(CAROL, [cpmServices.message, cpmServices.session]), { Supported: 'gruu' });
  // all come into the group again: the devices by themselves, the gateway for the phone
  await stage.killAndRestart();
  const focus = created.contacts[0]!.uriText;
  const [bobAgain, carolAgain] = [await SipChat.of(other), await SipChat.of(third)];
  for (const again of [bobAgain, carolAgain])
    expect((await again.invite(focus, { 'Contribution-ID': 'group-1' })).status).toBe(200);
  expect(await bobAgain.say(chat('g-2', 'back again', { asks: '' }))).toBe(200);
  await next(alice, 'NewMessage', 'back again');
  await hears(carolAgain, 'back again');
  expect(codeOf(await alice.request(toGroup('me too', everybody(id))))).toBe(200);
  await Promise.all([hears(bobAgain, 'me too'), hears(carolAgain, 'me too')]);
  for (const again of [bobAgain, carolAgain])
    expect(again.heard.filter((text) => text.endsWith('here'))).toEqual([]);
  expect(codeOf(await alice.request(element('LeaveGroup-Request', element('GroupID', id))))).toBe(200);
}

const hears = ({ heard }: SipChat, text: string): Promise<void> =>
  expect.poll(() => heard.some((cpim) => cpim.endsWith(text)), { timeout: 40_000 }).toBe(true);

describe('an IMPS phone and a SIP user with two devices', () => {
  it.each<[string, 'LMDB' | 'Redis', Coding]>([
    ['XML, on LMDB', 'LMDB', xmlCoding],
    ['WBXML, on Redis', 'Redis', wbxmlCoding],
  ])(
    'hold a conversation with receipts, extend it to a group, through logout, WVON, kill and restart: %s',
    { timeout: 300_000 },
    async (_name, kind, coding) => {
      if (kind === 'Redis' && missing('redis-server')) return;
      const stage = await Stage.of(await storeAt(kind));
      const [one, two] = [
        await stage.device('bob', BOB, cpmServices.session),
        await stage.device('bob', BOB2),
      ];
      const both = async (): Promise<[SipRequest, SipRequest]> =>
        Promise.all([one.answer('MESSAGE', 200), two.answer('MESSAGE', 200)]);
      const alice = new ImpsPhone({
        url: `http://127.0.0.1:${stage.imps}`,
        user: 'wv:alice@ims.test',
        password: 'alice-secret',
        clientId: 'wv:ZOMI2.0$lab@FLY.X95.490154203237518',
        msisdn: NUMBER,
        coding,
      });

      // another device of alice's watches how the phone appears
      const tablet = await stage.device('alice', TABLET);
      tablet.send('SUBSCRIBE', tablet.aor, {
        Event: 'reg',
        Accept: 'application/reginfo+xml',
        Expires: '600',
      });
      await tablet.answer('NOTIFY', 200);
      await alice.start(element('SupportedOfflineBearer', 'SSMS'));
      let seen = bodyOf(await tablet.answer('NOTIFY', 200));
      while (!seen.includes('imps-gateway')) seen = bodyOf(await tablet.answer('NOTIFY', 200));
      expect(seen).toMatch(/pub-gruu[^>]*uri="sip:alice@ims\.test;gr=urn:uuid:[0-9a-f-]{36}"/);
      expect(seen).toContain('FLY X95');
      expect(seen).not.toContain('490154203237518');
      await tablet.register(`${device(TABLET, [cpmServices.message])};expires=0`);
      await expect.poll(async () => (await stage.phones('alice')).length, { timeout: 20_000 }).toBe(1);
      const [binding] = await stage.phones('alice');
      expect(binding).toMatchObject({ deviceName: 'FLY X95', instance: 'urn:gsma:imei:49015420-323751-0' });

      // the phone writes: both devices have it, one tells
      const sent = alice.request(message('Grüße', ['wv:bob@ims.test'], element('DeliveryReport', true)));
      const [toOne] = await both();
      expect(codeOf(await sent)).toBe(200);
      expect(textIn(toOne)).toBe('Grüße');
      const id = /imdn\.Message-ID: (\S+)/.exec(bodyOf(toOne))![1]!;
      const document =
        `<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${id}</message-id>` +
        '<datetime>2026-01-01T00:00:00Z</datetime><delivery-notification><status><delivered/></status></delivery-notification></imdn>';
      const told = chat('n-1', document, { asks: '', type: 'message/imdn+xml' });
      expect((await one.ask('MESSAGE', 'sip:alice@ims.test', MESSAGE, told)).status).toBe(200);
      const [report] = await alice.drain();
      expect([report!.name, codeOf(report!)]).toEqual(['DeliveryReport-Request', 200]);

      // the other device answers: the phone has it, and the device that asked hears of it
      const conversation = { ...MESSAGE, 'Conversation-ID': toOne.get('Conversation-ID')! };
      expect(
        (await two.ask('MESSAGE', 'sip:alice@ims.test', conversation, chat('m-1', 'hello'))).status,
      ).toBe(200);
      expect(await alice.messages()).toEqual(['hello']);
      const receipt = await two.answer('MESSAGE', 200);
      expect(bodyOf(receipt)).toMatch(/<message-id>m-1<\/message-id>[^]*<delivered\/>/);
      expect(receipt.get('Conversation-ID')).toBe(toOne.get('Conversation-ID'));

      // the process dies: the phone stays logged in, and a device with the same Instance ID
      await stage.killAndRestart();
      await expect.poll(async () => (await stage.phones('alice')).length, { timeout: 30_000 }).toBe(1);
      expect((await stage.phones('alice'))[0]).toMatchObject({ publicGruu: binding!['publicGruu'] });
      expect(
        (await one.ask('MESSAGE', 'sip:alice@ims.test', MESSAGE, chat('m-2', 'still there?'))).status,
      ).toBe(200);
      expect(await alice.messages()).toEqual(['still there?']);
      await one.answer('MESSAGE', 200);

      await extendToGroup(stage, [one, two], alice, String(binding!['publicGruu']));

      // the phone logs out: the message waits in one place, the phone hears that it does, the process dies again
      expect(codeOf(await alice.request(element('Logout-Request')))).toBe(200);
      await expect.poll(async () => (await stage.phones('alice')).length, { timeout: 20_000 }).toBe(0);
      expect(
        (await one.ask('MESSAGE', 'sip:alice@ims.test', MESSAGE, chat('m-3', 'while away'))).status,
      ).toBe(202);
      const [page] = await stage.smsc.until(1);
      expect(page).toMatchObject({ text: 'WVON 1.3 Offline-Message-Notification', to: NUMBER.slice(1) });
      await stage.killAndRestart();
      await alice.start(element('SupportedOfflineBearer', 'SSMS'));
      await expect.poll(() => alice.messages(), { timeout: 30_000 }).toEqual(['while away']);
      const stored = bodyOf(await one.answer('MESSAGE', 200));
      expect(stored).toMatch(/<message-id>m-3<\/message-id>[^]*<delivered\/>/);
      const waiting = await (await fetch(`${stage.api}/api/v1/messages`)).json();
      expect(waiting).toEqual({ messages: [] });
      expect(await alice.messages()).toEqual([]);
      expect(codeOf(await alice.request(element('Logout-Request')))).toBe(200);
    },
  );
});
