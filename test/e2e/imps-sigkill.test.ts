import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { message, Phone } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { compiled } from '../tools/compiled.js';
import { missing } from '../tools/install.js';
import { RedisServer } from '../tools/redis.js';
import { hearLines, killAgainAndAgain } from '../tools/sigkill.js';

const victim = 'test/imps/tools/sigkill-victim.ts';
const script = compiled(victim);
const cleanups = useCleanups();

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'parley-imps-sigkill-'));
  cleanups.push(() => rmSync(path, { recursive: true }));
  return path;
}

async function redis(): Promise<string> {
  const server = await RedisServer.start();
  cleanups.push(() => server.dispose());
  return server.url;
}

const ROUNDS = 8;
const SENDERS = 4;
const user = (name: string): string => `wv:${name}@ims.test`;

/** A phone that sends one message after the other, and repeats the one that was not acknowledged. */
class Sender {
  readonly name: string;
  readonly acknowledged: string[] = [];
  #client = 0;
  #session: string | undefined;
  #sent = 0;
  #open = false;

  constructor(name: string) {
    this.name = name;
  }

  /** Sends until the server is gone. */
  async run(url: string, onAcknowledged: () => void): Promise<void> {
    try {
      for (;;) {
        await this.one(url);
        onAcknowledged();
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch: the server was killed
    }
  }

  /** Sends the next message, or the open one again under its Transaction-ID. */
  async one(url: string): Promise<void> {
    // a login whose answer was lost holds its ClientID, so each login has a new one
    const phone = new Phone({
      url,
      user: user('alice'),
      password: 'alice-secret',
      clientId: `wv:${this.name}-${++this.#client}`,
    });
    if (this.#session === undefined) this.#session = (await phone.start()).sessionId;
    phone.sessionId = this.#session;
    if (!this.#open) this.#sent++;
    this.#open = true;
    const text = `${this.name} ${this.#sent}`;
    const code = await phone.code(message(text, [user('bob')]), `t${this.#sent}`);
    if (code !== 200) throw new Error(`${text}: ${code}`);
    this.acknowledged.push(text);
    this.#open = false;
  }
}

function launch(
  place: string,
  onUrl: (url: string) => void,
): {
  readonly process: ChildProcess;
  readonly silent: Promise<unknown>;
} {
  const child = spawn(process.execPath, [script, place], { stdio: ['ignore', 'pipe', 'inherit'] });
  const silent = hearLines(child, (line) => onUrl(line.slice('url '.length)));
  return { process: child, silent };
}

describe.skipIf(missing('redis-server'))('an IMPS server killed under load', () => {
  it.each([
    ['LMDB', folder],
    ['Redis', redis],
  ] as const)(
    'loses no acknowledged message, sends none twice, and keeps its sessions on %s',
    { timeout: 180_000 },
    async (_name, where) => {
      const place = await where();
      const senders = Array.from({ length: SENDERS }, (_, index) => new Sender(`s${index}`));
      let runs: Promise<void>[] = [];
      await killAgainAndAgain({
        times: ROUNDS,
        withinMs: 150,
        start: (acknowledged) =>
          launch(place, (url) => {
            runs = senders.map((sender) => sender.run(url, acknowledged));
          }),
        verify: async () => {
          await Promise.all(runs);
        },
      });

      const server = await new Promise<{ url: string; process: ChildProcess }>((resolve) => {
        const { process } = launch(place, (url) => resolve({ url, process }));
      });
      for (const sender of senders) await sender.one(server.url);
      const bob = await new Phone({ url: server.url, user: user('bob'), password: 'bob-secret' }).start();
      const received = await bob.messages();
      server.process.kill('SIGKILL');
      await once(server.process, 'exit');

      const sent = senders.flatMap(({ acknowledged }) => acknowledged);
      expect(sent.length).toBeGreaterThan(ROUNDS * SENDERS);
      expect(received.length).toBe(sent.length);
      for (const { name, acknowledged } of senders) {
        expect(received.filter((text) => text.startsWith(`${name} `))).toEqual(acknowledged);
      }
    },
  );
});
