import { describe, expect, it } from 'vitest';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import { referenceValue } from '../../../src/identity/feature-tags.js';
import { useCleanups } from '../../tools/cleanups.js';
import type { RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { patientServer } from '../patient-server.js';
import {
  ALICE,
  BOB,
  BOB2,
  device,
  establish,
  offer,
  SDP,
  SESSION,
  sessionsOf,
  setPolicy,
} from './session-world.js';

const cleanups = useCleanups();

const server = (settings?: Record<string, unknown>): Promise<RunningParley> =>
  patientServer(cleanups, settings);

async function phone(user: string, parley: RunningParley, contactParams?: string): Promise<Phone> {
  const opened = await Phone.open(user, parley.port);
  cleanups.push(() => opened.close());
  if (contactParams !== undefined) await opened.register(contactParams, { Supported: 'gruu' });
  return opened;
}

const quiet = (one: Phone): void => {
  expect(one.peer.unread.filter((message) => 'method' in message)).toEqual([]);
};

describe('a CPM 1-1 session', () => {
  it('gets the identifiers and the asserted service, is shown with both devices, and is gone after BYE', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const { invite, answer, fromCallee } = await establish(alice, bob);
    expect(invite.get('Contribution-ID')).toMatch(/^[0-9a-f-]{36}$/);
    expect(invite.get('Conversation-ID')).toMatch(/^[0-9a-f-]{36}$/);
    expect(invite.has('P-Preferred-Service')).toBe(false);
    expect(invite.get('P-Asserted-Identity')).toContain('sip:alice@ims.test');
    expect(invite.contacts[0]!.uriText).toMatch(/^sip:alice@ims\.test;gr=urn:uuid:/);
    expect(bob.peer.datagrams.join()).not.toContain('35824005');
    await expect
      .poll(() => sessionsOf(parley))
      .toMatchObject([
        {
          callId: invite.callId,
          service: cpmServices.session,
          caller: { user: 'sip:alice@ims.test', device: invite.contacts[0]!.uriText },
          callee: { user: 'sip:bob@ims.test', device: answer.contacts[0]!.uriText },
          contributionId: invite.get('Contribution-ID'),
          conversationId: invite.get('Conversation-ID'),
          mediaPath: false,
        },
      ]);
    expect(await sessionsOf(parley, '?aor=sip:bob@ims.test')).toHaveLength(1);
    bob.send('BYE', fromCallee.uri, fromCallee.headers);
    await alice.answer('BYE', 200);
    expect((await bob.peer.response(200)).status).toBe(200);
    await expect.poll(() => sessionsOf(parley)).toEqual([]);
    expect(await sessionsOf(parley, '?aor=sip:bob@ims.test')).toEqual([]);
  });

  it.each([
    ['caller', ['alice']],
    ['callee', ['bob']],
    ['caller and callee', ['alice', 'bob']],
  ])(
    'in whose media path the %s wants the server is one session of both users until its BYE',
    async (_, users) => {
      const parley = await server();
      const alice = await phone('alice', parley, device(ALICE));
      const bob = await phone('bob', parley, device(BOB));
      for (const user of users) await setPolicy(parley, `sip:${user}@ims.test`, { mediaPath: true });
      const { fromCallee } = await establish(alice, bob);
      for (const query of ['', '?aor=sip:alice@ims.test', '?aor=sip:bob@ims.test'])
        await expect
          .poll(() => sessionsOf(parley, query))
          .toMatchObject([{ mediaPath: true, caller: { user: alice.aor }, callee: { user: bob.aor } }]);
      // one in the path is enough for both
      expect(parley.app.msrp.figures.sessions).toBe(2);
      bob.send('BYE', fromCallee.uri, fromCallee.headers);
      await alice.answer('BYE', 200);
      await expect.poll(() => sessionsOf(parley)).toEqual([]);
      await expect.poll(() => parley.app.trail.counts().get('cpm.session-ended')).toBe(1);
    },
  );

  it('keeps identifiers that the caller gave, and two users have one conversation in both directions', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const given = {
      'Conversation-ID': 'f81d4fae7dec11d0a76500a0c91e6bf6',
      'Contribution-ID': 'abcdef',
      'InReplyTo-Contribution-ID': 'fedcba',
    };
    const named = await establish(alice, bob, given);
    for (const [name, value] of Object.entries(given)) expect(named.invite.get(name)).toBe(value);
    const there = await establish(alice, bob);
    const back = await establish(bob, alice);
    expect(back.invite.get('Conversation-ID')).toBe(there.invite.get('Conversation-ID'));
    expect(back.invite.get('Contribution-ID')).not.toBe(there.invite.get('Contribution-ID'));
  });

  it('of an anonymous caller shows the temporary GRUU, also when the device gave its public one, and no identity', async () => {
    const parley = await server();
    const alice = await phone('alice', parley);
    const registered = await alice.register(device(BOB2), { Supported: 'gruu' });
    const pub = registered.contacts[0]!.params.get('pub-gruu')!.replaceAll('"', '');
    const bob = await phone('bob', parley, device(BOB));
    const { invite } = await establish(alice, bob, {
      Privacy: 'id',
      Contact: `<${pub}>${device(BOB2)}`,
    });
    expect(invite.contacts[0]!.uriText).toMatch(/^sip:[^@]+@ims\.test;gr$/);
    expect(invite.contacts[0]!.params.has('+sip.instance')).toBe(false);
    expect(invite.has('P-Asserted-Identity')).toBe(false);
  });

  it('is asserted as the one service that was judged, whichever else its caller prefers', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    await setPolicy(parley, alice.aor, { services: ['sessions'] });
    await establish(alice, bob, {
      'P-Preferred-Service': `${cpmServices.session}, ${cpmServices.fileTransfer}`,
    });
    // the record has what the callee's function was told
    await expect.poll(() => sessionsOf(parley)).toMatchObject([{ service: cpmServices.session }]);
  });

  it('gets a session timer that the caller can do, and the caller refreshes when the callee can none', async () => {
    const parley = await server({ cpm: { sessionExpires: 600 } });
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const patient = await establish(alice, bob, { 'Min-SE': '3600' });
    expect(patient.invite.get('Session-Expires')).toBe('3600');
    alice.send('BYE', patient.fromCaller.uri, patient.fromCaller.headers);
    await bob.answer('BYE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    const { invite, answer, fromCaller } = await establish(alice, bob);
    expect(invite.get('Session-Expires')).toBe('600');
    expect(answer.get('Session-Expires')).toBe('600;refresher=uac');
    expect(answer.headers.hasToken('Require', 'timer')).toBe(true);
    await expect.poll(() => sessionsOf(parley)).toMatchObject([{ sessionExpires: 600 }]);
    alice.send('UPDATE', fromCaller.uri, { ...fromCaller.headers, 'Session-Expires': '300;refresher=uac' });
    await bob.answer('UPDATE', 200, { 'Session-Expires': '300;refresher=uac' });
    expect((await alice.peer.response(200)).status).toBe(200);
    await expect.poll(() => sessionsOf(parley)).toMatchObject([{ sessionExpires: 300 }]);
  });

  it('is modified by re-INVITE, and of two at once both get 491 through the server', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const { fromCaller, fromCallee } = await establish(alice, bob);
    alice.send('INVITE', fromCaller.uri, { ...fromCaller.headers, ...SDP }, offer());
    bob.send('INVITE', fromCallee.uri, { ...fromCallee.headers, ...SDP }, offer());
    const atBob = await bob.peer.request('INVITE');
    const atAlice = await alice.peer.request('INVITE');
    bob.peer.answer(atBob, 491);
    alice.peer.answer(atAlice, 491);
    expect((await alice.peer.response(200)).status).toBe(491);
    expect((await bob.peer.response(200)).status).toBe(491);
    expect(await sessionsOf(parley)).toHaveLength(1);
    alice.send('INVITE', fromCaller.uri, { ...fromCaller.headers, ...SDP }, offer());
    const modified = await bob.answer('INVITE', 200);
    expect(Buffer.from(modified.body).toString()).toBe(offer());
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('rings all devices with the service; the others are told that it was answered elsewhere', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const one = await phone('bob', parley, device(BOB));
    const two = await phone('bob', parley, device(BOB2));
    const plain = await phone('bob', parley, ';+sip.instance="<urn:gsma:imei:35824005-444444-0>"');
    const bare = await phone('bob', parley, '');
    alice.send('INVITE', 'sip:bob@ims.test', SESSION, offer());
    const rung = await two.peer.request('INVITE');
    two.peer.answer(rung, 180, {}, 'two');
    await one.answer('INVITE', 200);
    const cancel = await two.peer.request('CANCEL');
    expect(cancel.get('Reason')).toContain('Call completed elsewhere');
    expect((await alice.peer.response(200)).status).toBe(200);
    quiet(plain);
    quiet(bare);
  });

  it('on another device of the same user is another session', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const one = await phone('bob', parley, device(BOB));
    const two = await phone('bob', parley, device(BOB2));
    const gruu = (urn: string): string => `sip:bob@ims.test;gr=${urn}`;
    const first = await establish(alice, one, {}, gruu(BOB));
    const second = await establish(alice, two, {}, gruu(BOB2));
    await expect.poll(async () => (await sessionsOf(parley)).length).toBe(2);
    expect((await sessionsOf(parley)).map(({ callee }) => callee.device).sort()).toEqual(
      [gruu(BOB), gruu(BOB2)].sort(),
    );
    alice.send('BYE', first.fromCaller.uri, first.fromCaller.headers);
    await one.answer('BYE', 200);
    await expect
      .poll(async () => (await sessionsOf(parley)).map(({ callId }) => callId))
      .toEqual([second.invite.callId]);
    quiet(two);
  });

  it('follows a device that registers from another address in mid-session', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const { fromCaller } = await establish(alice, bob);
    const moved = await phone('bob', parley, device(BOB));
    alice.send('BYE', fromCaller.uri, fromCaller.headers);
    await moved.answer('BYE', 200);
    quiet(bob);
  });

  it('with a device that is gone ends: the other side gets 480 for its next request, and BYE is the end', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const { fromCaller } = await establish(alice, bob);
    await bob.register(device(BOB), { Expires: '0' });
    expect((await alice.ask('BYE', fromCaller.uri, fromCaller.headers)).status).toBe(480);
    await expect.poll(() => sessionsOf(parley)).toEqual([]);
    alice.send('INVITE', `sip:bob@ims.test;gr=${BOB}`, SESSION, offer());
    expect((await alice.peer.response(200)).status).toBe(480);
  });

  it('leads to the interworking function of the devices when none of them has the service', async () => {
    const parley = await server();
    const invited: string[] = [];
    parley.app.interworking.registry.add({
      name: 'simple-im',
      service: 'simple-im',
      addresses: [],
      features: ['+g.oma.sip-im'],
      capabilities: new Set(['session']),
      target: {
        knows: () => true,
        message: () => Promise.resolve(404),
        invitation: ({ recipient, response }) => {
          invited.push(recipient);
          response.send(486);
          return Promise.resolve();
        },
      },
    });
    const alice = await phone('alice', parley, device(ALICE));
    await phone('bob', parley, ';+g.oma.sip-im');
    expect((await alice.ask('INVITE', 'sip:bob@ims.test', SESSION, offer())).status).toBe(486);
    expect(invited).toEqual(['sip:bob@ims.test']);
  });
});

