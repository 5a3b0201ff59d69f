import { afterEach, describe, expect, it } from 'vitest';
import { child, element, textOf, type Element } from '../../src/imps/codec/element.js';
import { offer, SESSION } from '../cpm/participating/session-world.js';
import { codeOf, detailsOf } from '../imps/tools/phone.js';
import {
  createGroup,
  everybody,
  inviteTo,
  joinGroup,
  next,
  privately,
  sname,
  toGroup,
} from './phone-in-group.js';
import { chat, numberedDevice as device, SipChat } from './sip-chat.js';
import { GatewayWorld, until } from './world.js';

let world: GatewayWorld;
afterEach(() => world.close());

const start = async (): Promise<void> => {
  // a busy machine must not have a request sent twice
  world = await GatewayWorld.start({ sip: { timers: { t1: 10_000, t2: 10_000 } } });
};
const sip = async (user: string, number: number): Promise<SipChat> =>
  SipChat.of(await world.sip(user, device(number)));

const answer = (invitation: Element, accepted: boolean): Element =>
  element(
    'InviteUser-Response',
    element('InviteID', textOf(invitation, 'InviteID')),
    element('Acceptance', accepted),
  );
const accept = (invitation: Element): Element => answer(invitation, true);
const decline = (invitation: Element): Element => answer(invitation, false);

describe('a phone whose session a CPM user extends to a group', () => {
  it('follows into the group, and is in it with both others', async () => {
    await start();
    const bob = await sip('bob', 1);
    const carol = await sip('carol', 2);
    const alice = await world.loggedIn('alice');
    expect((await bob.invite('sip:alice@ims.test', { 'Contribution-ID': 'one-to-one' })).status).toBe(200);
    expect(await bob.say(chat('m-1', 'hello', { asks: '' }))).toBe(200);
    expect(await alice.messages()).toEqual(['hello']);

    const group = await sip('bob', 3);
    const created = group.createGroup(
      ['sip:alice@ims.test;method=INVITE?Session-Replaces=one-to-one', 'sip:carol@ims.test'],
      'group-1',
    );
    const [invitation, , bye] = await Promise.all([
      next(alice, 'InviteUser-Request'),
      carol.answer(),
      bob.phone.answer('BYE', 200),
      created,
    ]);
    expect(bye.get('Reason')).toContain('Session replaced');
    const id = textOf(invitation, 'GroupID')!;
    expect(textOf(child(child(invitation, 'Sender'), 'User'), 'UserID')).toBe('wv:bob@ims.test');
    expect((await alice.request(joinGroup(id, 'Alice'))).name).toBe('JoinGroup-Response');

    expect(await group.say(chat('g-1', 'all together', { asks: '' }))).toBe(200);
    const heard = await next(alice, 'NewMessage');
    expect([textOf(heard, 'ContentData'), sname(heard)]).toEqual(['all together', 'bob']);
    expect(codeOf(await alice.request(toGroup('here', everybody(id))))).toBe(200);
    await until(
      () => [group, carol].every(({ heard: all }) => all.some((text) => text.endsWith('here'))) || undefined,
    );

    expect(await carol.nickname('Caz')).toBe(200);
    await until(async () => {
      const members = await alice.request(element('GetJoinedUsers-Request', element('GroupID', id)));
      return JSON.stringify(members).includes('Caz') || undefined;
    });
    expect(codeOf(await alice.request(toGroup('psst', privately(id, 'Caz'))))).toBe(200);
    await until(() => carol.heard.some((text) => text.endsWith('psst')) || undefined);
    expect(group.heard.some((text) => text.endsWith('psst'))).toBe(false);

    expect((await carol.bye('SIP;cause=200;text="Call completed"')).status).toBe(200);
    await next(alice, 'GroupChangeNotice', '"Left"');
    await alice.request(element('LeaveGroup-Request', element('GroupID', id)));
    expect(detailsOf(await alice.request(toGroup('gone', everybody(id))))).toEqual([`808 ${id}`]);
    expect(await group.say(chat('g-2', 'who is there', { asks: '' }))).toBe(200);
    expect(await alice.messages()).toEqual([]);
  });
});

