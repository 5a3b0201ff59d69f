import { describe, expect, it } from 'vitest';
import { checkReplacements, type KnownSession } from '../../../src/cpm/controlling/replacements.js';
import type { Invitee } from '../../../src/cpm/controlling/recipient.js';

const ALICE = 'sip:alice@ims.test';
const BOB = 'sip:bob@ims.test';
const BOBS_DEVICE = 'sip:bob@ims.test;gr=urn:uuid:1';
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

const check = (of: Invitee, inviter: string, ...sessions: KnownSession[]) =>
  checkReplacements([of], inviter, {
    async *of(owner) {
      for (const session of sessions) if (session.ends.some((end) => end.owner === owner)) yield session;
    },
  });
const session = (other: string, more: Partial<KnownSession> = {}): KnownSession => ({
  contributionId: 'c11',
  callId: 'call-1',
  renamed: false,
  ends: [
    { owner: other, device: undefined },
    { owner: BOB, device: BOBS_DEVICE },
  ],
  ...more,
});

describe('the replacement of a 1-1 session by a group', () => {
  it("is refused for a session of somebody else's", async () => {
    await expect(check(recipient(), 'sip:mallory@ims.test', session(ALICE))).rejects.toMatchObject({
      code: 'group-replaces-not-yours',
      sip: 403,
    });
  });

  it('goes to the device of the session when the entry names none', async () => {
    expect(await check(recipient(), ALICE, session(ALICE))).toMatchObject([{ target: BOBS_DEVICE }]);
  });

  it('leaves the device that the entry names', async () => {
    const named = recipient({ sessionReplaces: 'c11', target: 'sip:bob@ims.test;gr=urn:uuid:2' });
    expect(await check(named, ALICE, session(ALICE))).toEqual([named]);
    const preferred = recipient({ sessionReplaces: 'c11', acceptContact: '*;+sip.instance="<urn:uuid:2>"' });
    expect(await check(preferred, ALICE, session(ALICE))).toEqual([preferred]);
  });

  it('of a session that is not known here is left to the device', async () => {
    expect(await check(recipient(), ALICE)).toEqual([recipient()]);
    expect(await check(recipient({ sessionReplaces: 'other' }), ALICE, session(ALICE))).toMatchObject([
      { target: BOB },
    ]);
  });

  it('may name the session by the device at its other end, as older clients do', async () => {
    const named = recipient({ sessionReplaces: BOBS_DEVICE });
    await expect(check(named, 'sip:mallory@ims.test', session(ALICE))).rejects.toMatchObject({ sip: 403 });
    expect(await check(named, ALICE, session(ALICE))).toMatchObject([{ target: BOBS_DEVICE }]);
  });

  it("names the device of a user elsewhere by the inviter's record of the session", async () => {
    const dora = 'sip:dora@elsewhere.test';
    const device = `${dora};gr=urn:uuid:3`;
    const ends = [
      { owner: ALICE, device: undefined },
      { owner: dora, device },
    ];
    const known = session(ALICE, { ends });
    expect(
      await check(recipient({ sessionReplaces: 'c11', identity: dora, target: dora }), ALICE, known),
    ).toMatchObject([{ target: device }]);
  });

  it('by dialog identifiers (RFC 3891) stays where they are the same at both ends', async () => {
    const replaces = 'call-1;to-tag=b;from-tag=a';
    const named = recipient({ replaces });
    expect(await check(named, ALICE, session(ALICE))).toMatchObject([
      { replaces, sessionReplaces: 'c11', target: BOBS_DEVICE },
    ]);
    const [mapped] = await check(named, ALICE, session(ALICE, { renamed: true }));
    expect(mapped).toMatchObject({ sessionReplaces: 'c11', target: BOBS_DEVICE });
    expect(mapped).not.toHaveProperty('replaces');
  });

  it('by dialog identifiers of nobody is an ordinary invitation, and of others is refused', async () => {
    const named = recipient({ replaces: 'call-2;to-tag=b;from-tag=a' });
    const [ordinary] = await check(named, ALICE, session(ALICE));
    expect(ordinary).not.toHaveProperty('replaces');
    expect(ordinary!.target).toBe(BOB);
    const theirs = recipient({ replaces: 'call-1;to-tag=b;from-tag=a' });
    await expect(check(theirs, 'sip:mallory@ims.test', session(ALICE))).rejects.toMatchObject({ sip: 403 });
  });
});
