import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SipResponse } from '../../src/sip/message/message.js';
import { meeting } from '../cpm/controlling/meeting.js';
import { useCleanups } from '../tools/cleanups.js';
import {
  acceptInvitation,
  acknowledge,
  cpmDevice,
  createGroup,
  descriptionIn,
  joinGroup,
  MsrpClient,
} from '../tools/group-party.js';
import { missing } from '../tools/install.js';
import type { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();
const EVERYBODY = 'sip:anonymous@anonymous.invalid';
const CAROL = '<entry uri="sip:carol@ims.test" cp:copyControl="to"/>';
const BOB = '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>';

async function program(store: string, port = 0): Promise<{ process: Program; port: number; api: string }> {
  // a busy machine must make the server neither refuse work nor send it twice
  const config = JSON.stringify({ sip: { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } } });
  const process = new Program(['serve'], {
    config,
    env: { PARLEY_AUTH: 'none', PARLEY_STORE: store, PARLEY_SIP_LISTEN: `udp:127.0.0.1:${port}` },
  });
  cleanups.push(() => process.dispose());
  return { process, ...(await process.ready()) };
}

async function device(user: string, n: number, port: number): Promise<Phone> {
  const phone = await cpmDevice(user, `6ca759e8-d1b1-5dee-95f9-e36d2aca6b0${n}`, port);
  cleanups.push(() => phone.close());
  return phone;
}

function msrp(name: string, description: Uint8Array): MsrpClient {
  const client = new MsrpClient(name, description);
  cleanups.push(() => client.close());
  return client;
}

/** Alice makes a group with bob, who is connected, and carol, whose device is not there. */
async function group(port: number): Promise<{ focus: string; alice: MsrpClient; bob: MsrpClient }> {
  const [alice, bob, carol] = [
    await device('alice', 1, port),
    await device('bob', 2, port),
    await device('carol', 3, port),
  ];
  createGroup(alice, BOB + CAROL);
  const [toBob, toCarol] = await Promise.all([bob.peer.request('INVITE'), carol.peer.request('INVITE')]);
  acceptInvitation(bob, toBob);
  const created = await alice.peer.response(200);
  acknowledge(alice, created);
  acceptInvitation(carol, toCarol);
  await carol.peer.request('ACK');
  await bob.peer.request('ACK');
  return {
    focus: created.contacts[0]!.uriText,
    alice: msrp('alice', created.body),
    bob: msrp('bob', descriptionIn(toBob)),
  };
}

async function rejoined(
  user: string,
  n: number,
  port: number,
  focus: string,
): Promise<[MsrpClient, SipResponse, Phone]> {
  const phone = await device(user, n, port);
  joinGroup(phone, focus);
  const response = await phone.peer.response(200);
  expect(response.status).toBe(200);
  acknowledge(phone, response);
  return [msrp(user, response.body), response, phone];
}

/** Says so many texts; resolves when all are acknowledged. */
async function say(client: MsrpClient, from: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    client.say(`say${text}`, from, EVERYBODY, `text ${text}.`);
    await client.until(new RegExp(`MSRP say${text} 200`));
  }
}

const TEXTS = ['0001', '0002', '0003', '0004', '0005'];
const inOrder = new RegExp(TEXTS.map((text) => `text ${text}\\.`).join('[^]*'));

