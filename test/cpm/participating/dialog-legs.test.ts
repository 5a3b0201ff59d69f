import { describe, expect, it } from 'vitest';
import { DialogLegs } from '../../../src/cpm/participating/dialog-legs.js';
import { SessionLegs } from '../../../src/cpm/participating/session-legs.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import { useCleanups } from '../../tools/cleanups.js';
import { MemoryStore } from '../../tools/memory-store.js';
import { startParley, type RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { serverRequest } from '../../tools/sip-request.js';
import { ALICE, BOB, device, establish, offer, SESSION, setPolicy } from './session-world.js';

const NEAR = { callId: 'near', localTag: 'ours-1', remoteTag: 'alice' };
const FAR = { callId: 'far', localTag: 'ours-2', remoteTag: 'bob' };
/** Bob's function in its turn is in the path. */
const MIDDLE = [
  { callId: 'middle', localTag: 'ours-3', remoteTag: 'ours-4' },
  { callId: 'middle', localTag: 'ours-4', remoteTag: 'ours-3' },
] as const;

async function mapped(field: string, value: string, method = 'INVITE', pairs = [{ near: NEAR, far: FAR }]) {
  const request = serverRequest(`${method} sip:bob@ims.test SIP/2.0`, { [field]: value });
  const legs = new SessionLegs(new MemoryStore());
  await legs.add('session', pairs);
  const map = new DialogLegs(legs);
  expect(map.concerns(request)).toBe(true);
  await map.map(request);
  return request.get(field);
}

describe('what names a session in whose middle the server is', () => {
  it.each([
    ['Replaces', 'near;to-tag=ours-1;from-tag=alice', 'far;to-tag=bob;from-tag=ours-2'],
    ['Replaces', 'far;from-tag=bob;to-tag=ours-2;early-only', 'near;to-tag=alice;from-tag=ours-1;early-only'],
    // its own leg, as the end knows it
    ['Replaces', 'far;to-tag=bob;from-tag=ours-2', 'far;to-tag=bob;from-tag=ours-2'],
    ['Replaces', 'other;to-tag=a;from-tag=b', 'other;to-tag=a;from-tag=b'],
    ['Replaces', 'near', 'near'],
    ['Replaces', `${'n'.repeat(2000)};to-tag=a;from-tag=b`, `${'n'.repeat(2000)};to-tag=a;from-tag=b`],
    ['Target-Dialog', 'near;local-tag=alice;remote-tag=ours-1', 'far;local-tag=ours-2;remote-tag=bob'],
    ['Target-Dialog', 'near', 'near'],
  ])('in %s %s becomes %s', async (field, value, expected) => {
    expect(await mapped(field, value)).toBe(expected);
  });

  it.each([
    [
      '<sip:bob@ims.test?Replaces=near%3Bto-tag%3Dours-1%3Bfrom-tag%3Dalice&Subject=x>',
      '<sip:bob@ims.test?Replaces=far%3Bto-tag%3Dbob%3Bfrom-tag%3Dours-2&Subject=x>',
    ],
    ['<sip:bob@ims.test?Replaces=%ZZ>', '<sip:bob@ims.test?Replaces=%ZZ>'],
    ['<sip:bob@ims.test>', '<sip:bob@ims.test>'],
  ])('in Refer-To %s becomes %s', async (value, expected) => {
    expect(await mapped('Refer-To', value, 'REFER')).toBe(expected);
  });

  it.each([
    ['near;to-tag=ours-1;from-tag=alice', 'far;to-tag=bob;from-tag=ours-2'],
    ['far;to-tag=ours-2;from-tag=bob', 'near;to-tag=alice;from-tag=ours-1'],
  ])('is followed through the functions of both users: %s', async (value, expected) => {
    const pairs = [
      { near: NEAR, far: MIDDLE[0] },
      { near: MIDDLE[1], far: FAR },
    ];
    expect(await mapped('Replaces', value, 'INVITE', pairs)).toBe(expected);
  });
});

describe('a server in the media path', () => {
  const cleanups = useCleanups();
  const phone = async (user: string, parley: RunningParley, instance: string): Promise<Phone> => {
    const opened = await Phone.registered(user, parley.port, device(instance));
    cleanups.push(() => opened.close());
    return opened;
  };

  it('lets a third party take a session over by the identifiers that it was told', async () => {
    const timers = { t1: 10_000, t2: 10_000 };
    const parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
    cleanups.push(() => parley.stop());
    await setPolicy(parley, 'sip:alice@ims.test', { mediaPath: true });
    const [alice, bob] = [await phone('alice', parley, ALICE), await phone('bob', parley, BOB)];
    const carol = await phone('carol', parley, 'urn:uuid:7a6f1c1e-3d53-4d59-9c2c-4a7f9f8f2b44');
    const { answer, invite } = await establish(alice, bob);
    expect(invite.callId).not.toBe(answer.callId);
    const known = `${answer.callId};to-tag=${answer.toTag};from-tag=${answer.fromTag}`;
    const headers = { ...SESSION, Replaces: known, Require: 'replaces' };
    carol.send('INVITE', bob.aor, headers, offer());
    const taken = await bob.answer('INVITE', 200);
    expect(taken).toBeInstanceOf(SipRequest);
    expect(taken.get('Replaces')).toBe(`${invite.callId};to-tag=tag-bob;from-tag=${invite.fromTag}`);

    alice.send('REFER', answer.contacts[0]!.uriText, {
      Route: answer.headers.list('Record-Route').reverse(),
      From: answer.get('From'),
      To: answer.get('To'),
      'Call-ID': answer.callId,
      'Refer-To': `<sip:bob@ims.test?Replaces=${encodeURIComponent(known)}>`,
    });
    const refer = await bob.answer('REFER', 202);
    expect(refer.get('Refer-To')).toContain(encodeURIComponent(`${invite.callId};to-tag=tag-bob`));
  });
});
