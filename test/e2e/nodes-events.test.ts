import { describe, expect, it } from 'vitest';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { formatCpim, parseCpim } from '../../src/msrp/cpim/index.js';
import { formatImdn, IMDN_TYPE, parseImdn } from '../../src/msrp/imdn.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';

const UUID = 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';
const DEVICE =
  `;+sip.instance="<${UUID}>"` + ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"';
const PAGER: HeaderMap = {
  Contact: undefined,
  'P-Preferred-Service': cpmServices.message,
  'Content-Type': 'message/cpim',
};

const cleanups = useCleanups();

async function twoNodesOn(
  redis: RedisServer,
  settings: Record<string, unknown> = {},
): Promise<[RunningParley, RunningParley]> {
  const start = async (): Promise<RunningParley> => {
    const node = await startParley({ auth: 'none', store: redis.url, ...settings });
    cleanups.push(() => node.stop());
    return node;
  };
  return [await start(), await start()];
}

async function twoNodes(settings: Record<string, unknown> = {}): Promise<[RunningParley, RunningParley]> {
  const redis = await RedisServer.start();
  cleanups.push(() => redis.dispose());
  return twoNodesOn(redis, settings);
}

async function phone(user: string, { port }: RunningParley): Promise<Phone> {
  const opened = await Phone.open(user, port);
  cleanups.push(() => opened.close());
  return opened;
}

const cpim = (text: string): string =>
  [
    'From: <sip:anonymous@anonymous.invalid>',
    'To: <sip:anonymous@anonymous.invalid>',
    'DateTime: 2026-11-26T10:00:00Z',
    'NS: imdn <urn:ietf:params:imdn>',
    `imdn.Message-ID: ${text}`,
    'imdn.Disposition-Notification: negative-delivery',
    '',
    'Content-Type: text/plain',
    '',
    text,
  ].join('\r\n');

/** The notification of a device that the message with that text is there. */
const delivered = (text: string): Buffer =>
  formatCpim({
    from: { name: '', uri: 'sip:bob@ims.test' },
    to: [{ name: '', uri: 'sip:alice@ims.test' }],
    mime: [
      ['Content-Type', IMDN_TYPE],
      ['Content-Disposition', 'notification'],
    ],
    content: Buffer.from(
      formatImdn({
        messageId: text,
        dateTime: '2026-11-26T10:00:00Z',
        kind: 'delivery',
        status: 'delivered',
      }),
    ),
  });

const requests = ({ peer }: Phone): number => peer.unread.filter((message) => 'method' in message).length;

