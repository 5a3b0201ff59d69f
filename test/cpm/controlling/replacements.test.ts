import { describe, expect, it } from 'vitest';
import { checkReplacements, type KnownSession } from '../../../src/cpm/controlling/replacements.js';
import type { Recipient } from '../../../src/cpm/controlling/recipient.js';

const ALICE = 'sip:alice@ims.test';
const BOB = 'sip:bob@ims.test';
const BOBS_DEVICE = 'sip:bob@ims.test;gr=urn:uuid:1';
const recipient = (more: Partial<Recipient> = {}): Recipient => ({
  identity: BOB,
  interworking: false,
  target: BOB,
  method: 'INVITE',
  copyControl: 'to',
  anonymize: false,
  sessionReplaces: 'c11',
  ...more,
});

const check = (of: Recipient, inviter: string, ...sessions: KnownSession[]) =>
  checkReplacements([of], inviter, async function* (user) {
    for (const session of sessions) if (session.ends.some((end) => end.user === user)) yield session;
  });
const session = (other: string): KnownSession => ({
  contributionId: 'c11',
  ends: [
    { user: other, device: undefined },
    { user: BOB, device: BOBS_DEVICE },
  ],
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
    const named = recipient({ target: 'sip:bob@ims.test;gr=urn:uuid:2' });
    expect(await check(named, ALICE, session(ALICE))).toEqual([named]);
    const preferred = recipient({ acceptContact: '*;+sip.instance="<urn:uuid:2>"' });
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
});
