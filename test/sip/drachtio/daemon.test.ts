import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { createDrachtioStack } from '../../../src/sip/drachtio/stack.js';
import type { Dialog, SipStack } from '../../../src/sip/stack.js';
import { freePort } from '../../tools/redis.js';
import { afterThisTest, node } from '../embedded/nodes.js';

const absent = spawnSync('drachtio', ['-v']).error !== undefined;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** A real drachtio-server of this test's own. */
class Daemon {
  readonly folder = mkdtempSync(join(tmpdir(), 'parley-drachtio-'));
  #process: ChildProcess | undefined;

  readonly admin: number;
  readonly sip: number;

  constructor(admin: number, sip: number, handlers: string) {
    this.admin = admin;
    this.sip = sip;
    writeFileSync(
      join(this.folder, 'conf.xml'),
      `<drachtio>
  <admin port="${admin}" secret="cymru">127.0.0.1</admin>${handlers}
  <sip><contacts><contact>sip:127.0.0.1:${sip};transport=udp,tcp</contact></contacts></sip>
  <logging><console/><loglevel>error</loglevel></logging>
</drachtio>
`,
    );
  }

  get url(): string {
    return `drachtio://:cymru@127.0.0.1:${this.admin}`;
  }

  start(): void {
    this.#process = spawn('drachtio', ['-f', join(this.folder, 'conf.xml')], { stdio: 'ignore' });
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

async function daemon(handlers = ''): Promise<Daemon> {
  const started = new Daemon(await freePort(), await freePort(), handlers);
  afterThisTest(async () => {
    await started.kill();
    rmSync(started.folder, { recursive: true, force: true });
  });
  started.start();
  return started;
}

async function stackOn(url: string): Promise<SipStack> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const trail = new MemoryTrail(() => clock.now());
  const stack = createDrachtioStack({ url, clock, log: silentLogger, trail, domain: 'ims.test' });
  await stack.start();
  afterThisTest(async () => {
    await stack.close();
    clock.close();
  });
  return stack;
}

describe.skipIf(absent)('a real drachtio-server', () => {
  it('that is killed in mid-call is missed, and calls go through it within 5 s of its return', async () => {
    const server = await daemon();
    const stack = await stackOn(server.url);
    const caller = await node();
    const dialogs: Dialog[] = [];
    stack.on(
      'INVITE',
      async (request, response) => void dialogs.push(await stack.createUAS(request, response)),
    );
    const target = `sip:x@127.0.0.1:${server.sip}`;
    await caller.stack.createUAC(target, { method: 'INVITE' });
    await server.kill();
    await until(() => stack.trouble() !== undefined);
    expect((await dialogs[0]!.send({ method: 'INFO' })).status).toBe(503);
    server.start();
    const back = Date.now();
    await until(() => stack.trouble() === undefined);
    expect(Date.now() - back).toBeLessThan(5_000);
    const again = await caller.stack.createUAC(target, { method: 'INVITE' });
    await again.destroy();
    expect(dialogs[1]!.state).toBe('terminated');
  }, 20_000);

  it('one of several: requests come through both', async () => {
    const [one, two] = [await daemon(), await daemon()];
    const stack = await stackOn(`drachtio://:cymru@127.0.0.1:${one.admin},127.0.0.1:${two.admin}`);
    await until(() => stack.listeners.length === 4);
    stack.on('OPTIONS', (_request, response) => void response.send(200));
    const peer = await node();
    for (const { sip } of [one, two])
      expect((await peer.stack.request(`sip:127.0.0.1:${sip}`, { method: 'OPTIONS' })).status).toBe(200);
  }, 20_000);

  it('that connects to us with each request has it answered', async () => {
    const port = await freePort();
    const server = await daemon(
      `<request-handlers><request-handler sip-method="MESSAGE">tcp://127.0.0.1:${port}</request-handler></request-handlers>`,
    );
    const stack = await stackOn(`${server.url}?listen=127.0.0.1:${port}`);
    let seen = 0;
    stack.on('MESSAGE', (_request, response) => {
      seen++;
      response.send(202);
    });
    const peer = await node();
    const answer = await peer.stack.request(`sip:127.0.0.1:${server.sip}`, { method: 'MESSAGE' });
    expect([answer.status, seen]).toEqual([202, 1]);
  }, 20_000);
});
