import { describe, expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { Daemon, noDaemon } from '../tools/drachtio-daemon.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();

describe.skipIf(noDaemon || missing('redis-server'))(
  'two Parleys on one drachtio-server and one Redis',
  () => {
    it('share the requests, ring what registered at the other, tell its watchers, and one goes on alone', async () => {
      const redis = await RedisServer.start();
      cleanups.push(() => redis.dispose());
      const daemon = await Daemon.start();
      const nodes: RunningParley[] = [];
      for (let i = 0; i < 2; i++)
        nodes.push(await startParley({ auth: 'none', store: redis.url, sip: { stack: daemon.url } }));
      const [a, b] = nodes as [RunningParley, RunningParley];
      let left = [a, b];
      cleanups.push(async () => {
        for (const node of left) await node.stop();
      });
      const phone = async (user: string): Promise<Phone> => {
        const opened = await Phone.open(user, daemon.sip);
        cleanups.push(() => opened.close());
        return opened;
      };
      const [alice, bob] = [await phone('alice'), await phone('bob')];
      expect((await alice.register()).status).toBe(200);
      expect((await alice.ask('SUBSCRIBE', alice.aor, { Event: 'reg' })).status).toBe(200);
      await alice.answer('NOTIFY', 200);
      const registered = ({ app }: RunningParley): number =>
        [...app.trail.counts()].reduce(
          (sum, [code, count]) => (code.startsWith('register.') ? sum + count : sum),
          0,
        );
      for (let i = 0; i < 6; i++) {
        expect((await alice.register()).status).toBe(200);
        await alice.answer('NOTIFY', 200);
        expect((await bob.register()).status).toBe(200);
        bob.send('MESSAGE', alice.aor, { 'Content-Type': 'text/plain', 'Content-Length': '0' });
        await alice.answer('MESSAGE', 200);
        expect((await bob.peer.response(200)).status).toBe(200);
      }
      expect([registered(a) > 0, registered(b) > 0]).toEqual([true, true]);

      left = [b];
      await a.stop();
      expect((await bob.register()).status).toBe(200);
      bob.send('MESSAGE', alice.aor, { 'Content-Type': 'text/plain', 'Content-Length': '0' });
      await alice.answer('MESSAGE', 200);
      expect((await bob.peer.response(200)).status).toBe(200);
    }, 20_000);
  },
);
