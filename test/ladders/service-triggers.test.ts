import { expect, it, vi } from 'vitest';
import type { MemoryTrail } from '../../src/base/trail.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { useCleanups } from '../tools/cleanups.js';
import { Ladder } from '../tools/ladder.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { SipPeer } from '../tools/sip-peer.js';

const cleanups = useCleanups();
const INSTANCE = ';+sip.instance="<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>"';

it('draws application servers that hear of a registration and of a message, of which one fails', async () => {
  const [first, second] = [await SipPeer.open(), await SipPeer.open()];
  const criterion = (priority: number, as: SipPeer, method: string, more = {}): object => ({
    priority,
    server: `sip:as@127.0.0.1:${as.port}`,
    trigger: { form: 'dnf', groups: [[{ method }, { sessionCase: 'originating' }]] },
    ...more,
  });
  const parley = await startParley({
    auth: 'none',
    isc: { patience: 60_000 },
    sip: { timers: { t1: 30_000 } },
    profiles: [
      {
        name: 'default',
        criteria: [
          criterion(10, first, 'REGISTER', { includeRegisterRequest: true, includeRegisterResponse: true }),
          criterion(20, second, 'MESSAGE'),
          criterion(30, first, 'MESSAGE'),
        ],
      },
    ],
  });
  const [alice, bob] = [await Phone.open('alice', parley.port), await Phone.open('bob', parley.port)];
  cleanups.push(async () => {
    for (const { close } of [first, second, alice, bob].map((one) => ({ close: () => one.close() }))) close();
    await parley.stop();
  });
  await bob.register();
  first.answer(await first.request('REGISTER'), 200);
  const ladder = new Ladder(
    'Service triggers',
    'Alice registers: the first application server of her filter criteria gets a third-party REGISTER with what her device sent and got. Her message goes to the second one, which fails and is passed over (SESSION_CONTINUED), then to the first, which sends it back by the original dialog identifier, then to Bob.',
  );
  ladder.peer('alice', alice.peer);
  ladder.server('parley', parley.port);
  ladder.peer('first-as', first);
  ladder.peer('second-as', second);
  ladder.peer('bob', bob.peer);
  await alice.register(INSTANCE, { Supported: 'gruu' });
  first.answer(await first.request('REGISTER'), 200);
  await told(parley.app.trail, 2);
  alice.send('MESSAGE', bob.aor, { 'Content-Type': 'text/plain' }, 'Hello');
  second.answer(await second.request('MESSAGE'), 500);
  sendBack(first, await first.request('MESSAGE'), parley.port);
  await bob.answer('MESSAGE', 200);
  const answer = await first.response();
  answer.headers.shift('Via');
  first.send(answer, parley.port);
  expect((await alice.peer.response()).status).toBe(200);
  await expect(steady(ladder.markdown())).toMatchFileSnapshot('../../docs/ladders/service-triggers.md');
});

/** The next third-party REGISTER or message goes when the answer to this one has been taken. */
async function told(trail: { recent: MemoryTrail['recent'] }, times: number): Promise<void> {
  await vi.waitUntil(() => trail.recent().filter(({ code }) => code === 'core.server-told').length === times);
}

/** Sends a request back as a proxy does: its own Route off, the way back next. */
function sendBack(as: SipPeer, request: SipRequest, port: number): void {
  const copy = request.clone();
  copy.headers.shift('Route');
  copy.headers.prepend('Via', `SIP/2.0/UDP 127.0.0.1:${as.port};branch=z9hG4bKback`);
  as.send(copy, port);
}

/** Numbers that differ from run to run. */
const steady = (text: string): string =>
  text
    .replace(/^Content-Length: [1-9]\d*$/gm, 'Content-Length: LENGTH')
    .replace(/^(Max-Forwards: )\d+$/gm, '$1N')
    .replace(/^CSeq: \d+ /gm, 'CSeq: N ')
    .replace(/(expires[=:] ?)\d{3,4}/gi, '$1SECONDS');
