import { describe, expect, it } from 'vitest';
import {
  checkReplacements,
  type KnownSession,
  type SessionParty,
} from '../../../src/cpm/controlling/replacements.js';
import type { Invitee } from '../../../src/cpm/controlling/recipient.js';

const ALICE = 'sip:alice@ims.test';
const BOB = 'sip:bob@ims.test';
const MALLORY = 'sip:mallory@ims.test';
const uuid = (n: number): string => `urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bb${n}`;
const BOBS_DEVICE = `sip:bob@ims.test;gr=${uuid(1)}`;
const recipient = (more: Partial<Invitee> = { sessionReplaces: 'c11' }): Invitee => ({
  identity: BOB,
  owner: more.identity ?? BOB,
  interworking: false,
  target: BOB,
  method: 'INVITE',
  copyControl: 'to',
  anonymize: false,
  ...more,
});
/** What an entry is without its replacement. */
const ordinary = ({ sessionReplaces: _s, replaces: _r, ...rest }: Invitee): Invitee => rest;

/** @returns the recipient as it is invited, and why its replacement is not passed on. */
async function check(
  of: Invitee,
  inviter: string,
  ...sessions: KnownSession[]
): Promise<{ invited: Invitee; ignored: string[] }> {
  const ignored: string[] = [];
  const known = {
    async *of(owner: string) {
      for (const session of sessions)
        if ([session.caller, session.callee].some((end) => end.owner === owner)) yield session;
    },
  };
  const [invited] = await checkReplacements([of], inviter, known, (_of, why) => ignored.push(why));
  return { invited: invited!, ignored };
}
const bob: SessionParty = { owner: BOB, device: BOBS_DEVICE };
const session = (other: string, more: Partial<KnownSession> = {}): KnownSession => ({
  contributionId: 'c11',
  dialogs: [{ callId: 'call-1', callerTag: 'a', calleeTag: 'b' }],
  caller: { owner: other, device: undefined },
  callee: bob,
  ...more,
});