describe('an invitation is refused', () => {
  it('with 403 and Warning 399 when the caller may not use the service', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    expect(await setPolicy(parley, 'sip:alice@ims.test', { services: ['messages'] })).toBe(200);
    const answer = await alice.ask('INVITE', 'sip:bob@ims.test', SESSION, offer());
    expect(answer.status).toBe(403);
    expect(answer.get('Warning')).toBe('399 ims.test "127 Service not authorised"');
    await setPolicy(parley, 'sip:alice@ims.test', { services: ['sessions'] });
    for (const [service, status] of [
      [cpmServices.groupSession, 403],
      [cpmServices.fileTransfer, 403],
    ] as const) {
      const asked = { ...SDP, 'P-Preferred-Service': service };
      expect((await alice.ask('INVITE', 'sip:bob@ims.test', asked, offer())).status).toBe(status);
    }
    quiet(bob);
  });

  it('with 403 for a file that is offered as a session to, or by, whom may have no files', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const file = offer([
      'a=path:msrp://127.0.0.1:20000/9fA1kq0Zr3;tcp',
      'a=sendonly',
      'a=file-selector:name:"a.png" type:image/png size:100',
    ]);
    for (const user of [alice, bob]) {
      await setPolicy(parley, user.aor, { services: ['sessions'] });
      const answer = await alice.ask('INVITE', bob.aor, SESSION, file);
      expect([answer.status, answer.get('Warning')]).toEqual([
        403,
        '399 ims.test "127 Service not authorised"',
      ]);
      await setPolicy(parley, user.aor, { services: null });
    }
    quiet(bob);
  });

  it('with 480 when the only device of the callee said nothing of what it can do', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bare = await phone('bob', parley, '');
    expect((await alice.ask('INVITE', bare.aor, SESSION, offer())).status).toBe(480);
    alice.send('INVITE', bare.aor, SDP, offer());
    await bare.answer('INVITE', 200); // a call that is none of CPM rings it
  });

  it('with 403 when nobody asserts an identity', async () => {
    const parley = await server({ sip: { trusted: ['127.0.0.1'] } });
    const peer = await phone('alice', parley, device(ALICE));
    const Route = `<sip:orig@127.0.0.1:${parley.port};lr>`;
    const asked = { ...SESSION, Route, 'P-Served-User': '<sip:alice@ims.test>' };
    expect((await peer.ask('INVITE', 'sip:bob@ims.test', asked, offer())).status).toBe(403);
    const identity = { 'P-Asserted-Identity': '<sip:alice@ims.test>' };
    const known = await peer.ask('INVITE', 'sip:bob@ims.test', { ...asked, ...identity }, offer());
    expect(known.status).toBe(480); // nobody is there
  });

  it.each([
    ['an Instance ID of another device', `<sip:alice@127.0.0.1>${device(BOB2)}`],
    ['an Instance ID that is none', '<sip:alice@127.0.0.1>;+sip.instance="<urn:gsma:imei:1>"'],
    ['the GRUU of another user', `<sip:bob@ims.test;gr=${BOB}>`],
    ['a GRUU that is no text', '<sip:alice@ims.test;gr=%FF>'],
  ])('with 403 for %s in Contact', async (_, Contact) => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const answer = await alice.ask('INVITE', 'sip:bob@ims.test', { ...SESSION, Contact }, offer());
    expect(answer.status).toBe(403);
    quiet(bob);
  });

  it('when one has blocked the other: 603, or 403 as the callee wishes, and 403 to whom the caller blocks', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    const invite = async (): Promise<number> =>
      (await alice.ask('INVITE', 'sip:bob@ims.test', SESSION, offer())).status;
    await setPolicy(parley, 'sip:bob@ims.test', { blocked: ['sip:alice@IMS.test'] });
    expect(await invite()).toBe(603);
    await setPolicy(parley, 'sip:bob@ims.test', { blockedAnswer: 'forbid' });
    expect(await invite()).toBe(403);
    await setPolicy(parley, 'sip:bob@ims.test', { blocked: null, blockedAnswer: null });
    await setPolicy(parley, 'sip:alice@ims.test', { blocked: ['sip:bob@ims.test'] });
    expect(await invite()).toBe(403);
    quiet(bob);
  });

  it('with 480 while the callee is not to be disturbed, and 486 when one has as many sessions as allowed', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    await setPolicy(parley, 'sip:bob@ims.test', { doNotDisturb: true });
    expect((await alice.ask('INVITE', 'sip:bob@ims.test', SESSION, offer())).status).toBe(480);
    await setPolicy(parley, 'sip:bob@ims.test', { doNotDisturb: null, maxSessions: 1 });
    const { fromCaller } = await establish(alice, bob);
    await expect.poll(async () => (await sessionsOf(parley, '?aor=sip:bob@ims.test')).length).toBe(1);
    expect((await alice.ask('INVITE', 'sip:bob@ims.test', SESSION, offer())).status).toBe(486);
    alice.send('BYE', fromCaller.uri, fromCaller.headers);
    await bob.answer('BYE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    await expect.poll(async () => (await sessionsOf(parley, '?aor=sip:bob@ims.test')).length).toBe(0);
    await establish(alice, bob);
  });

  it('with 486 also while the only session that is allowed still rings', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    await setPolicy(parley, 'sip:bob@ims.test', { maxSessions: 1 });
    alice.send('INVITE', 'sip:bob@ims.test', SESSION, offer());
    const rings = await bob.peer.request('INVITE');
    expect((await alice.ask('INVITE', 'sip:bob@ims.test', SESSION, offer())).status).toBe(486);
    bob.peer.answer(rings, 603, {}, 'tag-bob');
    expect((await alice.peer.response(200)).status).toBe(603);
    await establish(alice, bob);
  });

  it.each([
    ['without a=path', []],
    ['with a path that is none', ['a=path:http://127.0.0.1:80/x']],
    ['with a path without a session', ['a=path:msrp://127.0.0.1:20000;tcp']],
  ])('with 488 when its offer of MSRP is %s', async (_, lines) => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const bob = await phone('bob', parley, device(BOB));
    expect((await alice.ask('INVITE', 'sip:bob@ims.test', SESSION, offer(lines))).status).toBe(488);
    quiet(bob);
  });
});

