import { describe, expect, it } from 'vitest';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import { useCleanups } from '../tools/cleanups.js';
import { acknowledge, cpmDevice, joinGroup } from '../tools/group-party.js';
import { Daemon, noDaemon } from '../tools/drachtio-daemon.js';
import { missing } from '../tools/install.js';
import { killed } from '../tools/killed.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();

/** Joins the group, and acknowledges what comes of it. */
async function joined(phone: Phone): Promise<SipResponse> {
  const callId = joinGroup(phone, 'sip:gs-sales@ims.test');
  for (;;) {
    const response = await phone.peer.response(200);
    if (response.callId !== callId) continue;
    if (response.status < 300) acknowledge(phone, response);
    return response;
  }
}

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

    it('know which of them lives: all members of a group are in one, whichever is asked, and the survivor takes it', async () => {
      const redis = await RedisServer.start();
      cleanups.push(() => redis.dispose());
      const daemon = await Daemon.start();
      const programs: Program[] = [];
      const apis: string[] = [];
      for (let i = 0; i < 2; i++) {
        const program = new Program(['serve'], {
          env: { PARLEY_STORE: redis.url, PARLEY_AUTH: 'none', PARLEY_SIP_STACK: daemon.url },
        });
        cleanups.push(() => program.dispose());
        programs.push(program);
        apis.push((await program.ready()).api);
      }
      const users = ['alice', 'bob', 'carol', 'dave'];
      const phones: Phone[] = [];
      for (const [i, user] of users.entries()) {
        const phone = await cpmDevice(user, `6ca759e8-d1b1-5dee-95f9-e36d2aca6b0${i}`, daemon.sip);
        cleanups.push(() => phone.close());
        phones.push(phone);
      }
      const [chairman, ...members] = users.map((user) => `sip:${user}@ims.test`);
      const made = await fetch(`${apis[0]}/api/v1/groups`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'sales', kind: 'long-lived', chairman, members }),
      });
      expect(made.status).toBe(201);
      const states = async (api: string | undefined): Promise<string[]> => {
        const answer = await fetch(`${api}/api/v1/groups/gs-sales`);
        const { members: listed } = (await answer.json()) as { members: { state: string }[] };
        return listed.map(({ state }) => state);
      };
      const running = async (api: string | undefined): Promise<boolean> =>
        /^parley_groups_running 1$/m.test(await (await fetch(`${api}/metrics`)).text());
      const watched = new Map<Phone, SipRequest>();
      for (const phone of phones) {
        expect((await phone.ask('SUBSCRIBE', phone.aor, { Event: 'reg' })).status).toBe(200);
        watched.set(phone, await phone.answer('NOTIFY', 200));
        expect((await joined(phone)).status).toBe(200);
      }
      expect(await states(apis[0])).toEqual(users.map(() => 'connected'));
      const holders = await Promise.all(apis.map(running));
      expect(holders.toSorted()).toEqual([false, true]);

      await killed(programs[holders.indexOf(true)]!.child);
      const survivor = apis[holders.indexOf(false)];
      const alice = phones[0]!;
      await expect
        .poll(async () => (await joined(alice)).status, { timeout: 30_000, interval: 1_000 })
        .toBe(200);
      expect(await running(survivor)).toBe(true);
      // as RFC 3261 §12.2.2 would have each watcher see to it
      for (const [phone, first] of watched) {
        expect((await phone.register()).status).toBe(200);
        const next = await phone.answer('NOTIFY', 200);
        expect([next.callId, next.fromTag, next.toTag]).toEqual([first.callId, first.fromTag, first.toTag]);
        expect(next.cseq.number).toBeGreaterThan(first.cseq.number);
      }
    }, 90_000);
  },
);
