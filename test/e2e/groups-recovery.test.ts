import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SipResponse } from '../../src/sip/message/message.js';
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

async function program(store: string): Promise<{ process: Program; port: number }> {
  // a busy machine must make the server neither refuse work nor send it twice
  const config = JSON.stringify({ sip: { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } } });
  const process = new Program(['serve'], { config, env: { PARLEY_AUTH: 'none', PARLEY_STORE: store } });
  cleanups.push(() => process.dispose());
  return { process, port: (await process.ready()).port };
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

describe('a group whose node is killed', () => {
  it(
    'is joined again by its members, and no acknowledged message is missing',
    { timeout: 120_000 },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'parley-groups-'));
      cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
      const store = `lmdb:${join(folder, 'data')}`;
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
        .poll(
          async () => {
            const phone = await device('bob', 6, b.port);
            joinGroup(phone, focus);
            const response = await phone.peer.response(200);
            if (response.status === 200) acknowledge(phone, response);
            return response.status;
          },
          { timeout: 8_000 },
        )
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
