import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { cpim, MessagingDevice, textIn } from '../cpm/messages/large-world.js';
import { ALICE, BOB } from '../cpm/participating/session-world.js';
import { afterThisTest } from '../sip/embedded/nodes.js';
import { freePort } from '../tools/free-port.js';
import { kill, serveMessages, waiting } from '../tools/message-server.js';
import { soon } from '../tools/soon.js';

const KILLS = 2;
const LANES = [0, 1, 2];
const services = [cpmServices.largeMessage];
/** Beyond what fits into the buffers between the server and a device that has stopped reading. */
const FILE = `file ${'0123456789abcdef'.repeat(20_000_000 / 16)}`;
const PADDING = 'x'.repeat(150_000);

it(
  'large messages that were acknowledged with 200 are delivered in order, each once, over kills while they come and go out',
  { timeout: 300_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-large-'));
    afterThisTest(() => rmSync(folder, { recursive: true, force: true }));
    const [store, port] = [`lmdb:${join(folder, 'data')}`, await freePort()];
    const serve = (): ReturnType<typeof serveMessages> =>
      serveMessages(store, port, { largeBytes: 30_000_000, deferral: { bytesPerUser: 1_000_000_000 } });
    const acknowledged: string[] = [];
    const bob = await MessagingDevice.open('bob', port, { instance: BOB, services });
    const send = async (from: MessagingDevice, text: string): Promise<boolean> => {
      const { status } = await from
        .large(bob.aor, cpim(text, text.split(' ')[0]!))
        .catch(() => ({ status: 0 }));
      if (status === 200) acknowledged.push(text.split(' ')[0]!);
      return status === 200;
    };
    let server = await serve();
    for (let round = 0; round < KILLS; round++) {
      const alice = await MessagingDevice.open('alice', port, { instance: ALICE, services });
      if (round === 0) expect(await send(alice, FILE)).toBe(true);
      const before = acknowledged.length;
      // several at once: the kill finds some in every state
      const senders = LANES.map(async (lane) => {
        for (let i = 0; await send(alice, `${round}.${lane}.${i} ${PADDING}`); i++);
      });
      await soon(() => acknowledged.length).toBeGreaterThan(before + 4 + 5 * round);
      await kill(server);
      await alice.close();
      await Promise.all(senders);
      server = await serve();
    }

    // the first kill comes in the middle of the file
    let isReading = false;
    let readOn: () => void = () => {};
    bob.reading = () => {
      isReading = true;
      return new Promise((resolve) => (readOn = resolve));
    };
    await bob.register();
    await soon(() => isReading).toBe(true);
    bob.reading = () => {};
    const came = (): string[] => bob.got.map((got) => textIn(got).split(' ')[0]!);
    for (let round = 1; round <= KILLS; round++) {
      await kill(server);
      readOn();
      server = await serve();
      await bob.register();
      const enough = Math.floor((acknowledged.length * round) / (KILLS + 1));
      await soon(() => bob.got.length).toBeGreaterThan(enough);
    }
    await soon(() => waiting(server)).toBe(0);
    expect(came()[0]).toBe('file');
    expect(textIn(bob.got[0]!) === FILE).toBe(true);
    expect(new Set(came()).size).toBe(bob.got.length);
    expect(acknowledged.filter((name) => !came().includes(name))).toEqual([]);
    for (const lane of LANES) {
      const wanted = acknowledged.filter((name) => name.split('.')[1] === String(lane));
      expect(came().filter((name) => wanted.includes(name))).toEqual(wanted);
    }
    expect(bob.got.slice(1).every((got) => textIn(got).endsWith(PADDING))).toBe(true);
  },
);
