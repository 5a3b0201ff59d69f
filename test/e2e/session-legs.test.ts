import { describe, expect, it } from 'vitest';
import { ALICE, BOB, device, establish, offer, SESSION } from '../cpm/participating/session-world.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();
const CAROL = 'urn:uuid:7a6f1c1e-3d53-4d59-9c2c-4a7f9f8f2b44';

async function parley(store?: string): Promise<{ program: Program; port: number; api: string }> {
  const program = new Program(['serve'], {
    env: { PARLEY_AUTH: 'none', PARLEY_ROLES: 'core,participating', ...(store && { PARLEY_STORE: store }) },
  });
  cleanups.push(() => program.dispose());
  return { program, ...(await program.ready()) };
}

async function phone(user: string, port: number, instance: string): Promise<Phone> {
  const opened = await Phone.registered(user, port, device(instance));
  cleanups.push(() => opened.close());
  return opened;
}

interface Shown {
  readonly caller: { readonly user: string; readonly device: string };
  readonly callee: { readonly user: string; readonly device: string };
}

async function sessions(api: string, query = ''): Promise<Shown[]> {
  const answer = await fetch(`${api}/api/v1/sessions${query}`);
  return ((await answer.json()) as { sessions: Shown[] }).sessions;
}

/** With a limit of its own each user's function stays in the path, whether or not the other's does. */
const stayInPath = (api: string, aor: string): Promise<Response> =>
  fetch(`${api}/api/v1/policies/${encodeURIComponent(aor)}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: '{"maxBytes":100000000}',
  });

/** Carol takes bob's session over by what alice knows of it. @returns what bob is told, and what he should be. */
async function takeOver(bob: Phone, carol: Phone, session: Awaited<ReturnType<typeof establish>>) {
  const { answer, invite } = session;
  carol.send(
    'INVITE',
    bob.aor,
    { ...SESSION, Replaces: `${answer.callId};to-tag=${answer.toTag};from-tag=${answer.fromTag}` },
    offer(),
  );
  const { headers } = await bob.answer('INVITE', 486);
  await carol.peer.response(200);
  return [headers.get('Replaces'), `${invite.callId};to-tag=tag-bob;from-tag=${invite.fromTag}`];
}

describe('a session that both users’ functions are in the middle of', () => {
  it.skipIf(missing('redis-server'))(
    'is one session on every node, and is taken over through another',
    async () => {
      const redis = await RedisServer.start();
      cleanups.push(() => redis.dispose());
      const a = await parley(redis.url);
      const b = await parley(redis.url);
      for (const user of ['sip:alice@ims.test', 'sip:bob@ims.test']) await stayInPath(a.api, user);
      const [alice, bob] = [await phone('alice', a.port, ALICE), await phone('bob', a.port, BOB)];
      const carol = await phone('carol', b.port, CAROL);
      const session = await establish(alice, bob);
      for (const { api } of [a, b])
        for (const query of ['', '?aor=sip:alice@ims.test', '?aor=sip:bob@ims.test'])
          await expect
            .poll(() => sessions(api, query), { timeout: 20_000 })
            .toMatchObject([
              { caller: { user: 'sip:alice@ims.test' }, callee: { user: 'sip:bob@ims.test' } },
            ]);
      const [told, known] = await takeOver(bob, carol, session);
      expect(told).toBe(known);
    },
  );

  it('is named as before after the server was killed', async () => {
    const first = await parley();
    const store = `lmdb:${first.program.folder}/data`;
    for (const user of ['sip:alice@ims.test', 'sip:bob@ims.test']) await stayInPath(first.api, user);
    const [alice, bob] = [await phone('alice', first.port, ALICE), await phone('bob', first.port, BOB)];
    const carol = await phone('carol', first.port, CAROL);
    const session = await establish(alice, bob);
    // what bob's function keeps under its own identifiers is joined to alice's session in a second step
    await expect
      .poll(async () => [await sessions(first.api), await sessions(first.api, '?aor=sip:bob@ims.test')], {
        timeout: 20_000,
      })
      .toMatchObject([
        [{ caller: { user: 'sip:alice@ims.test' }, callee: { user: 'sip:bob@ims.test' } }],
        [{ caller: { user: 'sip:alice@ims.test' }, callee: { user: 'sip:bob@ims.test' } }],
      ]);
    first.program.child.kill('SIGKILL');
    await first.program.exit();
    const second = await parley(store);
    expect(await sessions(second.api)).toHaveLength(1);
    const [told, known] = await takeOver(bob, carol.towards(second.port), session);
    expect(told).toBe(known);
  });
});
