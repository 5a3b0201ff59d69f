import { describe, expect, it } from 'vitest';
import { afterThisTest } from '../sip/embedded/nodes.js';
import { Daemon, noDaemon } from '../tools/drachtio-daemon.js';
import { missing } from '../tools/install.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';

const DEVICES = 50;

/** What a CPM client registers. */
const params = (device: number): string =>
  `;+sip.instance="<urn:uuid:00000000-0000-1000-8000-${String(device).padStart(12, '0')}>"` +
  ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg,urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.largemsg,urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"' +
  ';+g.3gpp.iari-ref="urn%3Aurn-7%3A3gpp-application.ims.iari.rcs.geopush";+g.gsma.rcs.botversion="#=1,#=2"';

async function phone(port: number): Promise<Phone> {
  const opened = await Phone.open('alice', port);
  afterThisTest(() => opened.close());
  return opened;
}

/** Registers fifty devices, at one port after the other, and watches them at the last. @returns octets of the largest NOTIFY. */
async function registerAndWatch(...ports: readonly number[]): Promise<number> {
  const contacts: string[] = [];
  let last: Phone | undefined;
  for (let device = 0; device < DEVICES; device++) {
    const opened = await phone(ports[device % ports.length]!);
    const answer = await opened.register(params(device), { Supported: 'gruu' });
    expect(answer.status).toBe(200);
    const own = answer.headers.list('Contact').find((contact) => contact.includes(opened.contact));
    expect(own).toContain(';pub-gruu=');
    contacts.push(opened.contact);
    last = opened;
  }
  const watcher = last!;
  await watcher.ask('SUBSCRIBE', watcher.aor, { Event: 'reg', Expires: '600' });
  const told = new Set<string>();
  let largest = 0;
  let version = 0;
  while (!contacts.every((contact) => told.has(contact))) {
    const { body } = await watcher.answer('NOTIFY', 200);
    const document = Buffer.from(body).toString();
    // the first is whole as far as it goes, and what follows adds to it
    expect(document).toContain(`version="${version}" state="${version === 0 ? 'full' : 'partial'}"`);
    version++;
    largest = Math.max(largest, body.length);
    for (const [, uri] of document.matchAll(/<uri>([^<]+)<\/uri>/g)) told.add(uri!);
  }
  return largest;
}

describe('a user with fifty devices', () => {
  it('and three identities is watched over UDP alone, in documents of which each fits into a datagram', async () => {
    const identities = ['sip:alice@ims.test', 'sip:alice.work@ims.test', 'tel:+15550100001'];
    const alice = { privateId: 'alice@ims.test', password: 'alice-secret', identities };
    const parley = await startParley({ auth: 'none', roles: ['core'], subscribers: [alice] });
    afterThisTest(() => parley.stop());
    const largest = await registerAndWatch(parley.port);
    expect(largest).toBeGreaterThan(12_000);
    expect(largest).toBeLessThan(65_507);
  }, 120_000);

  it.skipIf(missing('redis-server'))(
    'registers them at two nodes on Redis, and a watcher is told of all at once',
    async () => {
      const redis = await RedisServer.start();
      afterThisTest(() => redis.dispose());
      const ports: number[] = [];
      for (let i = 0; i < 2; i++) {
        const node = await startParley({ auth: 'none', roles: ['core'], store: redis.url });
        afterThisTest(() => node.stop());
        ports.push(node.port);
      }
      expect(await registerAndWatch(...ports)).toBeGreaterThan(12_000);
    },
    60_000,
  );

  it.skipIf(noDaemon)(
    'registers them through drachtio-server, whose messages are small, and a watcher is told of all bit by bit',
    async () => {
      const daemon = await Daemon.start();
      const parley = await startParley({ auth: 'none', roles: ['core'], sip: { stack: daemon.url } });
      afterThisTest(() => parley.stop());
      expect(await registerAndWatch(daemon.sip)).toBeLessThan(12_000);
    },
    60_000,
  );
});
