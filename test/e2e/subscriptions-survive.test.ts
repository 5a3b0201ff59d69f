import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SipRequest } from '../../src/sip/message/message.js';
import { useCleanups } from '../tools/cleanups.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();
const AOR = 'sip:alice@ims.test';

async function parley(store: string, port: number): Promise<Program> {
  const program = new Program(['serve'], {
    env: {
      PARLEY_STORE: store,
      PARLEY_AUTH: 'none',
      PARLEY_ROLES: 'core',
      PARLEY_SIP_LISTEN: `udp:127.0.0.1:${port},tcp:127.0.0.1:${port}`,
    },
    config: 'sip: { overloadDelay: 60000 }',
  });
  cleanups.push(() => program.dispose());
  await program.ready();
  return program;
}

async function device(port: number): Promise<Phone> {
  const phone = await Phone.registered('alice', port);
  cleanups.push(() => phone.close());
  return phone;
}

/** A watcher that lets nothing pass which RFC 3261 §12.2.2 would have it refuse. */
class Watcher {
  readonly #phone: Phone;
  #server: number;
  #toTag = '';
  #subscribes = 0;
  #cseq = 0;
  #version = -1;

  constructor(phone: Phone, server: number) {
    this.#phone = phone;
    this.#server = server;
  }

  /** A SUBSCRIBE of the dialog, sent again until it is answered (Timer E of RFC 3261 §17.1.2.2). */
  async subscribe(seconds = 600): Promise<void> {
    const server = this.#server;
    const tag = this.#toTag === '' ? '' : `;tag=${this.#toTag}`;
    const headers = {
      Via: `SIP/2.0/UDP 127.0.0.1:${this.#phone.peer.port};branch=z9hG4bKwatch-${++this.#subscribes}`,
      From: `<${AOR}>;tag=watcher`,
      To: `<${AOR}>${tag}`,
      'Call-ID': 'watch',
      CSeq: `${this.#subscribes} SUBSCRIBE`,
      Event: 'reg',
      Expires: String(seconds),
    };
    const send = (): string => this.#phone.towards(server).send('SUBSCRIBE', AOR, headers);
    send();
    const timer = setInterval(send, 1_000);
    const response = await this.#phone.peer.response(200).finally(() => clearInterval(timer));
    expect([response.status, response.get('Expires')]).toEqual([200, String(seconds)]);
    this.#toTag = response.toTag ?? '';
  }

  /** The next NOTIFY of the dialog, with what its document says. */
  async told(): Promise<{ state: string; version: number; contacts: number; notify: SipRequest }> {
    for (;;) {
      const notify = await this.#phone.answer('NOTIFY', 200);
      if (notify.cseq.number === this.#cseq) continue; // again, since the machine is busy
      expect([notify.callId, notify.toTag]).toEqual(['watch', 'watcher']);
      if (this.#toTag !== '') expect(notify.fromTag).toBe(this.#toTag);
      expect(notify.cseq.number).toBeGreaterThan(this.#cseq);
      this.#cseq = notify.cseq.number;
      this.#server = notify.contacts[0]!.uri.port!;
      const text = Buffer.from(notify.body).toString();
      const [, version = '', state = ''] = /version="(\d+)" state="(\w+)"/.exec(text) ?? [];
      expect(Number(version)).toBeGreaterThan(this.#version);
      const rose = Number(version) - this.#version;
      this.#version = Number(version);
      if (rose > 1) expect(state).toBe('full'); // the gap is harmless (RFC 3680 §5.1)
      return { state, version: rose, contacts: text.split('<contact ').length - 1, notify };
    }
  }

  get server(): number {
    return this.#server;
  }
}

describe('a subscription to registration events', () => {
  it('goes on in its dialog after the server was killed and started again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-survive-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const store = `lmdb:${join(folder, 'data')}`;
    const port = await freePort();
    const first = await parley(store, port);
    const watcher = new Watcher(await device(port), port);
    await watcher.subscribe();
    expect(await watcher.told()).toMatchObject({ version: 1, contacts: 1 });
    await device(port);
    expect(await watcher.told()).toMatchObject({ version: 1, contacts: 2 });

    first.child.kill('SIGKILL');
    await first.exit();
    const second = await parley(store, port);
    expect(await watcher.told()).toMatchObject({ state: 'full', contacts: 2 });
    await device(port);
    expect(await watcher.told()).toMatchObject({ version: 1, contacts: 3 });
    await watcher.subscribe();
    expect(await watcher.told()).toMatchObject({ version: 1, contacts: 3 });

    second.child.kill('SIGTERM');
    expect(await second.exit()).toBe(0);
    await parley(store, port);
    expect(await watcher.told()).toMatchObject({ state: 'full', contacts: 3 });
    await watcher.subscribe(0);
    const last = await watcher.told();
    expect(last.notify.get('Subscription-State')).toMatch(/^terminated/);
  }, 240_000);

  it('that is refreshed while the server is away goes on when it is back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-survive-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const store = `lmdb:${join(folder, 'data')}`;
    const port = await freePort();
    const first = await parley(store, port);
    const watcher = new Watcher(await device(port), port);
    await watcher.subscribe();
    expect(await watcher.told()).toMatchObject({ version: 1, contacts: 1 });
    first.child.kill('SIGKILL');
    await first.exit();
    const refreshed = watcher.subscribe();
    await parley(store, port);
    await refreshed;
    expect(await watcher.told()).toMatchObject({ state: 'full', contacts: 1 });
  }, 240_000);

  it.skipIf(missing('redis-server'))(
    'goes on at another node when its own is dead',
    async () => {
      const redis = await RedisServer.start();
      cleanups.push(() => redis.dispose());
      const [a, b] = [await freePort(), await freePort()];
      const dying = await parley(redis.url, a);
      await parley(redis.url, b);
      const watcher = new Watcher(await device(b), a);
      await watcher.subscribe();
      expect(await watcher.told()).toMatchObject({ version: 1, contacts: 1 });
      expect(watcher.server).toBe(a);

      dying.child.kill('SIGKILL');
      expect(await watcher.told()).toMatchObject({ state: 'full', contacts: 1 });
      expect(watcher.server).toBe(b);
      await parley(redis.url, a); // which leaves it where it is
      await device(a);
      expect(await watcher.told()).toMatchObject({ version: 1, contacts: 2 });
      expect(watcher.server).toBe(b);
      await watcher.subscribe();
      expect(await watcher.told()).toMatchObject({ version: 1, contacts: 2 });
    },
    240_000,
  );
});
