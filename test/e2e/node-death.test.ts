import { describe, expect, it } from 'vitest';
import { node } from '../sip/embedded/nodes.js';
import { useCleanups } from '../tools/cleanups.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';
import { until } from '../tools/until.js';

const cleanups = useCleanups();

interface Running {
  readonly program: Program;
  readonly port: number;
  readonly api: string;
}

async function parley(store: string, port: number): Promise<Running> {
  const program = new Program(['serve'], {
    env: {
      PARLEY_STORE: store,
      PARLEY_AUTH: 'none',
      PARLEY_ROLES: 'core',
      PARLEY_SIP_LISTEN: `udp:127.0.0.1:${port},tcp:127.0.0.1:${port}`,
    },
  });
  cleanups.push(() => program.dispose());
  const { api } = await program.ready();
  return { program, port, api };
}

async function phone(user: string, { port }: Running): Promise<Phone> {
  const opened = await Phone.registered(user, port);
  cleanups.push(() => opened.peer.close());
  return opened;
}

/** Contacts registered for alice, as the admin API of a node tells. */
async function contacts({ api }: Running): Promise<string[]> {
  const answer = await fetch(`${api}/api/v1/registrations/${encodeURIComponent('sip:alice@ims.test')}`);
  if (answer.status === 404) return [];
  return [...(await answer.text()).matchAll(/"contact":"([^"]+)"/g)].map(([, contact]) => contact!);
}

describe.skipIf(missing('redis-server'))('when one of two nodes is killed', () => {
  it('its connections’ bindings go within 10 s, other devices ring, and after a restart its UDP bindings work', async () => {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    const a = await parley(redis.url, await freePort());
    const b = await parley(redis.url, await freePort());
    const onUdp = await phone('alice', a);
    const bob = await phone('bob', b);
    const onTcp = await node();
    const registered = await onTcp.stack.request('sip:ims.test', {
      method: 'REGISTER',
      route: [`<sip:127.0.0.1:${a.port};transport=tcp;lr>`],
      headers: {
        From: '<sip:alice@ims.test>;tag=t',
        To: '<sip:alice@ims.test>',
        Supported: 'path, outbound',
        Contact:
          '<sip:alice@device.invalid;transport=tcp>;reg-id=1;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"',
      },
    });
    expect(registered.status).toBe(200);
    expect(await contacts(b)).toHaveLength(2);

    a.program.child.kill('SIGKILL');
    await until(async () => (await contacts(b)).length === 1);
    bob.send('MESSAGE', 'sip:alice@ims.test');
    onUdp.peer.answer(await onUdp.peer.request('MESSAGE'), 200);
    expect((await bob.peer.response(200)).status).toBe(200);

    const again = await parley(redis.url, a.port);
    expect(await contacts(again)).toEqual([onUdp.contact]);
    const carol = await phone('carol', again);
    carol.send('MESSAGE', 'sip:alice@ims.test');
    onUdp.peer.answer(await onUdp.peer.request('MESSAGE'), 200);
    expect((await carol.peer.response(200)).status).toBe(200);
  }, 60_000);
});
