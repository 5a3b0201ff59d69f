import { describe, expect, it } from 'vitest';
import {
  formatFullInfo,
  formatPartialInfo,
  isShown,
  showUsers,
} from '../../../src/cpm/controlling/conference-info.js';
import {
  addMember,
  changeMember,
  checkRight,
  findMember,
  foundGroup,
  inviteAll,
  isBelowMinimum,
  nicknamed,
  settled,
  type Group,
} from '../../../src/cpm/controlling/group.js';
import { mayJoin, refusalOf } from '../../../src/cpm/controlling/member.js';
import type { Invitee } from '../../../src/cpm/controlling/recipient.js';
import { parseSmallXml } from '../../../src/msrp/xml.js';

const ALICE = 'sip:alice@ims.test';
const BOB = 'sip:bob@ims.test';
const CAROL = 'sip:carol@ims.test';

const user = (identity: string) => ({ identity, owner: identity });

const empty: Group = {
  id: 'gs-1',
  uri: 'sip:gs-1@ims.test',
  kind: 'ad-hoc',
  access: 'closed',
  contributionId: 'g77',
  conversationId: 'k2',
  subject: 'Trip <planning>',
  creator: ALICE,
  maximum: 3,
  minimum: 2,
  members: [],
  createdAt: 0,
  holder: 'one',
};

const recipient = (identity: string, more: Partial<Invitee> = {}): Invitee => ({
  identity,
  owner: identity,
  interworking: false,
  target: identity,
  method: 'INVITE',
  copyControl: 'to',
  anonymize: false,
  ...more,
});

/** Alice in the chair, bob and carol invited. */
const created = inviteAll(
  changeMember(addMember(empty, user(ALICE), 'chairman'), {
    identity: ALICE,
    event: 'connect',
    endpoint: { id: 'a1', joining: 'dialed-in' },
  }),
  [recipient(BOB), recipient(CAROL, { anonymize: true })],
  ALICE,
  () => 'sip:anonymous1@anonymous.invalid',
).group;
const connect = (group: Group, identity: string, id: string): Group =>
  changeMember(group, { identity, event: 'connect', endpoint: { id, joining: 'dialed-out' } });

describe('a group', () => {
  it('is made with each user once, by the identity that is named first, and with no more than it may have', () => {
    const number = { identity: 'tel:+15550100', owner: BOB };
    const made = foundGroup(empty, user(ALICE), [user(BOB), number, user(ALICE), user(CAROL)]);
    expect(made.members.map(({ identity, role, state }) => [identity, role, state])).toEqual([
      [ALICE, 'chairman', 'away'],
      [BOB, 'participant', 'away'],
      [CAROL, 'participant', 'away'],
    ]);
    expect(() => foundGroup(made, user(ALICE), [BOB, CAROL, 'sip:dave@ims.test'].map(user))).toThrow(/full/);
  });

  it('ends when nobody rings and fewer than its minimum are connected', () => {
    const refused = (group: Group, identity: string) => changeMember(group, { identity, event: 'refuse' });
    expect(isBelowMinimum(created)).toBe(false);
    expect(isBelowMinimum(refused(created, BOB))).toBe(false);
    expect(isBelowMinimum(refused(refused(created, BOB), CAROL))).toBe(true);
    expect(isBelowMinimum(refused(connect(created, BOB, 'b1'), CAROL))).toBe(false);
  });

  it('keeps a member connected until the last of its devices has gone', () => {
    const two = connect(connect(created, BOB, 'b1'), BOB, 'b2');
    const drop = (group: Group, id: string) =>
      changeMember(group, { identity: BOB, event: 'drop', endpoint: { id, joining: 'dialed-out' } });
    expect(findMember(drop(two, 'b1'), BOB)).toMatchObject({ state: 'connected', endpoints: [{ id: 'b2' }] });
    expect(findMember(drop(drop(two, 'b1'), 'b2'), BOB)).toMatchObject({ state: 'away', endpoints: [] });
  });

  it('lets nobody in above its maximum', () => {
    expect(() => inviteAll(created, [recipient('sip:dave@ims.test')], ALICE, () => '')).toThrow(/full/);
    expect(() => addMember(created, user('sip:dave@ims.test'), 'participant')).toThrow(/full/);
  });

  it('lets who has left back in only where there is room', () => {
    const without = changeMember(created, { identity: BOB, event: 'leave' });
    expect(findMember(addMember(without, user(BOB), 'participant'), BOB)?.state).toBe('away');
    const taken = addMember(without, user('sip:dave@ims.test'), 'participant');
    expect(() => addMember(taken, user(BOB), 'participant')).toThrow(/full/);
    expect(addMember(taken, user(CAROL), 'participant')).toBe(taken);
  });

  it('keeps the nickname of who is away, and frees that of who has lost its place', () => {
    const named = nicknamed(connect(connect(created, BOB, 'b1'), CAROL, 'c1'), BOB, 'Bobby')!;
    const after = (event: 'drop' | 'leave' | 'remove') => changeMember(named, { identity: BOB, event });
    expect(nicknamed(after('drop'), CAROL, ' bobby')).toBeUndefined();
    for (const event of ['leave', 'remove'] as const) {
      const given = nicknamed(after(event), CAROL, 'Bobby')!;
      expect(given.members.map(({ nickname }) => nickname)).toEqual([undefined, undefined, 'Bobby']);
    }
  });

  it('hides a member that asks for it when it comes', () => {
    const alias = 'sip:anonymous-1@anonymous.invalid';
    const away = changeMember(created, { identity: BOB, event: 'leave' });
    expect(findMember(addMember(away, { ...user(BOB), alias }, 'participant'), BOB)?.alias).toBe(alias);
  });

  it('invites nobody twice who rings or is in', () => {
    expect(inviteAll(created, [recipient(BOB), recipient(ALICE)], ALICE, () => '').invited).toEqual([]);
  });

  it('takes back who is away, left or refused, and never who was removed', () => {
    const after = (event: 'drop' | 'leave' | 'refuse' | 'remove') =>
      findMember(changeMember(created, { identity: BOB, event }), BOB);
    for (const event of ['drop', 'leave', 'refuse'] as const)
      expect(() => mayJoin(after(event))).not.toThrow();
    expect(() => mayJoin(after('remove'))).toThrow(/not a member/);
    expect(() => mayJoin(undefined)).toThrow(/not a member/);
  });

  it('lets every member add, and only the chairman remove others', () => {
    const group = connect(created, BOB, 'b1');
    expect(() => checkRight(group, BOB, 'add', CAROL)).not.toThrow();
    expect(() => checkRight(group, BOB, 'remove', BOB)).not.toThrow();
    expect(() => checkRight(group, BOB, 'remove', CAROL)).toThrow(/role/);
    expect(() => checkRight(group, ALICE, 'remove', CAROL)).not.toThrow();
    expect(() => checkRight(group, 'sip:mallory@ims.test', 'add', CAROL)).toThrow(/not a member/);
  });

  it('lets only the chairman take back who was put out', () => {
    const group = changeMember(connect(created, BOB, 'b1'), { identity: CAROL, event: 'remove' });
    expect(() => checkRight(group, BOB, 'add', CAROL)).toThrow(/role/);
    expect(() => checkRight(connect(group, ALICE, 'a1'), ALICE, 'add', CAROL)).not.toThrow();
  });

  it('remembers of those without a place no more than that the record stays small, the chairman and the present always', () => {
    let group = created;
    for (let n = 0; n < 20; n++) {
      const identity = `sip:u${n}@ims.test`;
      group = changeMember(group, { identity: CAROL, event: 'remove' });
      group = inviteAll(group, [recipient(identity)], ALICE, () => 'sip:x@anonymous.invalid').group;
      group = changeMember(group, { identity, event: n % 2 === 0 ? 'refuse' : 'leave' });
    }
    expect(group.members.map(({ identity, state }) => `${identity} ${state}`)).toEqual([
      `${ALICE} connected`,
      `${BOB} invited`,
      `${CAROL} removed`,
      'sip:u15@ims.test left',
      'sip:u17@ims.test left',
      'sip:u19@ims.test left',
    ]);
  });

  it('gives one member no more sessions than anybody has devices', () => {
    let group = created;
    for (let n = 0; n < 16; n++) group = connect(group, BOB, `b${n}`);
    expect(() => connect(group, BOB, 'b16')).toThrow('as many sessions');
    expect(findMember(connect(group, BOB, 'b15'), BOB)!.endpoints).toHaveLength(16);
  });

  it('finds its members away, and none lost, when its sessions have ended', () => {
    const after = settled(connect(created, BOB, 'b1'));
    expect(after.members.map(({ identity, state }) => [identity, state])).toEqual([
      [ALICE, 'away'],
      [BOB, 'away'],
      [CAROL, 'away'],
    ]);
  });
});