describe('the replacement of a 1-1 session by a group', () => {
  it("of somebody else's session is ignored, and the invitation is an ordinary one", async () => {
    const named = recipient({ sessionReplaces: 'c11', target: BOBS_DEVICE });
    expect(await check(named, MALLORY, session(ALICE))).toEqual({
      invited: ordinary(named),
      ignored: ['session of somebody else'],
    });
  });

  it('goes to the device of the session when the entry names none, also by what else it prefers', async () => {
    expect((await check(recipient(), ALICE, session(ALICE))).invited.target).toBe(BOBS_DEVICE);
    const video = recipient({ sessionReplaces: 'c11', acceptContact: '*;video' });
    expect(await check(video, ALICE, session(ALICE))).toEqual({
      invited: { ...video, target: BOBS_DEVICE },
      ignored: [],
    });
  });

  it.each([
    ['its GRUU', { target: BOBS_DEVICE }],
    ['a temporary GRUU, which only the registrar knows', { target: 'sip:tgruu.7hs@ims.test;gr' }],
    ['its instance', { acceptContact: `*;+sip.instance="<${uuid(1)}>";require;explicit` }],
    [
      'its IMEI, for which the GRUU has another name',
      { acceptContact: '*;+sip.instance="<urn:gsma:imei:1>"' },
    ],
  ])('leaves an entry that names the device by %s', async (_how, device) => {
    const named = recipient({ sessionReplaces: 'c11', ...device });
    expect(await check(named, ALICE, session(ALICE))).toEqual({ invited: named, ignored: [] });
  });

  it.each([
    ['its GRUU', { target: `sip:bob@ims.test;gr=${uuid(2)}` }],
    ['its instance', { acceptContact: `*;+sip.instance="<${uuid(2)}>";require;explicit` }],
  ])('of a session of another device than an entry names by %s is ignored', async (_how, device) => {
    const named = recipient({ sessionReplaces: 'c11', replaces: 'call-1;to-tag=b;from-tag=a', ...device });
    expect(await check(named, ALICE, session(ALICE))).toEqual({
      invited: ordinary(named),
      ignored: ['session of another device'],
    });
  });

  it('of a session that is not known here is left to the device', async () => {
    expect((await check(recipient(), ALICE)).invited).toEqual(recipient());
    const other = recipient({ sessionReplaces: 'other' });
    expect((await check(other, ALICE, session(ALICE))).invited).toEqual(other);
  });

  it('may name the session by the device at its other end, as older clients do', async () => {
    const named = recipient({ sessionReplaces: BOBS_DEVICE });
    expect((await check(named, MALLORY, session(ALICE))).invited).not.toHaveProperty('sessionReplaces');
    expect((await check(named, ALICE, session(ALICE))).invited.target).toBe(BOBS_DEVICE);
  });

  it("names the device of a user elsewhere by the inviter's record of the session", async () => {
    const dora = 'sip:dora@elsewhere.test';
    const device = `${dora};gr=${uuid(3)}`;
    const known = session(ALICE, { callee: { owner: dora, device } });
    const named = recipient({ sessionReplaces: 'c11', identity: dora, target: dora });
    expect((await check(named, ALICE, known)).invited.target).toBe(device);
  });

  it('by dialog identifiers (RFC 3891) stays where they are the same at both ends', async () => {
    const replaces = 'call-1;to-tag=b;from-tag=a';
    const named = recipient({ replaces });
    const added = { sessionReplaces: 'c11', target: BOBS_DEVICE };
    expect((await check(named, ALICE, session(ALICE))).invited).toEqual({ ...named, ...added });
    const dialogs = [
      { callId: 'call-1', callerTag: 'a', calleeTag: 'b' },
      { callId: 'call-2', callerTag: 'c', calleeTag: 'd' },
    ];
    expect((await check(named, ALICE, session(ALICE, { dialogs }))).invited).toEqual({
      ...ordinary(named),
      ...added,
    });
  });

  it('by dialog identifiers through a B2BUA takes those that the inviter has, whichever end that is', async () => {
    const alice: SessionParty = { owner: ALICE, device: undefined };
    const dialogs = [
      { callId: 'call-1', callerTag: 'b', calleeTag: 'x' },
      { callId: 'call-2', callerTag: 'y', calleeTag: 'a' },
    ];
    const hers = session(ALICE, { caller: bob, callee: alice, dialogs });
    const named = recipient({ replaces: 'call-2;to-tag=y;from-tag=a' });
    const added = { sessionReplaces: 'c11', target: BOBS_DEVICE };
    expect((await check(named, ALICE, hers)).invited).toEqual({ ...ordinary(named), ...added });
    expect((await check(named, MALLORY, hers)).ignored).toEqual(['session of somebody else']);
  });

  it('by dialog identifiers takes the tag of the recipient for its own, whichever end began', async () => {
    const alice: SessionParty = { owner: ALICE, device: undefined };
    const his = session(ALICE, { caller: bob, callee: alice });
    const [right, wrong] = ['call-1;to-tag=a;from-tag=b', 'call-1;to-tag=b;from-tag=a'];
    expect((await check(recipient({ replaces: right }), ALICE, his)).invited.replaces).toBe(right);
    expect((await check(recipient({ replaces: wrong }), ALICE, his)).invited).toEqual(recipient({}));
  });

  it.each(['call-2;to-tag=b;from-tag=a', 'call-1;to-tag=b;from-tag=x', 'call-1;to-tag=x;from-tag=a'])(
    'by the dialog identifiers of nobody (%s) is an ordinary invitation',
    async (replaces) => {
      expect((await check(recipient({ replaces }), ALICE, session(ALICE))).invited).toEqual(recipient({}));
    },
  );

  it('by the dialog identifiers of others is ignored', async () => {
    const theirs = recipient({ replaces: 'call-1;to-tag=b;from-tag=a' });
    expect(await check(theirs, MALLORY, session(ALICE))).toEqual({
      invited: ordinary(theirs),
      ignored: ['session of somebody else'],
    });
  });
});