/** A store that outlives its processes. */
function durable(): string {
  const folder = mkdtempSync(join(tmpdir(), 'parley-groups-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return `lmdb:${join(folder, 'data')}`;
}

const NAMES = ['alice', 'bob', 'carol'] as const;
type Lines = Record<(typeof NAMES)[number], MsrpClient>;

/** All talk at once until so many messages are acknowledged; then `stop` ends the server. @returns what was acknowledged, in order. */
async function talkUntil(round: number, lines: Lines, wanted: number, stop: () => void): Promise<string[]> {
  const acknowledged: string[] = [];
  const talk = async (name: (typeof NAMES)[number]): Promise<void> => {
    for (let n = 0; ; n++) {
      const text = `${name[0]}${round}${String(n).padStart(4, '0')}`;
      lines[name].say(`s${text}`, `sip:${name}@ims.test`, EVERYBODY, `text ${text}.`);
      await lines[name].until(new RegExp(`MSRP s${text} 200`));
      acknowledged.push(text);
      if (acknowledged.length === wanted) stop();
    }
  };
  await Promise.race([Promise.all(NAMES.map(talk)), ...NAMES.map((name) => lines[name].ended)]);
  return [...acknowledged];
}

describe('a group whose node is killed', () => {
  it(
    'under traffic has lost no acknowledged message, and keeps the order of each sender',
    { timeout: 180_000 },
    async () => {
      const store = durable();
      const heard = { alice: '', bob: '', carol: '' };
      const acknowledged: string[] = [];
      let lines: Lines | undefined;
      let focus = '';
      for (const round of [1, 2, 3]) {
        const { process, port } = await program(store);
        if (round === 1) {
          const met = await meeting(port, cleanups);
          [focus, lines] = [met.focus, met];
        } else {
          lines = {} as Lines;
          for (const [i, name] of NAMES.entries()) [lines[name]] = await rejoined(name, i, port, focus);
        }
        acknowledged.push(
          ...(await talkUntil(round, lines, 20 + Math.floor(Math.random() * 60), () =>
            process.child.kill('SIGKILL'),
          )),
        );
        await process.exit();
        for (const name of NAMES) heard[name] += lines[name].text;
      }
      const { port } = await program(store);
      for (const [i, name] of NAMES.entries()) {
        const [line] = await rejoined(name, i, port, focus);
        const wanted = acknowledged.filter((text) => !text.startsWith(name[0]!));
        const texts = (): string[] => [
          ...new Set([...(heard[name] + line.text).matchAll(/text (\w+)\./g)].map(([, text]) => text!)),
        ];
        await expect
          .poll(() => wanted.filter((text) => !texts().includes(text)), { timeout: 20_000 })
          .toEqual([]);
        for (const other of NAMES) {
          const theirs = texts().filter((text) => text.startsWith(other[0]!));
          expect(theirs).toEqual([...theirs].sort());
        }
      }
    },
  );

  it(
    'is joined again by its members, and no acknowledged message is missing',
    { timeout: 120_000 },
    async () => {
      const store = durable();
      const first = await program(store);
      const { focus, alice, bob } = await group(first.port);
      await bob.until(/MSRP open0001 200/);
      await say(alice, 'sip:alice@ims.test', TEXTS);
      first.process.child.kill('SIGKILL');
      await first.process.exit();

      const second = await program(store);
      const [carol, answer, phone] = await rejoined('carol', 4, second.port, focus);
      expect(answer.contacts[0]!.uriText).toBe(focus);
      expect(answer.get('Contribution-ID')).toBe('g77');
      expect(answer.get('Subject')).toBe('Trip planning');
      await carol.until(inOrder);
      const [backAgain] = await rejoined('bob', 5, second.port, focus);
      await say(carol, 'sip:carol@ims.test', ['0009']);
      await backAgain.until(/text 0009\./);
      phone.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
      const notify = await phone.peer.request('NOTIFY');
      expect(Buffer.from(notify.body).toString()).toMatch(/<user entity="sip:alice@ims.test"|<user-count>2</);
    },
  );

  it('leaves no device ringing that had said so: the next process ends what its predecessor began', async () => {
    const store = durable();
    const first = await program(store);
    const [alice, bob, carol] = [
      await device('alice', 1, first.port),
      await device('bob', 2, first.port),
      await device('carol', 3, first.port),
    ];
    createGroup(alice, BOB + CAROL);
    const [toBob, toCarol] = await Promise.all([bob.peer.request('INVITE'), carol.peer.request('INVITE')]);
    carol.peer.answer(toCarol, 180, { Contact: `<${carol.contact}>` }, 'carol');
    acceptInvitation(bob, toBob);
    const created = await alice.peer.response(200);
    acknowledge(alice, created);
    first.process.child.kill('SIGKILL');
    await first.process.exit();
    await program(store, first.port);
    const bye = await carol.answer('BYE', 200);
    expect([bye.callId, bye.toTag, bye.fromTag]).toEqual([toCarol.callId, 'carol', toCarol.fromTag]);
    carol.peer.answer(toCarol, 487, {}, 'carol');
    joinGroup(alice, created.contacts[0]!.uriText);
    const again = await carol.peer.request('INVITE');
    expect(again.callId).not.toBe(toCarol.callId);
  });

  it.skipIf(missing('redis-server'))(
    'is taken over by another node, and while it lives every node leads to it',
    { timeout: 120_000 },
    async () => {
      const redis = await RedisServer.start();
      cleanups.push(() => redis.dispose());
      const [a, b] = [await program(redis.url), await program(redis.url)];
      const { focus, alice, bob } = await group(a.port);
      await bob.until(/MSRP open0001 200/);
      await expect
        .poll(async () => {
          const phone = await device('bob', 6, b.port);
          joinGroup(phone, focus);
          const response = await phone.peer.response(200);
          if (response.status === 200) acknowledge(phone, response);
          return response.status;
        })
        .toBe(200);
      await say(alice, 'sip:alice@ims.test', TEXTS);
      a.process.child.kill('SIGKILL');
      await a.process.exit();
      let carol: MsrpClient | undefined;
      await expect
        .poll(
          async () => {
            const phone = await device('carol', 7, b.port);
            joinGroup(phone, focus);
            const response = await phone.peer.response(200);
            if (response.status !== 200) return response.status;
            acknowledge(phone, response);
            carol = msrp('carol', response.body);
            return 200;
          },
          { timeout: 20_000, interval: 1_000 },
        )
        .toBe(200);
      await carol!.until(inOrder);
    },
  );
});

describe('groups that the operator keeps', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'are there after %s with members, roles and subject, and with what members missed',
    { timeout: 120_000 },
    async (signal) => {
      const store = durable();
      const first = await program(store);
      const call = async (api: string, method: string, path: string, body?: object): Promise<unknown> => {
        const headers = { 'content-type': 'application/json' };
        const request = { method, ...(body && { headers, body: JSON.stringify(body) }) };
        return (await fetch(`${api}/api/v1/groups${path}`, request)).json();
      };
      const order = { chairman: 'sip:alice@ims.test', members: ['sip:bob@ims.test'], subject: 'Sales' };
      for (const kind of ['long-lived', 'pre-defined'])
        await call(first.api, 'POST', '', { ...order, name: kind, kind });
      await call(first.api, 'POST', '/gs-long-lived/members', { identity: 'sip:carol@ims.test' });
      const before = await call(first.api, 'GET', '');
      expect(before).toMatchObject({ groups: [{ subject: 'Sales' }, { kind: 'pre-defined' }] });
      const focus = 'sip:gs-long-lived@ims.test';
      const [alice, , phone] = await rejoined('alice', 1, first.port, focus);
      await alice.until(/MSRP open0001 200/);
      await say(alice, 'sip:alice@ims.test', TEXTS);
      first.process.child.kill(signal);
      if (signal === 'SIGTERM') await phone.answer('BYE', 200);
      await first.process.exit();

      const second = await program(store);
      expect(await call(second.api, 'GET', '')).toEqual(before);
      for (const [i, name] of ['bob', 'carol'].entries()) {
        const [line, answer] = await rejoined(name, 2 + i, second.port, focus);
        expect(answer.get('Subject')).toBe('Sales');
        await line.until(inOrder);
      }
    },
  );
});
