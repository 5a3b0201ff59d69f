import { expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

const cleanups = useCleanups();

/** What a node at a trusted address gets when it asserts itself so, undefined for not at all. */
async function judged(
  servers: readonly string[],
  who: readonly (readonly [asserted: string | undefined, status: number])[],
): Promise<void> {
  const parley = await startParley({
    auth: 'none',
    subscribers: ['alice', 'bob'].map((name) => ({
      privateId: `${name}@ims.test`,
      password: 'x',
      identities: [`sip:${name}@ims.test`],
    })),
    profiles: [
      {
        name: 'default',
        criteria: servers.map((server, priority) => ({
          priority,
          server,
          trigger: { groups: [[{ method: 'NEVER' }]] },
        })),
      },
    ],
    sip: { trusted: ['127.0.0.1'], overloadDelay: 60_000 },
  });
  cleanups.push(() => parley.stop());
  const alice = await Phone.open('alice', parley.port);
  cleanups.push(() => alice.close());
  await alice.register('', { Path: '<sip:term@pcscf.visited.test;lr>', Supported: 'path' });
  const carol = await Phone.registered('carol', parley.port); // whom nobody provisioned
  cleanups.push(() => carol.close());
  const given: (readonly [string | undefined, number])[] = [];
  for (const [asserted] of who) {
    alice.send('SUBSCRIBE', alice.aor, {
      Event: 'reg',
      Expires: '600',
      ...(asserted !== undefined && { 'P-Asserted-Identity': asserted }),
    });
    const { status } = await alice.peer.response(200);
    if (status === 200) await alice.answer('NOTIFY', 200);
    given.push([asserted, status]);
  }
  expect(given).toEqual(who);
}

it('registration events are for the user, nodes on the Path and application servers by the names they assert, and for no other node', () =>
  judged(
    ['sip:as@as.other.test'],
    [
      ['<sip:alice@ims.test>', 200],
      ['<sip:term@pcscf.visited.test>', 200],
      ['<sip:pcscf.visited.test:5060>', 200],
      ['<sip:as@as.other.test>', 200],
      ['<sip:other@as.other.test>', 403],
      ['<sip:parley@ims.test>', 403],
      ['<sip:as.third.test>', 403],
      ['<sip:bob@ims.test>', 403],
      ['<sip:carol@ims.test>', 403],
      ['<sip:term@other.visited.test>', 403],
      ['<sip:eve@other.test>', 403],
      ['<tel:+15559990000>', 403],
      ['<sip:as@as.other.test>, <tel:+15559990000>', 403],
      ['<mailto:eve@other.test>', 403],
      [undefined, 403],
    ],
  ));

it('an application server whose criterion has its IP address is known by it, unless it asserts somebody else', () =>
  judged(
    ['sip:127.0.0.1:5099'],
    [
      [undefined, 200],
      ['<sip:parley@ims.test>', 200],
      ['<sip:as.third.test>', 200],
      ['<sip:bob@ims.test>', 403],
      ['<sip:carol@ims.test>', 403],
      ['<sip:eve@other.test>', 403],
      ['<sip:parley@ims.test>, <tel:+15559990000>', 403],
      ['<mailto:eve@other.test>', 403],
    ],
  ));
