import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cpmServices } from '../../src/identity/cpm-services.js';
import type { SipStack } from '../../src/sip/stack.js';
import { BOB, device } from '../cpm/participating/session-world.js';
import { afterThisTest, node } from '../sip/embedded/nodes.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { kill, serveMessages as serve, T1, waiting, type MessageServer } from '../tools/message-server.js';
import { RedisServer } from '../tools/redis.js';
import { soon } from '../tools/soon.js';

const KILLS = 3;

/** Bob's device: takes each message once, and answers one that it knows as RFC 3261 §8.2.2.2 says. */
class Receiver {
  readonly texts: string[] = [];
  readonly stack: SipStack;
  readonly #port: number;
  readonly #known = new Set<string>();
  /** What happens when a message comes, before it is answered; false leaves it unanswered. */
  arrived: (text: string) => boolean = () => true;

  private constructor(stack: SipStack, port: number) {
    this.stack = stack;
    this.#port = port;
    stack.on('MESSAGE', (request, response) => {
      const name = [request.callId, request.fromTag, request.cseq.number].join(' ');
      if (this.#known.has(name)) {
        response.send(482);
        return;
      }
      this.#known.add(name);
      const text = Buffer.from(request.body).toString();
      this.texts.push(text);
      if (this.arrived(text)) response.send(200);
    });
  }

  static async open(): Promise<Receiver> {
    const { stack, port } = await node(['udp:127.0.0.1:0'], T1);
    return new Receiver(stack, port());
  }

  async register({ port }: MessageServer): Promise<void> {
    const response = await this.stack.request('sip:ims.test', {
      method: 'REGISTER',
      route: [`<sip:127.0.0.1:${port};lr>`],
      headers: {
        From: '<sip:bob@ims.test>',
        To: '<sip:bob@ims.test>',
        Contact: `<sip:bob@127.0.0.1:${this.#port}>${device(BOB, [cpmServices.message])}`,
      },
    });
    expect(response.status).toBe(200);
  }
}

const send = async (stack: SipStack, { port }: MessageServer, text: string): Promise<number> => {
  const response = await stack.request('sip:bob@ims.test', {
    method: 'MESSAGE',
    route: [`<sip:127.0.0.1:${port};lr>`],
    headers: {
      From: '<sip:alice@ims.test>',
      'P-Preferred-Service': cpmServices.message,
      'Content-Type': 'text/plain',
    },
    body: text,
  });
  return response.status;
};

describe('messages that were acknowledged with 202', () => {
  it(
    'are delivered in order, each once, when the server is killed while they come and while they go out',
    { timeout: 300_000 },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'parley-messages-'));
      afterThisTest(() => rmSync(folder, { recursive: true, force: true }));
      const [store, port] = [`lmdb:${join(folder, 'data')}`, await freePort()];
      const acknowledged: string[] = [];
      let server = await serve(store, port);
      for (let round = 0; round < KILLS; round++) {
        const alice = await node(['udp:127.0.0.1:0'], T1);
        const before = acknowledged.length;
        // several at once: the kill finds some in every state
        const senders = Array.from({ length: 4 }, async (_, lane) => {
          for (let i = 0; ; i++) {
            const text = `${round}.${lane}.${i}`;
            if ((await send(alice.stack, server, text).catch(() => 0)) !== 202) return;
            acknowledged.push(text);
          }
        });
        await soon(() => acknowledged.length).toBeGreaterThan(before + 10 + 7 * round);
        await kill(server);
        await alice.stack.close();
        await Promise.all(senders);
        server = await serve(store, port);
      }
      const bob = await Receiver.open();
      await bob.register(server);
      for (let round = 1; round <= KILLS; round++) {
        const enough = Math.floor((acknowledged.length * round) / (KILLS + 1));
        await soon(() => bob.texts.length).toBeGreaterThan(enough);
        await kill(server);
        server = await serve(store, port);
        await bob.register(server);
      }
      await soon(() => waiting(server)).toBe(0);
      expect(new Set(bob.texts).size).toBe(bob.texts.length);
      expect(acknowledged.filter((text) => !bob.texts.includes(text))).toEqual([]);
      for (const lane of [0, 1, 2, 3]) {
        const ofLane = (text: string): boolean => text.split('.')[1] === String(lane);
        const wanted = acknowledged.filter(ofLane);
        expect(bob.texts.filter((text) => ofLane(text) && wanted.includes(text))).toEqual(wanted);
      }
    },
  );

  it.skipIf(missing('redis-server'))(
    'at a node that dies while it hands them out go out at another one, each once',
    { timeout: 180_000 },
    async () => {
      const redis = await RedisServer.start();
      afterThisTest(() => redis.dispose());
      const [a, b] = [await serve(redis.url, await freePort()), await serve(redis.url, await freePort())];
      const alice = await node(['udp:127.0.0.1:0'], T1);
      for (const text of ['one', 'two', 'three']) expect(await send(alice.stack, a, text)).toBe(202);
      const bob = await Receiver.open();
      bob.arrived = () => false;
      await bob.register(a);
      await soon(() => bob.texts).toEqual(['one']);
      await kill(a);
      bob.arrived = () => true;
      await bob.register(b);
      await soon(() => waiting(b)).toBe(0);
      expect(bob.texts).toEqual(['one', 'two', 'three']);
    },
  );
});
