import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SipRequest } from '../../src/sip/message/message.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';
import { SipPeer } from '../tools/sip-peer.js';

const cleanups = useCleanups();

it.skipIf(missing('redis-server'))(
  'an application server hears from another node what a node that was killed owed it, of every user',
  async () => {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    const as = await SipPeer.open();
    cleanups.push(() => as.close());
    const start = async (): Promise<{ program: Program; port: number }> => {
      const program = new Program(['serve'], {
        env: { PARLEY_STORE: redis.url, PARLEY_AUTH: 'none', PARLEY_ROLES: 'core' },
        config: JSON.stringify({
          sip: { overloadDelay: 60_000, timers: { t1: 30_000 } },
          isc: { patience: 60_000, waiting: 5 },
          profiles: [
            {
              name: 'default',
              criteria: [
                {
                  priority: 10,
                  server: `sip:as@127.0.0.1:${as.port}`,
                  trigger: { groups: [[{ method: 'REGISTER' }]] },
                },
              ],
            },
          ],
        }),
      });
      cleanups.push(() => program.dispose());
      return { program, port: (await program.ready()).port };
    };
    const dying = await start();
    await start();
    const users = Array.from({ length: 20 }, (_, i) => `user${i}`);
    for (const user of users) {
      const phone = await Phone.open(user, dying.port);
      cleanups.push(() => phone.close());
      expect((await phone.register()).status).toBe(200);
    }
    // all are on their way, and none is answered
    const sent = new Map<string, string>();
    while (sent.size < users.length) {
      const { to, callId } = await as.request('REGISTER');
      sent.set(to.uriText, callId);
    }
    dying.program.child.kill('SIGKILL');
    const told = new Set<string>();
    while (told.size < users.length) {
      const request = await as.request('REGISTER');
      const { to, callId } = request;
      if (callId === sent.get(to.uriText)) continue; // the dying node's, again
      expect(Number(request.get('Expires'))).toBeGreaterThan(3_000);
      as.answer(request, 200);
      told.add(to.uriText);
    }
    expect([...told].toSorted()).toEqual([...sent.keys()].toSorted());
  },
  120_000,
);

it('an application server that had not answered before a crash is told after it, once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-owed-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const as = await SipPeer.open();
  cleanups.push(() => as.close());
  const start = async (): Promise<{ program: Program; port: number }> => {
    const program = new Program(['serve'], {
      env: {
        PARLEY_STORE: `lmdb:${join(folder, 'data')}`,
        PARLEY_AUTH: 'none',
        PARLEY_ROLES: 'core',
        PARLEY_LOG_LEVEL: 'debug',
      },
      config: JSON.stringify({
        sip: { overloadDelay: 60_000, timers: { t1: 30_000 } },
        isc: { patience: 60_000 },
        profiles: [
          {
            name: 'default',
            criteria: [
              {
                priority: 10,
                server: `sip:as@127.0.0.1:${as.port}`,
                trigger: { groups: [[{ method: 'REGISTER', registrationTypes: ['initial'] }]] },
              },
            ],
          },
        ],
      }),
    });
    cleanups.push(() => program.dispose());
    return { program, port: (await program.ready()).port };
  };
  const crash = async ({ program }: { program: Program }): Promise<void> => {
    program.child.kill('SIGKILL');
    await program.dispose();
  };
  const register = async (user: string, port: number): Promise<void> => {
    const phone = await Phone.open(user, port);
    cleanups.push(() => phone.close());
    await phone.register();
  };
  const summary = (request: SipRequest): unknown => [
    request.to.uriText,
    Number(request.get('Expires')) > 3_000,
  ];

  const first = await start();
  await register('alice', first.port);
  const unanswered = await as.request('REGISTER');
  expect(summary(unanswered)).toEqual(['sip:alice@ims.test', true]);
  await crash(first);

  const second = await start();
  const again = await as.request('REGISTER');
  expect(again.callId).not.toBe(unanswered.callId);
  expect(summary(again)).toEqual(['sip:alice@ims.test', true]);
  as.answer(again, 200);
  await second.program.logged(({ code }) => code === 'core.server-told');
  // its row is gone with the next commit, which this one waits for
  await register('bob', second.port);
  as.answer(await as.request('REGISTER'), 200);
  await crash(second);

  const third = await start();
  await register('carol', third.port);
  // that bob's was answered may not have been committed
  const told: string[] = [];
  while (!told.includes('sip:carol@ims.test')) told.push((await as.request('REGISTER')).to.uriText);
  expect(told).not.toContain('sip:alice@ims.test');
}, 120_000);
