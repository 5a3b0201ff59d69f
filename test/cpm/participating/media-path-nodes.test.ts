import { expect, it } from 'vitest';
import { MsrpNegotiation, wholeMessages } from '../../../src/msrp/session/index.js';
import { anything, startEndpoint } from '../../msrp/tools/endpoints.js';
import { useCleanups } from '../../tools/cleanups.js';
import { missing } from '../../tools/install.js';
import { Phone } from '../../tools/phone.js';
import { RedisServer } from '../../tools/redis.js';
import { soon } from '../../tools/soon.js';
import { patientServer } from '../patient-server.js';
import { ALICE, BOB, device, SESSION, sessionsOf, setPolicy } from './session-world.js';

const cleanups = useCleanups();

it.skipIf(missing('redis-server'))(
  'what passes one node is shown by the others too',
  { timeout: 120_000 },
  async () => {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    const [a, b] = [
      await patientServer(cleanups, { store: redis.url }),
      await patientServer(cleanups, { store: redis.url }),
    ];
    await setPolicy(a, 'sip:alice@ims.test', { mediaPath: true });
    const alice = await Phone.registered('alice', a.port, device(ALICE));
    const bob = await Phone.registered('bob', a.port, device(BOB));
    for (const phone of [alice, bob]) cleanups.push(() => phone.close());
    const [one, other] = [(await startEndpoint()).endpoint, (await startEndpoint()).endpoint];
    const receiver = wholeMessages(1_000, () => 200);
    const near = new MsrpNegotiation(one.createSession(), anything);
    const far = new MsrpNegotiation(other.createSession({ receiver }), anything);
    alice.send('INVITE', bob.aor, SESSION, near.offer());
    const invite = await bob.peer.request('INVITE');
    const headers = { Contact: `<${bob.contact}>`, 'Content-Type': 'application/sdp' };
    bob.peer.answer(invite, 200, headers, 'tag-bob', far.answer(invite.body));
    const ok = await alice.peer.response(200);
    near.accept(ok.body);
    for (const bytes of [5, 10]) {
      const hello = { contentType: 'text/plain', content: Buffer.from('hello') };
      expect(await near.session.send(hello).sent).toBe(200);
      for (const node of [a, b])
        await soon(() => sessionsOf(node)).toMatchObject([{ mediaPath: true, bytes, messages: bytes / 5 }]);
    }
  },
);
