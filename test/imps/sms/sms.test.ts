import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UserId } from '../../../src/imps/address/wv-address.js';
import { readMessage, textCoding, writeMessage } from '../../../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import type { Transaction } from '../../../src/imps/codec/envelope.js';
import type { ImpsConfigInput } from '../../../src/imps/config.js';
import { concatenated, lettered } from '../../../src/imps/sms/parts.js';
import { textMessages } from '../../../src/imps/sms/user-data.js';
import { capabilityRequest, codeOf, message, serviceRequest } from '../tools/phone.js';
import { Smsc } from '../tools/smsc.js';
import { userId, world, type World } from '../tools/world.js';

const NUMBER = '+46701234567';
const ports = { to: 3590, from: 3590 };
let smsc: Smsc;
let here: World;
const smppConfig = (): NonNullable<ImpsConfigInput['smpp']> => ({
  host: '127.0.0.1',
  port: smsc.port,
  systemId: 'parley',
  password: 'smpp-key',
  address: '7700',
});
beforeEach(async () => {
  smsc = await Smsc.start();
  here = await world({ smpp: smppConfig() });
  await smsc.untilBound();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
  await smsc.close();
});

/** A telephone that speaks CSP by SMS alone. */
class SmsPhone {
  sessionId: string | undefined;
  #transaction = 0;

