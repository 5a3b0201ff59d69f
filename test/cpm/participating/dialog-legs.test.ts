import { describe, expect, it } from 'vitest';
import { DialogLegs } from '../../../src/cpm/participating/dialog-legs.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import { useCleanups } from '../../tools/cleanups.js';
import { startParley, type RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { serverRequest } from '../../tools/sip-request.js';
import { ALICE, BOB, device, establish, offer, SESSION, setPolicy } from './session-world.js';

const legs = (): DialogLegs => {
  const made = new DialogLegs();
  made.add(
    { callId: 'near', localTag: 'ours-1', remoteTag: 'alice' },
    { callId: 'far', localTag: 'ours-2', remoteTag: 'bob' },
  );
  return made;
};

function mapped(field: string, value: string, method = 'INVITE'): string | undefined {
  const request = serverRequest(`${method} sip:bob@ims.test SIP/2.0`, { [field]: value });
  const map = legs();
  expect(map.concerns(request)).toBe(true);
  map.map(request);
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
    ['Target-Dialog', 'near;local-tag=alice;remote-tag=ours-1', 'far;local-tag=ours-2;remote-tag=bob'],
    ['Target-Dialog', 'near', 'near'],
  ])('in %s %s becomes %s', (field, value, expected) => {
    expect(mapped(field, value)).toBe(expected);
  });

  it.each([
    [
      '<sip:bob@ims.test?Replaces=near%3Bto-tag%3Dours-1%3Bfrom-tag%3Dalice&Subject=x>',
      '<sip:bob@ims.test?Replaces=far%3Bto-tag%3Dbob%3Bfrom-tag%3Dours-2&Subject=x>',
    ],
    ['<sip:bob@ims.test?Replaces=%ZZ>', '<sip:bob@ims.test?Replaces=%ZZ>'],
    ['<sip:bob@ims.test>', '<sip:bob@ims.test>'],
  ])('in Refer-To %s becomes %s', (value, expected) => {
    expect(mapped('Refer-To', value, 'REFER')).toBe(expected);
  });

  it('is named no more when the session has ended', () => {
    const map = new DialogLegs();
    map.add({ callId: 'a', localTag: 'b', remoteTag: 'c' }, { callId: 'd', localTag: 'e', remoteTag: 'f' })();
    expect(
      map.concerns(serverRequest('INVITE sip:bob@ims.test SIP/2.0', { Replaces: 'a;to-tag=b;from-tag=c' })),
    ).toBe(false);
  });
});

describe('a server in the media path', () => {
  const cleanups = useCleanups();
  const phone = async (user: string, parley: RunningParley, instance: string): Promise<Phone> => {
    const opened = await Phone.registered(user, parley.port, device(instance));
    cleanups.push(() => opened.close());
    return opened;
  };

  it('lets a third party take a session over by the identifiers that it was told, and passes Session-Replaces', async () => {
    const timers = { t1: 10_000, t2: 10_000 };
    const parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
    cleanups.push(() => parley.stop());
    await setPolicy(parley, 'sip:alice@ims.test', { mediaPath: true });
    const [alice, bob] = [await phone('alice', parley, ALICE), await phone('bob', parley, BOB)];
    const carol = await phone('carol', parley, 'urn:uuid:7a6f1c1e-3d53-4d59-9c2c-4a7f9f8f2b44');
    const { answer, invite } = await establish(alice, bob);
    expect(invite.callId).not.toBe(answer.callId);
    const known = `${answer.callId};to-tag=${answer.toTag};from-tag=${answer.fromTag}`;
    const headers = {
      ...SESSION,
      Replaces: known,
      Require: 'replaces',
      'Session-Replaces': 'contribution-1',
    };
    carol.send('INVITE', bob.aor, headers, offer());
    const taken = await bob.answer('INVITE', 200);
    expect(taken).toBeInstanceOf(SipRequest);
    expect(taken.get('Replaces')).toBe(`${invite.callId};to-tag=tag-bob;from-tag=${invite.fromTag}`);
    expect(taken.get('Session-Replaces')).toBe('contribution-1');

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
