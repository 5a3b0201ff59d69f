import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { element } from '../../../src/imps/codec/element.js';
import { MemoryStore } from '../../tools/memory-store.js';
import { CirLine } from '../tools/cir-line.js';
import { message, type Phone } from '../tools/phone.js';
import { userId, worldOn, type World } from '../tools/world.js';

const clock = new VirtualClock();
let channels: World;
let requests: World;
let alice: Phone;
let bob: Phone;
let line: CirLine;

/** Bob's requests go to one node, and his CIR connection to another. */
beforeEach(async () => {
  const store = new MemoryStore();
  channels = await worldOn(store, clock);
  requests = await worldOn(store, clock);
  alice = await requests.phone('alice').start();
  bob = requests.phone('bob');
  bob.cookie = 'cookie-of-bob';
  await bob.login2();
  await bob.negotiate(element('SupportedCIRMethod', 'STCP'));
  line = new CirLine(channels.cirPort);
});
afterEach(async () => {
  line.socket.destroy();
  for (const node of [channels, requests]) {
    expect(node.errors).toEqual([]);
    await node.close();
  }
});

const OK = 'OK';
const CIR = 'WVCI 1.3 cookie-of-bob';
const hello = async (): Promise<void> => {
  line.socket.write(`HELO ${bob.sessionId}\r\n`);
  await line.until(1);
};
const send = (text: string) => alice.request(message(text, [userId('bob')]));

describe('a CIR connection at another node than the requests', () => {
  it('brings one CIR for what comes to wait until the client has come, and another for what comes later', async () => {
    await hello();
    const expected = [OK];
    for (const texts of [['1', '2', '3'], ['4'], ['5', '6']]) {
      for (const text of texts) await send(text);
      expected.push(CIR);
      expect(await line.until(expected.length)).toEqual(expected);
      expect(await bob.messages()).toEqual(texts);
    }
    line.socket.write('PING\r\n');
    expect(await line.until(5)).toEqual([...expected, OK]);
  });

  it('that is opened when something waits brings a CIR, and another for what comes later', async () => {
    await send('before');
    // it comes, but leaves what waits
    await bob.code(element('KeepAlive-Request'));
    await hello();
    expect(await line.until(2)).toEqual([OK, CIR]);
    expect(await bob.messages()).toEqual(['before']);
    await send('after');
    expect(await line.until(3)).toEqual([OK, CIR, CIR]);
  });

  it('brings another CIR when what was sent was not answered', async () => {
    await hello();
    await send('hello');
    await line.until(2);
    await bob.poll();
    clock.advance(60_000);
    await vi.waitFor(
      () => {
        clock.advance(1000);
        expect(line.lines).toEqual([OK, CIR, CIR]);
      },
      { timeout: 10_000, interval: 5 },
    );
  });
});