const waiting = async ({ api }: RunningParley): Promise<number> =>
  ((await (await fetch(`${api}/api/v1/messages`)).json()) as { messages: unknown[] }).messages.length;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.skipIf(missing('redis-server'))('of two nodes on one Redis', () => {
  it('one tells its watcher what registers, is refreshed and goes at the other', async () => {
    const [a, b] = await twoNodes();
    const watcher = await phone('alice', a);
    await watcher.register();
    await watcher.ask('SUBSCRIBE', watcher.aor, { Event: 'reg', Expires: '600' });
    await watcher.answer('NOTIFY', 200);
    const other = await phone('alice', b);
    const contacts = async (): Promise<string[]> => {
      const body = Buffer.from((await watcher.answer('NOTIFY', 200)).body).toString();
      return [...body.matchAll(/<contact [^>]*state="(\w+)" event="(\w+)"/g)].map(
        ([, state, event]) => `${state} ${event}`,
      );
    };
    await other.register(DEVICE);
    expect(await contacts()).toEqual(['active registered', 'active registered']);
    await other.register(DEVICE);
    expect(await contacts()).toEqual(['active registered', 'active refreshed']);
    await other.register(DEVICE, { Expires: '0' });
    expect(await contacts()).toEqual(['active registered', 'terminated unregistered']);
  });

  it('none tells what nobody watches', async () => {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    const [a, b] = await twoNodesOn(redis);
    const told = async (): Promise<string> =>
      /cmdstat_spublish:calls=(\d+)/.exec(await redis.cli('INFO', 'commandstats'))?.[1] ?? '0';
    const device = await phone('bob', b);
    await device.register(DEVICE);
    const before = await told();
    for (let i = 0; i < 5; i++) await device.register(DEVICE);
    expect(await told()).toBe(before);
    const watcher = await phone('bob', a);
    await watcher.register();
    await watcher.ask('SUBSCRIBE', watcher.aor, { Event: 'reg', Expires: '600' });
    await watcher.answer('NOTIFY', 200);
    await device.register(DEVICE);
    const { body } = await watcher.answer('NOTIFY', 200);
    expect(Buffer.from(body).toString()).toContain('event="refreshed"');
  });

  it('the one where a device registers delivers what the other has kept, in order and once', async () => {
    const [a, b] = await twoNodes();
    const alice = await phone('alice', a);
    for (const text of ['one', 'two', 'three'])
      expect((await alice.ask('MESSAGE', 'sip:bob@ims.test', PAGER, cpim(text))).status).toBe(202);
    const bob = await phone('bob', b);
    await bob.register(DEVICE);
    const texts: string[] = [];
    while (texts.length < 3)
      texts.push(parseCpim((await bob.answer('MESSAGE', 200, { Contact: [] })).body).content.toString());
    expect(texts).toEqual(['one', 'two', 'three']);
    await expect.poll(() => waiting(a)).toBe(0);
    expect(requests(bob)).toBe(0);
  });

  it('only one delivers at a time: the other has it look again when it is through', async () => {
    const [a, b] = await twoNodes();
    const alice = await phone('alice', a);
    await alice.ask('MESSAGE', 'sip:bob@ims.test', PAGER, cpim('one'));
    const [tablet, handset] = [await phone('bob', a), await phone('bob', b)];
    await tablet.register(DEVICE);
    const first = await tablet.peer.request('MESSAGE');
    await handset.register(); // while the message is under way from the other node
    await pause(100);
    expect(requests(handset)).toBe(0);
    tablet.peer.answer(first, 480, {}, 't');
    const again = await handset.answer('MESSAGE', 200, { Contact: [] });
    expect(again.callId).toBe(first.callId);
    await expect.poll(() => waiting(b)).toBe(0);
  });

  it('one passes the notification on that devices of a recipient send to both at once', async () => {
    const [a, b] = await twoNodes();
    const [alice, tablet, handset] = [await phone('alice', a), await phone('bob', a), await phone('bob', b)];
    const another = DEVICE.replace(UUID, 'urn:uuid:7a6f1c1e-3d53-4d59-9c2c-4a7f9f8f2b11');
    await alice.register(DEVICE);
    await tablet.register(DEVICE);
    await handset.register(another);
    const ids = Array.from({ length: 20 }, (_, index) => `m-${index}`);
    const asking = (id: string): string => cpim(id).replace('negative-delivery', 'positive-delivery');
    for (const id of ids) {
      alice.send('MESSAGE', 'sip:bob@ims.test', PAGER, asking(id));
      await Promise.all([tablet, handset].map((one) => one.answer('MESSAGE', 200, { Contact: [] })));
      expect((await alice.peer.response(200)).status).toBe(200);
    }
    const heard: string[] = [];
    for (const id of ids) {
      for (const one of [tablet, handset])
        one.send('MESSAGE', alice.aor, PAGER, delivered(id).toString('utf8'));
      heard.push(
        parseImdn(parseCpim((await alice.answer('MESSAGE', 200, { Contact: [] })).body).content).messageId,
      );
    }
    for (const one of [tablet, handset])
      for (const id of ids) expect([id, (await one.peer.response(200)).status]).toEqual([id, 200]);
    expect(heard).toEqual(ids);
    expect(requests(alice)).toBe(0);
  });

  it('one alone tells a sender that its message was not delivered in time', async () => {
    const [a] = await twoNodes();
    const alice = await phone('alice', a);
    await alice.register(DEVICE);
    const headers = { ...PAGER, Expires: '1' };
    expect((await alice.ask('MESSAGE', 'sip:bob@ims.test', headers, cpim('late'))).status).toBe(202);
    const told = await alice.answer('MESSAGE', 200, { Contact: [] });
    expect(Buffer.from(told.body).toString()).toContain('<failed/>');
    await expect.poll(() => waiting(a)).toBe(0);
    await pause(1_200); // both have looked once more
    expect(requests(alice)).toBe(0);
  });
});
