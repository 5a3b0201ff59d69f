import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { element, textOf } from '../../src/imps/codec/element.js';
import { chat, cpmDevice, SipChat } from '../gateway/sip-chat.js';
import { codeOf, Phone as ImpsPhone } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();

const config = `
auth: none
sip: { overloadDelay: 60000 }
subscribers:
  - { privateId: alice@ims.test, password: alice-secret, identities: ['sip:alice@ims.test'], imps: 'wv:alice@ims.test' }
`;

async function storeAt(kind: 'LMDB' | 'Redis'): Promise<string> {
  if (kind === 'Redis') {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    return redis.url;
  }
  const folder = mkdtempSync(join(tmpdir(), 'parley-gateway-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return `lmdb:${join(folder, 'data')}`;
}

/** A server that can be started again, Bob's SIP device and Alice's phone, which is logged in. */
async function started(kind: 'LMDB' | 'Redis'): Promise<{
  serve: () => Promise<Program>;
  first: Program;
  sip: Phone;
  imps: ImpsPhone;
}> {
  const [sipPort, impsPort] = [await freePort(), await freePort()];
  const env = {
    PARLEY_STORE: await storeAt(kind),
    PARLEY_SIP_LISTEN: `udp:127.0.0.1:${sipPort}`,
    PARLEY_IMPS_LISTEN: `127.0.0.1:${impsPort}`,
  };
  const serve = async (): Promise<Program> => {
    const program = new Program(['serve'], { config, env });
    cleanups.push(() => program.dispose());
    await program.ready();
    return program;
  };
  const first = await serve();
  const sip = await Phone.registered('bob', sipPort, cpmDevice);
  cleanups.push(() => sip.close());
  const url = `http://127.0.0.1:${impsPort}`;
  const imps = await new ImpsPhone({ url, user: 'wv:alice@ims.test', password: 'alice-secret' }).start();
  return { serve, first, sip, imps };
}

describe('a session of a phone when the process is killed', () => {
  it.each(['LMDB', 'Redis'] as const)(
    'is ended at the next start, and what was acknowledged in it is delivered: %s',
    { timeout: 90_000 },
    async (kind) => {
      if (kind === 'Redis' && missing('redis-server')) return;
      const { serve, first, sip: phone, imps: alice } = await started(kind);
      const bob = await SipChat.of(phone);
      await expect
        .poll(async () => (await bob.invite('sip:alice@ims.test')).status, { timeout: 20_000 })
        .toBe(200);
      expect(await bob.say(chat('m-1', 'acknowledged', { asks: '' }))).toBe(200);
      first.child.kill('SIGKILL');
      await first.exit();

      await serve();
      const bye = await phone.answer('BYE', 200);
      expect(bye.get('Reason')).toContain('The server started again');
      expect(await alice.messages()).toEqual(['acknowledged']);
    },
  );
});

describe('a phone in a group when the process is killed', () => {
  it('comes in again by itself, and gets what is said then', { timeout: 90_000 }, async () => {
    const { serve, first, sip: phone, imps: alice } = await started('LMDB');
    const { api } = await first.ready();
    const registrations = `${api}/api/v1/registrations/${encodeURIComponent('sip:alice@ims.test')}`;
    await expect
      .poll(async () => await (await fetch(registrations)).text(), { timeout: 20_000 })
      .toContain('imps-gateway');
    const invitation = async (): Promise<string> => {
      for (;;)
        for (const primitive of await alice.drain())
          if (primitive.name === 'InviteUser-Request') {
            const answer = [element('InviteID', textOf(primitive, 'InviteID')), element('Acceptance', true)];
            await alice.request(element('InviteUser-Response', answer));
            return textOf(primitive, 'GroupID')!;
          }
    };
    const [created, group] = await Promise.all([
      (await SipChat.of(phone)).createGroup(['sip:alice@ims.test'], 'group-1'),
      invitation(),
    ]);
    const focus = created.contacts[0]!.uriText;
    const joined = await alice.request(element('JoinGroup-Request', element('GroupID', group)));
    expect(joined.name).toBe('JoinGroup-Response');
    first.child.kill('SIGKILL');
    await first.exit();

    await serve();
    const bob = await SipChat.of(phone);
    expect((await bob.invite(focus, { 'Contribution-ID': 'group-1' })).status).toBe(200);
    expect(await bob.say(chat('g-1', 'back again', { asks: '' }))).toBe(200);
    await expect.poll(() => alice.messages(), { timeout: 40_000 }).toEqual(['back again']);
  });
});

describe('an invitation by a phone when the process is killed', () => {
  it("is still the phone's to take back", { timeout: 90_000 }, async () => {
    const { serve, first, sip: bob, imps: alice } = await started('LMDB');
    const group = element('GroupID', 'wv:alice/picnic@ims.test');
    const create = element(
      'CreateGroup-Request',
      group,
      element('GroupProperties'),
      element('JoinGroup', true),
      element('SubscribeNotification', false),
    );
    expect(codeOf(await alice.request(create))).toBe(200);
    const recipient = element('Recipient', element('User', element('UserID', 'wv:bob@ims.test')));
    const id = element('InviteID', 'i-1');
    const invite = element('Invite-Request', id, element('InviteType', 'GR'), recipient, group);
    expect(codeOf(await alice.request(invite))).toBe(200);
    await bob.answer('INVITE', 180);
    first.child.kill('SIGKILL');
    await first.exit();

    await serve();
    expect(codeOf(await alice.request(element('CancelInvite-Request', id, recipient)))).toBe(200);
    expect(codeOf(await alice.request(element('CancelInvite-Request', id, recipient)))).toBe(423);
  });
});