describe('a conference-info document', () => {
  it('shows everything at first: endpoints by device, roles, and the anonymous by an alias', () => {
    const group = connect(connect(created, BOB, 'b1'), BOB, 'b2');
    const text = formatFullInfo(group, 0, showUsers(group.members.filter(isShown), ALICE).elements);
    expect(
      parseSmallXml(Buffer.from(text), 'conference-info', 'urn:ietf:params:xml:ns:conference-info'),
    ).toMatchObject({
      '@_entity': 'sip:gs-1@ims.test',
      '@_state': 'full',
      '@_version': '0',
      'conference-description': {
        subject: 'Trip &lt;planning&gt;',
        'conf-uris': { entry: { uri: 'sip:gs-1@ims.test', purpose: 'participation' } },
        'maximum-user-count': '3',
      },
      'conference-state': { 'user-count': '2', active: 'true' },
      users: {
        user: [
          { '@_entity': ALICE, '@_yourown': 'true', roles: { entry: 'chairman' } },
          {
            '@_entity': BOB,
            endpoint: [
              { '@_entity': 'b1', status: 'connected', 'joining-method': 'dialed-out' },
              { '@_entity': 'b2', status: 'connected' },
            ],
          },
          { '@_entity': 'sip:anonymous1@anonymous.invalid', endpoint: { status: 'dialing-out' } },
        ],
      },
    });
    expect(text).not.toContain('carol');
  });

  it('shows then only who changed, and why it went', () => {
    const group = changeMember(created, {
      identity: BOB,
      event: 'refuse',
      disconnection: refusalOf(603, 'Decline'),
    });
    const { elements } = showUsers([findMember(group, BOB)!], ALICE);
    const text = formatPartialInfo(group, 4, elements);
    expect(
      parseSmallXml(Buffer.from(text), 'conference-info', 'urn:ietf:params:xml:ns:conference-info'),
    ).toMatchObject({
      '@_state': 'partial',
      '@_version': '4',
      users: {
        '@_state': 'partial',
        user: {
          '@_entity': BOB,
          endpoint: {
            status: 'disconnected',
            'disconnection-method': 'failed',
            'disconnection-info': { reason: 'Reason: SIP;cause=603;text=&quot;Decline&quot;' },
          },
        },
      },
    });
  });
});