describe('an invitation reaches', () => {
  it('only the device that the callee chose', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const one = await phone('bob', parley, device(BOB));
    const two = await phone('bob', parley, device(BOB2));
    await setPolicy(parley, 'sip:bob@ims.test', { deliverTo: BOB2 });
    await establish(alice, two);
    quiet(one);
    // the caller's choice stands above it
    await establish(alice, one, {}, `sip:bob@ims.test;gr=${BOB}`);
  });

  it('in place of a session only the device that has it, also from a focus of another domain', async () => {
    const parley = await server({ sip: { trusted: ['127.0.0.1'] } });
    const alice = await phone('alice', parley, device(ALICE));
    const one = await phone('bob', parley, device(BOB));
    const two = await phone('bob', parley, device(BOB2));
    const asserted = { 'P-Asserted-Identity': '<sip:alice@ims.test>', 'Contribution-ID': 'c11' };
    await establish(alice, two, asserted, `sip:bob@ims.test;gr=${BOB2}`);
    await expect.poll(() => sessionsOf(parley)).toHaveLength(1);
    const focus = await phone('focus', parley);
    await establish(focus, two, {
      'Session-Replaces': 'c11',
      'Referred-By': '<sip:alice@ims.test>',
      'P-Asserted-Identity': '<sip:chat-1@conference.example>',
      Contact: '<sip:chat-1@conference.example;gr>;isfocus',
    });
    quiet(one);
  });

  it.each([
    ['a device', (mallory: Phone) => `<${mallory.contact}>`],
    ['a device that says it is a focus', (mallory: Phone) => `<${mallory.aor}>;isfocus`],
    ['a device that says it is a group', () => '<sip:gs-1@ims.test>;isfocus'],
  ])('all devices from %s, whatever session it says that it replaces and for whom', async (_who, contact) => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE));
    const mallory = await phone('mallory', parley, device('urn:uuid:7a6f1c1e-3d53-4d59-9c2c-4a7f9f8f2b55'));
    const one = await phone('bob', parley, device(BOB));
    const two = await phone('bob', parley, device(BOB2));
    await establish(alice, two, { 'Contribution-ID': 'c11' }, `sip:bob@ims.test;gr=${BOB2}`);
    await expect.poll(() => sessionsOf(parley)).toHaveLength(1);
    const forged = {
      ...SESSION,
      'Session-Replaces': 'c11',
      'Referred-By': '<sip:alice@ims.test>',
      Contact: contact(mallory),
    };
    await setPolicy(parley, 'sip:bob@ims.test', { maxSessions: 1 });
    expect((await mallory.ask('INVITE', 'sip:bob@ims.test', forged, offer())).status).toBe(486);
    mallory.send('ACK', 'sip:bob@ims.test');
    await setPolicy(parley, 'sip:bob@ims.test', { maxSessions: null });
    mallory.send('INVITE', 'sip:bob@ims.test', forged, offer());
    for (const bob of [one, two]) {
      const invite = await bob.peer.request('INVITE');
      expect([invite.has('Session-Replaces'), invite.has('Referred-By')]).toEqual([false, false]);
    }
    expect(parley.app.trail.recent({ code: 'cpm.replacement-ignored' })).toHaveLength(2);
  });

  it('as from anybody by a user without a device that says it is a focus, whichever core has vouched for it', async () => {
    const parley = await server({ sip: { trusted: ['127.0.0.1'] } });
    const mallory = await phone('mallory', parley);
    const bob = await phone('bob', parley, device(BOB));
    const forged = {
      'P-Asserted-Identity': `<${mallory.aor}>`,
      'Session-Replaces': 'c11',
      Contact: `<${mallory.aor}>;isfocus`,
    };
    mallory.send('INVITE', 'sip:bob@ims.test', { ...SESSION, ...forged }, offer());
    expect((await bob.peer.request('INVITE')).has('Session-Replaces')).toBe(false);
  });

  it('as large message only devices with large message mode, and is refused above the largest size', async () => {
    const parley = await server({ cpm: { policy: { maxBytes: 10_000 } } });
    const alice = await phone('alice', parley, device(ALICE));
    const chat = await phone('bob', parley, device(BOB));
    const large = await phone('bob', parley, device(BOB2, [cpmServices.largeMessage]));
    const headers = {
      ...SDP,
      'P-Preferred-Service': cpmServices.largeMessage,
      'Accept-Contact': `*;+g.3gpp.icsi-ref="${referenceValue([cpmServices.largeMessage])}"`,
    };
    const sized = (size: number): string =>
      offer([
        'a=path:msrp://127.0.0.1:20000/9fA1kq0Zr3;tcp',
        'a=sendonly',
        `a=file-selector:type:text/plain size:${size}`,
      ]);
    const answer = await alice.ask('INVITE', 'sip:bob@ims.test', headers, sized(10_001));
    expect(answer.status).toBe(403);
    expect(answer.get('Warning')).toBe('399 ims.test "133 Size exceeded"');
    alice.send('INVITE', 'sip:bob@ims.test', headers, sized(9_999));
    await large.answer('INVITE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    await expect.poll(() => sessionsOf(parley)).toMatchObject([{ service: cpmServices.largeMessage }]);
    quiet(chat);
  });
});
