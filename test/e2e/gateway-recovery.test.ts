import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chat, cpmDevice, SipChat } from '../gateway/sip-chat.js';
import { Phone as ImpsPhone } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { freePort, RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();

const config = `
auth: none
sip: { overloadDelay: 60000 }
subscribers:
  - { privateId: alice@ims.test, password: alice-secret, identities: ['sip:alice@ims.test'], imps: 'wv:alice@ims.test' }
`;

async function storeAt(kind: 'LMDB' | 'Redis'): Promise<string> {
  if (kind === 'Redis') {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    return redis.url;
  }
  const folder = mkdtempSync(join(tmpdir(), 'parley-gateway-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return `lmdb:${join(folder, 'data')}`;
}

describe('a session of a phone when the process is killed', () => {
  it.each(['LMDB', 'Redis'] as const)(
    'is ended at the next start, and what was acknowledged in it is delivered: %s',
    { timeout: 90_000 },
    async (kind) => {
      if (kind === 'Redis' && missing('redis-server')) return;
      const [sip, imps] = [await freePort(), await freePort()];
      const env = {
        PARLEY_STORE: await storeAt(kind),
        PARLEY_SIP_LISTEN: `udp:127.0.0.1:${sip}`,
        PARLEY_IMPS_LISTEN: `127.0.0.1:${imps}`,
      };
      const serve = async (): Promise<Program> => {
        const program = new Program(['serve'], { config, env });
        cleanups.push(() => program.dispose());
        await program.ready();
        return program;
      };
      const first = await serve();
      const phone = await Phone.registered('bob', sip, cpmDevice);
      cleanups.push(() => phone.close());
      const bob = await SipChat.of(phone);
      const url = `http://127.0.0.1:${imps}`;
      const alice = await new ImpsPhone({ url, user: 'wv:alice@ims.test', password: 'alice-secret' }).start();
      await expect
        .poll(async () => (await bob.invite('sip:alice@ims.test')).status, { timeout: 20_000 })
        .toBe(200);
      expect(await bob.say(chat('m-1', 'acknowledged', { asks: '' }))).toBe(200);
      first.child.kill('SIGKILL');
      await first.exit();

      await serve();
      const bye = await phone.answer('BYE', 200);
      expect(bye.get('Reason')).toContain('The server started again');
      expect(await alice.messages()).toEqual(['acknowledged']);
    },
  );
});
