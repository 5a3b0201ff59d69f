import { beforeEach, describe, expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { acceptInvitation, acknowledge, CPM_FEATURES, cpmDevice, joinGroup } from '../tools/group-party.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';

let parley: RunningParley;
beforeEach(async () => {
  parley = await startParley({ auth: 'none' });
  cleanups.push(() => parley.stop());
});
const cleanups = useCleanups();

async function device(user: string, n: number): Promise<Phone> {
  const phone = await cpmDevice(user, `6ca759e8-d1b1-5dee-95f9-e36d2aca6b0${n}`, parley.port);
  cleanups.push(() => phone.close());
  return phone;
}

async function api(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${parley.api}/api/v1${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
}

const SALES = {
  name: 'sales',
  subject: 'Sales',
  chairman: 'sip:alice@ims.test',
  members: ['sip:bob@ims.test'],
};

const FULL = { ...SALES, members: ['sip:bob@ims.test', 'sip:carol@ims.test'] };

async function run(...args: string[]): Promise<string> {
  const program = new Program(['--api', parley.api, 'groups', ...args]);
  cleanups.push(() => program.dispose());
  expect([await program.exit(), program.stderr]).toEqual([0, '']);
  return program.stdout;
}

describe('groups that the operator keeps', () => {
  it('are made once, shown, changed and closed', async () => {
    const made = await api('POST', '/groups', SALES);
    expect(made).toMatchObject({
      status: 201,
      body: {
        id: 'gs-sales',
        uri: 'sip:gs-sales@ims.test',
        kind: 'pre-defined',
        access: 'closed',
        members: [
          { identity: 'sip:alice@ims.test', state: 'away', role: 'chairman' },
          { identity: 'sip:bob@ims.test', role: 'participant' },
        ],
      },
    });
    expect((await api('POST', '/groups', SALES)).status).toBe(409);
    expect((await api('POST', '/groups', { chairman: 'nobody' })).status).toBe(400);
    expect(
      (await api('POST', '/groups/gs-sales/members', { identity: 'tel:+1-555-0100' })).body,
    ).toMatchObject({
      members: [{}, {}, { identity: 'tel:+15550100', state: 'away' }],
    });
    expect((await api('DELETE', '/groups/gs-sales/members/sip%3Abob%40ims.test')).status).toBe(204);
    expect((await api('DELETE', '/groups/gs-sales/members/sip%3Anobody%40ims.test')).status).toBe(404);
    expect((await api('GET', '/groups')).body).toMatchObject({ groups: [{ id: 'gs-sales', maximum: 100 }] });
    expect((await api('DELETE', '/groups/gs-sales')).status).toBe(204);
    expect((await api('GET', '/groups/gs-sales')).status).toBe(404);
    expect((await api('DELETE', '/groups/gs-sales')).status).toBe(404);
  });

  it.each(['mailto:dora@mail.test', 'wv:erik@imps.test'])('may have %s for a member', async (identity) => {
    await api('POST', '/groups', { ...SALES, members: [identity] });
    const path = '/groups/gs-sales/members';
    expect((await api('DELETE', `${path}/${encodeURIComponent(identity)}`)).status).toBe(204);
    expect((await api('POST', path, { identity })).body).toMatchObject({
      members: [{}, { identity, state: 'away' }],
    });
  });

  it('that are pre-defined are invited as a whole by the first member that comes', async () => {
    await api('POST', '/groups', SALES);
    const [alice, bob] = [await device('alice', 1), await device('bob', 2)];
    joinGroup(alice, 'sip:gs-sales@ims.test');
    const invitation = await bob.peer.request('INVITE');
    expect(invitation.get('Subject')).toBe('Sales');
    acceptInvitation(bob, invitation);
    const answer = await alice.peer.response(200);
    expect(answer.status).toBe(200);
    acknowledge(alice, answer);
    await bob.peer.request('ACK');
    expect((await api('GET', '/groups/gs-sales')).body).toMatchObject({
      members: [
        { state: 'connected', endpoints: 1 },
        { state: 'connected', endpoints: 1 },
      ],
    });
    const metrics = await (await fetch(`${parley.api}/metrics`)).text();
    expect(metrics).toMatch(/^parley_groups_running 1$/m);
    expect(metrics).toMatch(/^parley_group_sessions 2$/m);
    expect((await api('DELETE', '/groups/gs-sales')).status).toBe(204);
    const bye = await bob.peer.request('BYE');
    expect(bye.get('Reason')).toContain('cause=410');
    bob.peer.answer(bye, 200);
  });

  it('that are long-lived outlive their sessions, and open ones take anybody', async () => {
    await api('POST', '/groups', { ...SALES, kind: 'long-lived', access: 'open' });
    const carol = await device('carol', 3);
    joinGroup(carol, 'sip:gs-sales@ims.test');
    const answer = await carol.peer.response(200);
    expect(answer.status).toBe(200);
    acknowledge(carol, answer);
    const { id } = ((await api('GET', '/groups')).body as { groups: { id: string }[] }).groups[0]!;
    const route = answer.headers
      .lines('Record-Route')
      .flatMap((line) => line.split(/,(?=\s*<)/))
      .reverse();
    carol.send('BYE', answer.contacts[0]!.uriText, {
      Route: route,
      From: answer.get('From'),
      To: answer.get('To'),
      'Call-ID': answer.callId,
      CSeq: `${answer.cseq.number + 1} BYE`,
    });
    expect((await carol.peer.response(200)).status).toBe(200);
    await expect
      .poll(async () => (await api('GET', `/groups/${id}`)).body)
      .toMatchObject({ members: [{}, {}, { identity: 'sip:carol@ims.test', state: 'away' }] });
  });

  it.each([
    ['of a further domain of the server', 'sip:erin@second.test'],
    ['whose first identity is a number', 'sip:frank@ims.test'],
  ])('that are open take a user %s', async (_, aor) => {
    await parley.stop();
    const identities = ['tel:+15550155', 'sip:frank@ims.test'];
    const frank = { privateId: 'frank@ims.test', password: 'frank-secret', identities };
    parley = await startParley({ auth: 'none', domains: ['second.test'], subscribers: [frank] });
    await api('POST', '/groups', { ...SALES, kind: 'long-lived', access: 'open' });
    const phone = await Phone.open(aor.slice(4, aor.indexOf('@')), parley.port);
    cleanups.push(() => phone.close());
    const From = `<${aor}>;tag=1`;
    expect((await phone.register(CPM_FEATURES, { To: `<${aor}>`, From })).status).toBe(200);
    joinGroup(phone, 'sip:gs-sales@ims.test', 'g77', { From });
    const answer = await phone.peer.response(200);
    expect(answer.status).toBe(200);
    acknowledge(phone, answer);
  });

  it('are steered by the command', { timeout: 120_000 }, async () => {
    expect(await run()).toContain('no groups');
    expect(await run('make', 'sales', 'sip:alice@ims.test', 'sip:bob@ims.test')).toContain(
      'sip:gs-sales@ims.test',
    );
    expect(await run('list')).toMatch(/gs-sales +pre-defined +closed +0 +2/);
    expect(await run('add', 'gs-sales', 'sip:carol@ims.test')).toContain('added sip:carol@ims.test');
    expect(await run('remove', 'gs-sales', 'sip:bob@ims.test')).toContain('removed sip:bob@ims.test');
    // who was put out is shown, and counts no more
    expect(await run('list')).toMatch(/gs-sales +pre-defined +closed +0 +2/);
    const shown = await run('show', 'gs-sales');
    expect(shown).toContain('sip:gs-sales@ims.test');
    expect(shown).toMatch(/sip:alice@ims\.test +away +chairman +0/);
    expect(shown).toMatch(/sip:bob@ims\.test +removed +participant +0/);
    expect(shown).toMatch(/sip:carol@ims\.test +away +participant +0/);
    expect(await run('close', 'gs-sales')).toContain('closed gs-sales');
    await run('make', 'small', 'sip:alice@ims.test', '--subject', 'Few', '--maximum', '5', '--minimum', '2');
    expect((await api('GET', '/groups/gs-small')).body).toMatchObject({
      subject: 'Few',
      maximum: 5,
      minimum: 2,
      access: 'closed',
    });
    await run('close', 'gs-small');
    expect(await run()).toContain('no groups');
  });

  it.each([
    ['show', 'gs-nobody', []],
    ['close', 'gs-nobody', []],
    ['add', 'gs-nobody', ['sip:bob@ims.test']],
    ['add', 'gs-sales', ['nobody']],
    ['remove', 'gs-sales', ['sip:nobody@ims.test']],
    ['make', 'Sales!', ['sip:alice@ims.test']],
  ])('say why `parley groups %s %s` cannot be done', { timeout: 60_000 }, async (action, id, rest) => {
    await api('POST', '/groups', SALES);
    const program = new Program(['--api', parley.api, 'groups', action, id, ...rest]);
    cleanups.push(() => program.dispose());
    expect(await program.exit()).toBe(1);
    expect(program.stderr.trim()).not.toBe('');
    expect(program.stdout).toBe('');
  });

  it('are refused with the status that says why', async () => {
    const wrong: readonly (readonly [string, string, string, object | undefined, number])[] = [
      ['of a kind that is none', 'POST', '/groups', { ...SALES, kind: 'ad-hoc' }, 400],
      ['without a chairman', 'POST', '/groups', { name: 'x' }, 400],
      ['with a name that no URI may have', 'POST', '/groups', { ...SALES, name: 'a b' }, 400],
      [
        'with a member that is no address',
        'POST',
        '/groups',
        { ...SALES, name: 'x', members: ['nobody'] },
        400,
      ],
      [
        'with a line break in its subject',
        'POST',
        '/groups',
        { ...SALES, name: 'x', subject: 'a\r\nb: c' },
        400,
      ],
      ['with more members than it may have', 'POST', '/groups', { ...FULL, name: 'x', maximum: 2 }, 409],
      ['of a name that is taken', 'POST', '/groups', SALES, 409],
      ['that does not exist', 'GET', '/groups/gs-nobody', undefined, 404],
      ['that does not exist', 'POST', '/groups/gs-nobody/members', { identity: 'sip:bob@ims.test' }, 404],
      ['that does not exist', 'DELETE', '/groups/gs-nobody/members/sip%3Abob%40ims.test', undefined, 404],
      ['with a member that is no address', 'POST', '/groups/gs-sales/members', { identity: 'nobody' }, 400],
      ['with itself', 'POST', '/groups/gs-sales/members', { identity: 'sip:gs-sales@ims.test' }, 400],
      ['with a group', 'POST', '/groups', { ...SALES, name: 'x', members: ['sip:gs-sales@ims.test'] }, 400],
      ['without the member', 'POST', '/groups/gs-sales/members', {}, 400],
      ['without that member', 'DELETE', '/groups/gs-sales/members/sip%3Anobody%40ims.test', undefined, 404],
      ['more than a page holds', 'GET', '/groups?limit=1001', undefined, 400],
    ];
    expect((await api('POST', '/groups', SALES)).status).toBe(201);
    for (const [why, method, path, body, status] of wrong) {
      const answer = await api(method, path, body);
      expect([why, answer.status]).toEqual([why, status]);
      expect(answer.body).toMatchObject({ error: expect.any(String) as string });
    }
  });
});