/** Groups of the IMPS server. */
const groups = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const { group } of world.parley.app.imps!.server.transfers.groups.all()) found.push(group);
  return found;
};

describe('a phone that a CPM user invites to a group', () => {
  it('is asked, and hears when the invitation is taken back', async () => {
    await start();
    const bob = await sip('bob', 1);
    const carol = await sip('carol', 2);
    const alice = await world.loggedIn('alice');
    const created = bob.createGroup(['sip:alice@ims.test', 'sip:carol@ims.test'], 'group-1');
    const invitation = await next(alice, 'InviteUser-Request');
    expect(textOf(invitation, 'InviteNote')).toBe('Trip planning');
    await carol.answer();
    const { contacts } = await created;
    await bob.phone.ask('REFER', contacts[0]!.uriText, {
      'Refer-To': '<sip:alice@ims.test;method=BYE>',
      'Refer-Sub': 'false',
    });
    const cancelled = await next(alice, 'CancelInviteUser-Request');
    expect(textOf(cancelled, 'InviteID')).toBe(textOf(invitation, 'InviteID'));
  });

  it('declines, or accepts and joins', async () => {
    await start();
    const bob = await sip('bob', 1);
    const alice = await world.loggedIn('alice');
    const [declined] = await Promise.all([
      bob.createGroup(['sip:alice@ims.test'], 'group-1'),
      next(alice, 'InviteUser-Request').then((invitation) => alice.request(decline(invitation))),
    ]);
    expect(declined.status).toBe(603);
    // nothing stays of a group that nobody came to
    expect(await groups()).toEqual([]);
    const again = await sip('bob', 3);
    const [accepted, group] = await Promise.all([
      again.createGroup(['sip:alice@ims.test'], 'group-2'),
      next(alice, 'InviteUser-Request').then(async (invitation) => {
        await alice.request(accept(invitation));
        return textOf(invitation, 'GroupID')!;
      }),
    ]);
    expect(accepted.status).toBe(200);
    expect((await alice.request(joinGroup(group, 'Alice'))).name).toBe('JoinGroup-Response');
    expect(codeOf(await alice.request(toGroup('here', everybody(group))))).toBe(200);
    await until(() => again.heard.some((text) => text.endsWith('here')) || undefined);
  });
});

describe('somebody who names the Contribution-ID of a group that is not his', () => {
  it('invites to another group: the phone is asked, and its own group goes on', async () => {
    await start();
    const [bob, carol] = [await sip('bob', 1), await sip('carol', 2)];
    const alice = await world.loggedIn('alice');
    const [, invitation] = await Promise.all([
      bob.createGroup(['sip:alice@ims.test'], 'group-1'),
      next(alice, 'InviteUser-Request').then(async (request) => {
        await alice.request(accept(request));
        return request;
      }),
    ]);
    const group = textOf(invitation, 'GroupID')!;
    await alice.request(joinGroup(group, 'Alice'));
    const intruding = carol.invite('sip:alice@ims.test', {
      Contact: `<${carol.phone.contact}>;isfocus`,
      'Contribution-ID': 'group-1',
      'Referred-By': '<sip:bob@ims.test>',
    });
    const asked = await next(alice, 'InviteUser-Request');
    expect(textOf(asked, 'GroupID')).not.toBe(group);
    expect(textOf(child(child(asked, 'Sender'), 'User'), 'UserID')).toBe('wv:carol@ims.test');
    await alice.request(decline(asked));
    expect((await intruding).status).toBe(603);
    expect(codeOf(await alice.request(toGroup('still here', everybody(group))))).toBe(200);
    await until(() => bob.heard.some((text) => text.endsWith('still here')) || undefined);
    expect(carol.heard).toEqual([]);
  });
});

