import { beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import type { FilterCriterion } from '../../src/core/triggers/criteria.js';
import { Profiles } from '../../src/core/triggers/profiles.js';
import { Wildcards } from '../../src/registrar/wildcards.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/store.js';
import { useCleanups } from '../tools/cleanups.js';
import { ForeignCore, reginfoOf } from '../tools/foreign-core.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';
import { TcpProxy } from '../tools/tcp-proxy.js';

const cleanups = useCleanups();
const patient = { timeout: 20_000 };

let redis: RedisServer;
/** The way of one of the two nodes to Redis; the other goes there straight. */
let way: TcpProxy;
const atWay = (): string => `redis://127.0.0.1:${way.port}`;
const mend = (): void => way.retarget(redis.port);

const criterion = (server: string): FilterCriterion => ({
  priority: 1,
  server,
  defaultHandling: 'continued',
});

async function cut(): Promise<void> {
  way.retarget(await freePort());
}

describe.skipIf(missing('redis-server'))('a node whose way to Redis was cut learns afterwards', () => {
  beforeEach(async () => {
    redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    way = await TcpProxy.start(redis.port);
    cleanups.push(() => way.close());
  });

  async function stores(): Promise<[here: Store, there: Store]> {
    const clock = new SystemClock(() => undefined);
    cleanups.push(() => clock.close());
    const open = async (url: string): Promise<Store> => {
      const store = await openStore(url, { clock, log: silentLogger });
      cleanups.push(() => store.close());
      return store;
    };
    return [await open(redis.url), await open(atWay())];
  }

  it('what registered at the other, and tells its watcher', async () => {
    const a = await startParley({ auth: 'none', roles: ['core'], store: redis.url });
    cleanups.push(() => a.stop());
    const b = await startParley({ auth: 'none', roles: ['core'], store: atWay() });
    cleanups.push(() => b.stop());
    const phone = async (port: number): Promise<Phone> => {
      const opened = await Phone.open('alice', port);
      cleanups.push(() => opened.close());
      return opened;
    };
    const [watcher, other] = [await phone(b.port), await phone(a.port)];
    await watcher.register();
    await watcher.ask('SUBSCRIBE', watcher.aor, { Event: 'reg', Expires: '600' });
    await watcher.answer('NOTIFY', 200);
    const readiness = async (): Promise<number> => (await fetch(`${b.api}/readyz`)).status;
    await cut();
    await expect.poll(readiness, patient).toBe(503);
    expect((await other.register()).status).toBe(200);
    mend();
    const { body } = await watcher.answer('NOTIFY', 200);
    expect(Buffer.from(body).toString()).toContain(`<uri>${other.contact}</uri>`);
  });

  it('which service profiles were changed and removed', async () => {
    const [here, there] = await stores();
    const [ours, theirs] = [await Profiles.open(here), await Profiles.open(there)];
    await ours.put({ name: 'old', criteria: [criterion('sip:one@ims.test')] });
    await ours.put({ name: 'gone', criteria: [criterion('sip:one@ims.test')] });
    await expect.poll(() => theirs.has('gone'), patient).toBe(true);
    await cut();
    await expect.poll(() => there.trouble(), patient).toBeDefined();
    await ours.put({ name: 'old', criteria: [criterion('sip:two@ims.test')] });
    await ours.put({ name: 'new', criteria: [criterion('sip:two@ims.test')] });
    await ours.remove('gone');
    mend();
    await expect.poll(() => theirs.has('gone'), patient).toBe(false);
    expect(theirs.has('new')).toBe(true);
    expect(JSON.stringify(theirs.criteria('old'))).toContain('sip:two@ims.test');
  });

  it('which wildcarded identities there are', async () => {
    const [here, there] = await stores();
    const [ours, theirs] = [new Wildcards(here), new Wildcards(there)];
    expect(await theirs.find('sip:shop-1@ims.test')).toBeUndefined();
    await cut();
    await expect.poll(() => there.trouble(), patient).toBeDefined();
    await ours.add('sip:shop-!.*!@ims.test');
    mend();
    await expect
      .poll(() => Promise.resolve(theirs.find('sip:shop-1@ims.test')).catch(() => undefined), patient)
      .toBe('sip:shop-!.*!@ims.test');
  });

  it('which users another core has told the other of', async () => {
    const settings = { sip: { overloadDelay: 60_000 } };
    const a = await ForeignCore.start({ ...settings, store: redis.url });
    cleanups.push(() => a.close());
    const b = await a.another({ ...settings, store: atWay() });
    cleanups.push(() => b.parley.stop());
    const subscribed = await a.subscribed();
    const readiness = async (): Promise<number> => (await fetch(`${b.parley.api}/readyz`)).status;
    await cut();
    await expect.poll(readiness, patient).toBe(503);
    await a.notify(subscribed, reginfoOf(0, 'full', 1));
    mend();
    await expect.poll(() => b.contacts(), patient).toEqual(['sip:alice@127.0.0.1:1']);
  });
});
