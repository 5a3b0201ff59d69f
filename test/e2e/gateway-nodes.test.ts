import { describe, expect, it } from 'vitest';
import { Phone as ImpsPhone } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';
import { TcpProxy } from '../tools/tcp-proxy.js';

const cleanups = useCleanups();
const patient = { timeout: 40_000, interval: 200 };

const config = `
auth: none
sip: { overloadDelay: 60000 }
subscribers:
  - { privateId: alice@ims.test, password: alice-secret, identities: ['sip:alice@ims.test'], imps: 'wv:alice@ims.test' }
`;

interface Node {
  readonly program: Program;
  readonly sip: number;
  readonly imps: number;
  readonly api: string;
}

async function node(store: string): Promise<Node> {
  const [sip, imps] = [await freePort(), await freePort()];
  const program = new Program(['serve'], {
    config,
    env: {
      PARLEY_STORE: store,
      PARLEY_SIP_LISTEN: `udp:127.0.0.1:${sip}`,
      PARLEY_IMPS_LISTEN: `127.0.0.1:${imps}`,
    },
  });
  cleanups.push(() => program.dispose());
  const { api } = await program.ready();
  return { program, sip, imps, api };
}

/** What the API of a node tells of alice's devices. */
async function devices({ api }: Node): Promise<string> {
  const answer = await fetch(`${api}/api/v1/registrations/${encodeURIComponent('sip:alice@ims.test')}`);
  return answer.text();
}

describe.skipIf(missing('redis-server'))('a phone that logged in at one of two nodes', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'is reached through the other, without doing anything, after %s of its own',
    { timeout: 120_000 },
    async (signal) => {
      const redis = await RedisServer.start();
      cleanups.push(() => redis.dispose());
      const [a, b] = [await node(redis.url), await node(redis.url)];
      const balancer = await TcpProxy.start(a.imps);
      cleanups.push(() => balancer.close());
      const bob = await Phone.registered('bob', b.sip);
      cleanups.push(() => bob.close());
      const url = `http://127.0.0.1:${balancer.port}`;
      const alice = await new ImpsPhone({ url, user: 'wv:alice@ims.test', password: 'alice-secret' }).start();
      await expect.poll(() => devices(b), patient).toContain(`127.0.0.1:${a.sip}`);

      a.program.child.kill(signal);
      await a.program.exit();
      balancer.retarget(b.imps);
      await expect.poll(() => devices(b), patient).toContain(`127.0.0.1:${b.sip}`);
      bob.send('MESSAGE', 'sip:alice@ims.test', {}, 'are you there?');
      expect((await bob.peer.response(200)).status).toBe(200);
      await expect.poll(() => alice.messages(), patient).toEqual(['are you there?']);
    },
  );
});