describe('a focus whose MSRP does not come', () => {
  it('does not keep the phone waiting that joins: it hears that there is no service, and is out', async () => {
    await start();
    const focus = await world.sip('bob', device(1));
    const alice = await world.loggedIn('alice');
    focus.send(
      'INVITE',
      'sip:alice@ims.test',
      { ...SESSION, Contact: `<${focus.contact}>;isfocus`, 'Contribution-ID': 'group-1' },
      offer(['a=path:msrp://127.0.0.1:9/never;tcp']).replace('setup:actpass', 'setup:active'),
    );
    const invitation = await next(alice, 'InviteUser-Request');
    await alice.request(accept(invitation));
    const answer = await focus.peer.response(200);
    expect(answer.status).toBe(200);
    focus.send('ACK', answer.contacts[0]!.uriText, {
      Route: answer.headers.list('Record-Route').reverse(),
      From: answer.get('From'),
      To: answer.get('To'),
      'Call-ID': answer.callId,
      CSeq: `${answer.cseq.number} ACK`,
    });
    const group = textOf(invitation, 'GroupID')!;
    const joining = alice.request(joinGroup(group, 'Alice'));
    expect((await focus.answer('BYE', 200)).get('Reason')).toContain('No MSRP connection');
    expect(codeOf(await joining)).toBe(503);
    const members = await alice.request(element('GetJoinedUsers-Request', element('GroupID', group)));
    expect(JSON.stringify(members)).not.toContain('wv:alice');
  });
});

describe('a phone that agreed on messages alone', () => {
  it('does not ring: who invites it to a group hears 488', async () => {
    await start();
    const bob = await sip('bob', 1);
    const alice = world.imps('alice');
    await alice.login2();
    await alice.request(
      element('Service-Request', element('Functions', element('WVCSPFeat', element('IMFeat')))),
    );
    await world.settled();
    const invited = await bob.invite('sip:alice@ims.test', {
      Contact: `<${bob.phone.contact}>;isfocus`,
      'Contribution-ID': 'group-1',
    });
    expect(invited.status).toBe(488);
    expect((await alice.drain()).map(({ name }) => name)).not.toContain('InviteUser-Request');
  });
});

describe('a phone that logs out while it is invited to a group', () => {
  it('rings no more: who invites hears that it is away', async () => {
    await start();
    const bob = await sip('bob', 1);
    const alice = await world.loggedIn('alice');
    const created = bob.createGroup(['sip:alice@ims.test'], 'group-1');
    await next(alice, 'InviteUser-Request');
    await alice.request(element('Logout-Request'));
    expect((await created).status).toBe(480);
    expect(await groups()).toEqual([]);
  });
});

