import { expect, it } from 'vitest';
import { accept, created } from '../cpm/controlling/extension-world.js';
import { patientServer } from '../cpm/patient-server.js';
import { useCleanups } from '../tools/cleanups.js';
import { CPM_FEATURES, cpmDevice, joinGroup } from '../tools/group-party.js';
import { Phone } from '../tools/phone.js';

const cleanups = useCleanups();

/** Users with names as long as that, whose elements or entries alone are more than a datagram holds. */
const MANY = 240;
const name = (n: number): string => `u${n}-${'x'.repeat(200)}`;

it('a group that no datagram describes is told to a watcher over UDP in parts, and its invitations name nobody else', async () => {
  const parley = await patientServer(cleanups, { cpm: { groups: { maximum: 1_000 } } });
  const alice = await cpmDevice('alice', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bd1', parley.port);
  const bob = await cpmDevice('bob', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bd2', parley.port);
  const crowd = await Phone.open('crowd', parley.port);
  cleanups.push(() => [alice, bob, crowd].forEach((phone) => phone.close()));
  for (let n = 0; n < MANY; n++) {
    const aor = `sip:${name(n)}@ims.test`;
    const registered = await crowd.ask('REGISTER', 'sip:ims.test', {
      From: `<${aor}>;tag=${n}`,
      To: `<${aor}>`,
      Contact: `<sip:u${n}@127.0.0.1:${crowd.peer.port}>${CPM_FEATURES}`,
    });
    expect(registered.status).toBe(200);
  }
  await fetch(`${parley.api}/api/v1/groups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'all',
      chairman: alice.aor,
      members: [bob.aor, ...Array.from({ length: MANY }, (_, n) => `sip:${name(n)}@ims.test`)],
    }),
  });
  joinGroup(alice, 'sip:gs-all@ims.test');
  const invite = await bob.peer.request('INVITE');
  expect(Buffer.from(invite.body).toString()).not.toContain('resource-lists');
  await accept(bob, invite);
  const { focus } = await created(alice);
  alice.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
  const seen = new Set<string>();
  const documents: string[] = [];
  while (seen.size < MANY + 2) {
    const notify = await alice.answer('NOTIFY', 200);
    const text = Buffer.from(notify.body).toString();
    documents.push(/state="(\w+)" version="\d+"/.exec(text)![0]);
    for (const [, entity] of text.matchAll(/<user entity="([^"]+)" state="full"/g)) seen.add(entity!);
  }
  expect(documents.slice(0, 2)).toEqual(['state="full" version="0"', 'state="partial" version="1"']);
});