  async say(
    primitive: Element,
    mode: 'Request' | 'Response' = 'Request',
    given?: string,
  ): Promise<Transaction> {
    const id = given ?? String(++this.#transaction);
    const { sessionId } = this;
    const text = writeMessage(
      {
        version: '1.3',
        sessionType: sessionId ? 'Inband' : 'Outband',
        sessionId,
        transactions: [{ mode, id, primitive }],
        poll: undefined,
        cir: undefined,
      },
      textCoding,
    ).toString();
    const before = smsc.submitted.length;
    const options = { ports, eightBit: false, reference: this.#transaction, lettered: /^\S+/.exec(text)![0] };
    for (const part of textMessages(text, options)) expect(await smsc.deliver(NUMBER, part)).toBe(0);
    return this.heard(before);
  }

  /** The message that came after so many. */
  async heard(before: number): Promise<Transaction> {
    const parts: string[] = [];
    for (;;) {
      const { text } = (await smsc.until(before + parts.length + 1))[before + parts.length]!;
      const letters = /^(WV\d\d\D\D\d*)([a-z])([a-z]) /.exec(text);
      parts.push(letters ? text.slice(letters[0].length) : text);
      if (letters && letters[2] !== letters[3]) continue;
      const whole = letters ? `${letters[1]} ${parts.join('')}` : text;
      return readMessage(Buffer.from(whole), textCoding.contentType).message.transactions[0]!;
    }
  }

  async login(): Promise<void> {
    const { primitive } = await this.say(
      element(
        'Login-Request',
        element('UserID', userId('alice')),
        element('ClientID', element('URL', 'wv:tc1$lab@acme.m1.42')),
        element('Password', 'alice-secret'),
        element('SessionCookie', 'ck-1'),
      ),
    );
    expect(codeOf(primitive!)).toBe(200);
    this.sessionId = textOf(primitive, 'SessionID');
  }
}

const text = (content: string, eightBit = false) =>
  textMessages(content, { ports: undefined, eightBit, reference: 0, lettered: undefined })[0]!;

describe('CSP over SMS', () => {
  it('logs a phone in, negotiates, sends, tells it by SMS that something waits, and delivers', async () => {
    const phone = new SmsPhone();
    const bob = await here.phone('bob').start();
    await phone.login();
    expect(smsc.submitted[0]).toMatchObject({ to: NUMBER.slice(1), from: '7700', data: { ports } });
    const capabilities = await phone.say(
      capabilityRequest('1.3', element('SupportedCIRMethod', 'SSMS'), element('SupportedBearer', 'SMS')),
    );
    expect(capabilities.primitive?.children[0]?.children.map(({ name, text }) => `${name}=${text}`)).toEqual(
      expect.arrayContaining(['SupportedBearer=SMS', 'SupportedCIRMethod=SSMS']),
    );
    await phone.say(serviceRequest);
    expect(codeOf((await phone.say(message('hej {då} €', [userId('bob')]))).primitive!)).toBe(200);
    expect(await bob.messages()).toEqual(['hej {då} €']);

    const before = smsc.submitted.length;
    await bob.request(message('привет', [userId('alice')]));
    const cir = (await smsc.until(before + 1))[before]!;
    expect(cir).toMatchObject({ text: 'WVCI 1.3 ck-1', to: NUMBER.slice(1) });
    expect(cir.data).toMatchObject({ ports: { to: 3716 }, dataCoding: 0 });
    const pushed = await phone.say(element('Polling-Request'));
    expect(pushed.primitive?.name).toBe('NewMessage');
    expect(textOf(pushed.primitive, 'ContentData')).toBe('привет');
    const messageId = textOf(child(pushed.primitive, 'MessageInfo'), 'MessageID') ?? '';
    const told = smsc.submitted.length;
    await bob.request(message('second', [userId('alice')]));
    // it has come since it was told
    expect((await smsc.until(told + 1))[told]?.text).toBe('WVCI 1.3 ck-1');
    const second = await phone.say(
      element('MessageDelivered', element('MessageID', messageId)),
      'Response',
      pushed.id,
    );
    expect(textOf(second.primitive, 'ContentData')).toBe('second');
  });

  it('answers in the coding and to the port of the request, and in several messages when it must', async () => {
    const request = `WV13LR5 UI=${userId('alice')} CI=wv:x PW=alice-secret SC=${'c'.repeat(50)} TL=3600`;
    const whole = Buffer.from(request);
    const eight = { ports: { to: 3590, from: 50_000 }, part: undefined, dataCoding: 0x04 };
    await smsc.deliver(NUMBER, { ...eight, octets: whole.subarray(0, 133) });
    const [answer] = await smsc.until(1);
    expect(answer?.data).toMatchObject({ ports: { to: 50_000, from: 3590 }, dataCoding: 0x04 });
    expect(answer?.text).toMatch(/^WV13RL5 CI=wv:x ST=200 SI=\S+/);
  });

  it('puts together what user data headers split, in whatever order it comes', async () => {
    const request = `WV13LR6 UI=${userId('alice')} CI=wv:${'long'.repeat(40)} PW=alice-secret SC=1`;
    const parts = textMessages(request, { ports, eightBit: false, reference: 9, lettered: undefined });
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts.reverse()) expect(await smsc.deliver(NUMBER, part)).toBe(0);
    const [answer] = await smsc.until(1);
    expect(answer?.text).toMatch(/^WV13RL6ab /);
  });

  it.each([
    ['user data headers', undefined],
    ['letters of the syntax', 'WV13LR6'],
  ])('loses no acknowledged part to a crash: parts by %s', async (_title, letters) => {
    const request = `WV13LR6 UI=${userId('alice')} CI=wv:${'long'.repeat(40)} PW=alice-secret SC=1`;
    const parts = textMessages(request, { ports, eightBit: false, reference: 9, lettered: letters });
    expect(await smsc.deliver(NUMBER, parts[0]!)).toBe(0);
    here = await here.restart();
    await smsc.untilBound(2);
    for (const part of parts.slice(1)) expect(await smsc.deliver(NUMBER, part)).toBe(0);
    expect((await smsc.until(1))[0]?.text).toMatch(/^WV13RL6/);
    expect([concatenated, lettered].map((table) => here.store.size(table))).toEqual([0, 0]);
  });

  it('does not acknowledge a part that it cannot keep, and forgets parts without the rest', async () => {
    const request = `WV13LR6 UI=${userId('alice')} CI=wv:${'long'.repeat(40)} PW=alice-secret SC=1`;
    const parts = textMessages(request, { ports, eightBit: false, reference: 9, lettered: undefined });
    here.store.failure = new Error('the disk is full');
    expect(await smsc.deliver(NUMBER, parts[0]!)).not.toBe(0);
    here.store.failure = undefined;
    expect(here.errors.splice(0)).toHaveLength(1);
    expect(await smsc.deliver(NUMBER, parts[0]!)).toBe(0);
    await here.clock.advanceAsync(302_000, 1000);
    expect(here.store.size(concatenated)).toBe(0);
  });

  it('answers what it cannot read with nothing, and says why in the trail', async () => {
    for (const content of ['hello', 'WV13LR1 UI="', 'WV13LR1ca UI=x', 'HELO nobody'])
      expect(await smsc.deliver(NUMBER, text(content))).toBe(0);
    // a receipt is not a message
    expect(await smsc.deliver(NUMBER, text('id:1 stat:DELIVRD'), { esm_class: 0x04 })).toBe(0);
    expect(smsc.submitted).toEqual([]);
    expect(here.trail.counts().get('imps.sms-refused')).toBe(4);
  });

  it('does not take the number of a sender for proof of who it is, unless it is told to', async () => {
    await here.server.users.change(userId('bob'), (record) => ({ ...record, msisdn: NUMBER }));
    await smsc.deliver(NUMBER, text('WV13LR1 CI=wv:x SC=1'));
    expect((await smsc.until(1))[0]?.text).toMatch(/ST=\(531,/);
    await here.close();
    here = await world({ smpp: { ...smppConfig(), trustSender: true } });
    await smsc.untilBound(2);
    await here.server.users.create({
      user: userId('dora'),
      password: 'x',
      msisdn: NUMBER,
      state: 'active',
      createdAt: 0,
    });
    await smsc.deliver(NUMBER, text('WV13LR1 CI=wv:x SC=1'));
    expect((await smsc.until(2))[1]?.text).toMatch(/ST=200/);
  });
});

describe('CIR by standalone SMS', () => {
  it('goes to the number that HELO came from, which is kept for the next session', async () => {
    const capabilities = [element('SupportedCIRMethod', 'SSMS'), element('SupportedOfflineBearer', 'SSMS')];
    const alice = await here.phone('alice').start(...capabilities);
    const bob = await here.phone('bob').start();
    const agreed = await alice.negotiate(...capabilities);
    expect(textOf(agreed.children[0], 'CIRSMSAddress')).toBe('7700');
    await bob.request(message('nobody knows the number', [userId('alice')]));
    expect(smsc.submitted).toEqual([]);
    await smsc.deliver(NUMBER, text(`HELO ${alice.sessionId}`));
    expect((await smsc.until(1))[0]?.text).toBe('WVCI 1.3 cookie-1');
    await alice.drain();
    await alice.request(element('Logout-Request'));

    await bob.request(message('while away', [userId('alice')]));
    expect((await smsc.until(2))[1]).toMatchObject({
      text: 'WVON 1.3 Offline-Message-Notification',
      to: NUMBER.slice(1),
      data: { ports: { to: 3716 } },
    });
    const again = await here.phone('alice').start(...capabilities);
    expect(await again.messages()).toEqual(['while away']);
    await bob.request(message('online again', [userId('alice')]));
    expect((await smsc.until(3))[2]?.text).toBe('WVCI 1.3 cookie-1');
  });

  it.each([
    ['the user is provisioned with', 'wv:dora@ims.test'],
    ['is the address of the user', `wv:${NUMBER}@ims.test`],
  ])('goes to the number that %s, when no client told one', async (_title, address) => {
    const user = address as UserId;
    const msisdn = address.includes('+') ? undefined : NUMBER;
    await here.server.users.create({ user, password: 'x', msisdn, state: 'active', createdAt: 0 });
    const phone = await here
      .phone('dora', { user, password: 'x' })
      .start(element('SupportedCIRMethod', 'SSMS'), element('SupportedOfflineBearer', 'SSMS'));
    const bob = await here.phone('bob').start();
    await bob.request(message('hello', [user]));
    expect((await smsc.until(1))[0]).toMatchObject({ text: 'WVCI 1.3 cookie-1', to: NUMBER.slice(1) });
    await phone.drain();
    await phone.request(element('Logout-Request'));
    await bob.request(message('while away', [user]));
    expect((await smsc.until(2))[1]).toMatchObject({
      text: 'WVON 1.3 Offline-Message-Notification',
      to: NUMBER.slice(1),
    });
  });

  it('goes to no number that a client claims and that is none', async () => {
    const user = 'wv:+46709999999@ims.test' as UserId;
    await here.server.users.create({ user, password: 'x', state: 'active', createdAt: 0 });
    await here
      .phone('x', { user, password: 'x', msisdn: 'all;of=them' })
      .start(element('SupportedCIRMethod', 'SSMS'));
    await (await here.phone('bob').start()).request(message('hello', [user]));
    expect((await smsc.until(1))[0]?.to).toBe('46709999999');
  });

  it('without a push proxy carries WAP push itself: the PDU of a connectionless push to port 2948', async () => {
    const alice = await here
      .phone('alice', { msisdn: NUMBER })
      .start(element('SupportedCIRMethod', 'WAPSMS'));
    await (await here.phone('bob').start()).request(message('x', [userId('alice')]));
    const [push] = await smsc.until(1);
    expect(push?.data).toMatchObject({ ports: { to: 2948, from: 9200 }, dataCoding: 0x04 });
    expect(Buffer.from(push!.data.octets).subarray(1).toString('latin1')).toBe(
      '\u0006\u0003\u00c6\u00af\u008aWVCI 1.3 cookie-1',
    );
    await alice.drain();
  });

  it('that the SMSC does not take leaves the message where it is', async () => {
    smsc.submitStatus = 0x58;
    const alice = await here.phone('alice', { msisdn: NUMBER }).start(element('SupportedCIRMethod', 'SSMS'));
    await (await here.phone('bob').start()).request(message('kept', [userId('alice')]));
    await smsc.until(1);
    expect(await alice.messages()).toEqual(['kept']);
  });
});

describe('the link to the SMSC', () => {
  it('is bound with the configured name, and bound again after it broke, later each time', async () => {
    expect(smsc.binds).toEqual([{ systemId: 'parley', password: 'smpp-key' }]);
    expect(await smsc.enquire()).toBe(0);
    smsc.bindStatus = 0x0e;
    await smsc.drop();
    const times = [here.clock.now()];
    for (let count = 1; count <= 3; count++) times.push(await retried(count));
    smsc.bindStatus = 0;
    times.push(await retried(4));
    const waits = times.slice(1).map((time, index) => Math.floor((time - times[index]!) / 1000));
    expect(waits).toEqual([1, 2, 4, 8]);
    const refusal = { systemId: 'parley', status: 0x0e };
    expect(here.errors.splice(0)).toEqual([refusal, refusal, refusal]);
    const counts = here.trail.counts();
    for (let turn = 0; turn < 1000 && counts.get('imps.smsc-bound') !== 2; turn++)
      await new Promise((resolve) => setImmediate(resolve));
    expect(['bound', 'lost', 'refused'].map((what) => counts.get(`imps.smsc-${what}`))).toEqual([2, 1, 3]);
    expect(JSON.stringify(here.trail.recent())).not.toContain('smpp-key');
  });

  /** Lets time go on until the link has tried again. @returns when it did */
  async function retried(before: number): Promise<number> {
    for (let turn = 0; turn < 20_000 && smsc.binds.length === before; turn++) {
      here.clock.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(smsc.binds.length).toBe(before + 1);
    return here.clock.now();
  }
});