describe('a group of phones', () => {
  it('becomes a CPM group session with the first CPM user who is invited, and takes every phone along', async () => {
    await start();
    const bob = await sip('bob', 1);
    const alice = await world.loggedIn('alice');
    const carol = await world.loggedIn('carol');
    const id = 'wv:alice/picnic@ims.test';
    expect(codeOf(await alice.request(createGroup(id)))).toBe(200);
    expect((await carol.request(joinGroup(id, 'Carol'))).name).toBe('JoinGroup-Response');
    const sent = alice.request(inviteTo(id, 'i-1', 'wv:bob@ims.test'));
    const invitation = await bob.answer();
    expect(codeOf(await sent)).toBe(200);
    expect(invitation.get('Subject')).toBe('Picnic');
    expect(invitation.get('Referred-By')).toContain('sip:alice@ims.test');
    const response = await next(alice, 'Invite-Response');
    expect(textOf(response, 'Acceptance')).toBe('T');

    expect(codeOf(await alice.request(toGroup('sandwiches', everybody(id))))).toBe(200);
    const heard = await next(carol, 'NewMessage');
    expect([textOf(heard, 'ContentData'), sname(heard)]).toEqual(['sandwiches', 'Alice']);
    await until(() => bob.heard.some((text) => text.endsWith('sandwiches')) || undefined);
    expect(codeOf(await alice.request(toGroup('cake', everybody(id), true)))).toBe(200);
    const report = await next(alice, 'DeliveryReport-Request');
    expect([codeOf(report), JSON.stringify(report).includes(id)]).toEqual([200, true]);
    expect(textOf(await next(carol, 'NewMessage'), 'ContentData')).toBe('cake');
    expect(await bob.say(chat('g-1', 'lemonade', { asks: '' }))).toBe(200);
    expect(textOf(await next(carol, 'NewMessage'), 'ContentData')).toBe('lemonade');
    expect(textOf(await next(alice, 'NewMessage'), 'ContentData')).toBe('lemonade');
  });

  it('takes the place of the sessions that its phone has with the CPM users whom it invites', async () => {
    await start();
    const [bob, carol] = [await sip('bob', 1), await sip('carol', 2)];
    const alice = await world.loggedIn('alice');
    expect((await bob.invite('sip:alice@ims.test', { 'Contribution-ID': 'one to one' })).status).toBe(200);
    const id = 'wv:alice/picnic@ims.test';
    expect(codeOf(await alice.request(createGroup(id)))).toBe(200);
    // the device with the session is asked, and no other
    const group = await SipChat.of(bob.phone);
    const sent = alice.request(inviteTo(id, 'i-1', 'wv:bob@ims.test', 'wv:carol@ims.test'));
    const [toBob, toCarol] = await Promise.all([group.answer(), carol.answer()]);
    expect(codeOf(await sent)).toBe(200);
    expect(toBob.get('Session-Replaces')).toBe('one to one');
    expect(toCarol.has('Session-Replaces')).toBe(false);
    expect((await bob.bye('SIP;cause=200;text="Session replaced"')).status).toBe(200);
    expect(codeOf(await alice.request(toGroup('all of us', everybody(id))))).toBe(200);
    await until(
      () =>
        [group, carol].every(({ heard }) => heard.some((text) => text.endsWith('all of us'))) || undefined,
    );
  });

  it('of both kinds tells the sender when one of them does not get a message, and none gets half', async () => {
    await start();
    const bob = await sip('bob', 1);
    const alice = await world.loggedIn('alice');
    const carol = await world.loggedIn('carol');
    const id = 'wv:alice/picnic@ims.test';
    await alice.request(createGroup(id));
    await carol.request(joinGroup(id, 'Carol'));
    await Promise.all([bob.answer(), alice.request(inviteTo(id, 'i-1', 'wv:bob@ims.test'))]);
    await next(alice, 'Invite-Response');
    bob.status = 403;
    expect(codeOf(await alice.request(toGroup('half', everybody(id))))).toBe(200);
    expect(textOf(await next(carol, 'NewMessage'), 'ContentData')).toBe('half');
    const report = await next(alice, 'DeliveryReport-Request');
    expect(codeOf(report)).toBe(410);
    const recipient = child(child(report, 'MessageInfo'), 'Recipient');
    expect(textOf(child(recipient, 'Group'), 'GroupID')).toBe(id);
    // the focus ends: what cannot reach everybody reaches nobody
    const groups = (await (await fetch(`${world.parley.api}/api/v1/groups`)).json()) as {
      groups: { id: string }[];
    };
    await fetch(`${world.parley.api}/api/v1/groups/${groups.groups[0]!.id}`, { method: 'DELETE' });
    await next(carol, 'LeaveGroup-Response');
    await next(alice, 'LeaveGroup-Response');
    const refused = await alice.request(toGroup('lost', everybody(id)));
    expect(detailsOf(refused)).toEqual([`808 ${id}`]);
    expect(await carol.messages()).toEqual([]);
  });

  it('invites for nothing whom nobody answers, and cancels', async () => {
    await start();
    const bob = await sip('bob', 1);
    const alice = await world.loggedIn('alice');
    const id = 'wv:alice/picnic@ims.test';
    await alice.request(createGroup(id));
    expect(codeOf(await alice.request(inviteTo(id, 'i-1', 'wv:bob@ims.test')))).toBe(200);
    await bob.phone.answer('INVITE', 603);
    expect(textOf(await next(alice, 'Invite-Response'), 'Acceptance')).toBe('F');
    expect(codeOf(await alice.request(inviteTo(id, 'i-2', 'wv:bob@ims.test')))).toBe(200);
    const ringing = await bob.phone.peer.request('INVITE');
    bob.phone.peer.answer(ringing, 180, { Contact: `<${bob.phone.contact}>` }, 'ring');
    const cancel = element(
      'CancelInvite-Request',
      element('InviteID', 'i-2'),
      element('Recipient', element('User', element('UserID', 'wv:bob@ims.test'))),
    );
    expect(codeOf(await alice.request(cancel))).toBe(200);
    await bob.phone.peer.request('CANCEL');
  });
});
