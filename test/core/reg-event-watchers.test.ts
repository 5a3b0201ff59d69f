import { expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

const cleanups = useCleanups();

it('registration events are for the user, nodes on the Path, application servers and the domain, and for nobody that a P-CSCF passes on', async () => {
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
        criteria: [
          {
            priority: 1,
            server: 'sip:as@as.other.test',
            trigger: { groups: [[{ method: 'NEVER' }]] },
          },
        ],
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
  const who: readonly (readonly [asserted: string, status: number])[] = [
    ['<sip:alice@ims.test>', 200],
    ['<sip:term@pcscf.visited.test>', 200],
    ['<sip:pcscf.visited.test:5060>', 200],
    ['<sip:as@as.other.test>', 200],
    ['<sip:parley@ims.test>', 200],
    ['<sip:bob@ims.test>', 403],
    ['<sip:carol@ims.test>', 403],
    ['<sip:term@other.visited.test>', 403],
    ['<sip:eve@other.test>', 403],
    ['<tel:+15559990000>', 403],
    ['<sip:parley@ims.test>, <tel:+15559990000>', 403],
    ['<mailto:eve@other.test>', 403],
  ];
  const given: (readonly [string, number])[] = [];
  for (const [asserted] of who) {
    alice.send('SUBSCRIBE', alice.aor, {
      Event: 'reg',
      Expires: '600',
      'P-Asserted-Identity': asserted,
    });
    const { status } = await alice.peer.response(200);
    if (status === 200) await alice.answer('NOTIFY', 200);
    given.push([asserted, status]);
  }
  expect(given).toEqual(who);
});
