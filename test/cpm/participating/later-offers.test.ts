import { describe, expect, it } from 'vitest';
import { useCleanups } from '../../tools/cleanups.js';
import type { RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { patientServer } from '../patient-server.js';
import {
  ALICE,
  BOB,
  device,
  establish,
  offer,
  SDP,
  SESSION,
  setPolicy,
  type Session,
} from './session-world.js';

const cleanups = useCleanups();
const PATH = 'a=path:msrp://127.0.0.1:20000/9fA1kq0Zr3;tcp';
/** A conversation and a file beside it (RFC 5547 §8). */
const withFile = (octets: number): string =>
  offer([
    PATH,
    'm=message 20001 TCP/MSRP *',
    'a=path:msrp://127.0.0.1:20001/file0001;tcp',
    'a=accept-types:image/png',
    'a=sendonly',
    `a=file-selector:name:"a.png" type:image/png size:${octets}`,
  ]);

async function phones(): Promise<{ parley: RunningParley; alice: Phone; bob: Phone }> {
  const parley = await patientServer(cleanups);
  const alice = await Phone.registered('alice', parley.port, device(ALICE));
  const bob = await Phone.registered('bob', parley.port, device(BOB));
  cleanups.push(() => [alice, bob].forEach((one) => one.close()));
  return { parley, alice, bob };
}

/** What a later request of a session gets, if it comes no further than the server. */
async function refused(by: Phone, { uri, headers }: Session['fromCaller'], sdp: string, method = 'INVITE') {
  const { status } = await by.ask(method, uri, { ...headers, ...SDP }, sdp);
  if (method === 'INVITE') by.send('ACK', uri, headers);
  return status;
}

describe('what is offered inside a session', () => {
  it('is judged as its invitation was, whoever offers it and whichever of the two may not', async () => {
    const { parley, alice, bob } = await phones();
    const session = await establish(alice, bob);
    for (const user of [alice, bob]) {
      await setPolicy(parley, user.aor, { services: ['sessions'] });
      for (const method of ['INVITE', 'UPDATE']) {
        expect(await refused(alice, session.fromCaller, withFile(100), method)).toBe(403);
        expect(await refused(bob, session.fromCallee, withFile(100), method)).toBe(403);
      }
      await setPolicy(parley, user.aor, { services: null, maxBytes: 1000 });
      expect(await refused(alice, session.fromCaller, withFile(1001))).toBe(403);
      await setPolicy(parley, user.aor, { maxBytes: null });
    }
    const { uri, headers } = session.fromCaller;
    alice.send('INVITE', uri, { ...headers, ...SDP }, withFile(1001));
    expect(Buffer.from((await bob.peer.request('INVITE')).body).toString()).toBe(withFile(1001));
  });

  it('may be no file beside the conversation in the first offer either', async () => {
    const { parley, alice, bob } = await phones();
    await setPolicy(parley, bob.aor, { services: ['sessions'] });
    expect((await alice.ask('INVITE', bob.aor, SESSION, withFile(100))).status).toBe(403);
    expect(bob.peer.unread).toEqual([]);
  });

  it('is judged in the media path too, where a second section would pass the server by and is refused', async () => {
    const { parley, alice, bob } = await phones();
    await setPolicy(parley, alice.aor, { mediaPath: true });
    const session = await establish(alice, bob);
    await setPolicy(parley, bob.aor, { services: ['sessions'] });
    expect(await refused(alice, session.fromCaller, withFile(100))).toBe(403);
    expect(await refused(bob, session.fromCallee, withFile(100))).toBe(403);
    await setPolicy(parley, bob.aor, { services: null });
    const { uri, headers } = session.fromCaller;
    alice.send('INVITE', uri, { ...headers, ...SDP }, withFile(100));
    const sections = Buffer.from((await bob.peer.request('INVITE')).body)
      .toString()
      .match(/^m=message \d+/gm)!;
    expect(sections).toHaveLength(2);
    expect(sections[0]).not.toBe('m=message 20000');
    expect(sections[1]).toBe('m=message 0');
  });
});
