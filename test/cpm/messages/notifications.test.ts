import { describe, expect, it } from 'vitest';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import { formatCpim, parseCpim } from '../../../src/msrp/cpim/index.js';
import {
  formatImdn,
  formatImdnAggregate,
  IMDN_TYPE,
  parseImdn,
  type ImdnKind,
  type ImdnStatus,
} from '../../../src/msrp/imdn.js';
import { useCleanups } from '../../tools/cleanups.js';
import { soon } from '../../tools/soon.js';
import { startParley, type RunningParley } from '../../tools/parley.js';
import { ALICE, BOB, BOB2 } from '../participating/session-world.js';
import { cpim, MessagingDevice } from './large-world.js';

const SERVICES = [cpmServices.message, cpmServices.largeMessage];
const ALICE2 = 'urn:uuid:5a1e7c9a-3d53-4d59-9c2c-4a7f9f8f2b33';

const cleanups = useCleanups();

async function server(settings: Record<string, unknown> = {}): Promise<RunningParley> {
  const sip = { overloadDelay: 60_000, timers: { t1: 2_000, t2: 4_000 } };
  const parley = await startParley({ auth: 'none', sip, ...settings });
  cleanups.push(() => parley.stop());
  return parley;
}

async function registered(user: string, parley: RunningParley, instance: string): Promise<MessagingDevice> {
  const device = await MessagingDevice.open(user, parley.port, { instance, services: SERVICES });
  expect((await device.register()).status).toBe(200);
  return device;
}

/** A notification as a device of the recipient sends it: to the identity of the sender. */
const imdn = (messageId: string, kind: ImdnKind, status: ImdnStatus): Buffer =>
  formatCpim({
    from: { name: '', uri: 'sip:bob@ims.test' },
    to: [{ name: '', uri: 'sip:alice@ims.test' }],
    mime: [
      ['Content-Type', IMDN_TYPE],
      ['Content-Disposition', 'notification'],
    ],
    content: Buffer.from(formatImdn({ messageId, dateTime: '2026-11-26T10:00:00Z', kind, status })),
  });

const told = (device: MessagingDevice): string[] =>
  device.got.map(({ octets }) => {
    const { messageId, kind, status } = parseImdn(parseCpim(octets).content);
    return `${messageId} ${kind} ${status}`;
  });

describe('a disposition notification', () => {
  it(
    'goes to the device that sent the message, by its binding, once of each kind, octet for octet',
    { timeout: 60_000 },
    async () => {
      const parley = await server();
      const [tablet, phone] = [
        await registered('alice', parley, ALICE),
        await registered('alice', parley, ALICE2),
      ];
      const [bob, bob2] = [await registered('bob', parley, BOB), await registered('bob', parley, BOB2)];
      expect((await phone.page(bob.aor, cpim('hello', 'm-1'))).status).toBe(200);
      await soon(() => bob.got.length + bob2.got.length).toBe(2);
      const delivered = imdn('m-1', 'delivery', 'delivered');
      for (const [device, body] of [
        [bob, delivered],
        [bob2, delivered],
        [bob2, imdn('m-1', 'display', 'displayed')],
        [bob, imdn('m-1', 'display', 'displayed')],
        [bob, imdn('m-unknown', 'delivery', 'delivered')],
      ] as const)
        expect((await device.page('sip:alice@ims.test', body)).status).toBe(200);
      expect(told(phone)).toEqual([
        'm-1 delivery delivered',
        'm-1 display displayed',
        'm-unknown delivery delivered',
      ]);
      expect(phone.got[0]!.octets.equals(delivered)).toBe(true);
      // one about a message that nobody knows goes to all devices
      expect(told(tablet)).toEqual(['m-unknown delivery delivered']);
      expect(parley.app.trail.counts().get('cpm.notification-repeated')).toBe(2);
    },
  );

  it('that a list server put together goes to the device that sent the message, and what is new in it once', async () => {
    const parley = await server();
    const [tablet, phone] = [
      await registered('alice', parley, ALICE),
      await registered('alice', parley, ALICE2),
    ];
    const bob = await registered('bob', parley, BOB);
    expect((await phone.page(bob.aor, cpim('hello', 'm-1'))).status).toBe(200);
    const aggregate = (...kinds: readonly (readonly [ImdnKind, ImdnStatus])[]): Buffer =>
      formatCpim({
        from: { name: '', uri: 'sip:bob@ims.test' },
        to: [{ name: '', uri: 'sip:alice@ims.test' }],
        mime: [
          ['Content-Type', 'multipart/mixed;boundary="b"'],
          ['Content-Disposition', 'notification'],
        ],
        content: Buffer.from(
          formatImdnAggregate(
            kinds.map(([kind, status]) => ({
              messageId: 'm-1',
              dateTime: '2026-11-26T10:00:00Z',
              kind,
              status,
            })),
            'b',
          ),
        ),
      });
    const first = aggregate(['delivery', 'delivered']);
    const both = aggregate(['delivery', 'delivered'], ['display', 'displayed']);
    for (const body of [first, both, both])
      expect((await bob.page('sip:alice@ims.test', body)).status).toBe(200);
    expect(phone.got.map(({ octets }) => octets)).toEqual([first, both]);
    expect(tablet.got).toEqual([]);
    expect(parley.app.trail.counts().get('cpm.notification-repeated')).toBe(1);
  });

  it('waits for the device that sent the message, and no other device of the user gets it', async () => {
    const parley = await server();
    const [tablet, phone] = [
      await registered('alice', parley, ALICE),
      await registered('alice', parley, ALICE2),
    ];
    const bob = await registered('bob', parley, BOB);
    expect((await phone.page(bob.aor, cpim('hello', 'm-1'))).status).toBe(200);
    await phone.register(0);
    expect((await bob.page('sip:alice@ims.test', imdn('m-1', 'delivery', 'delivered'))).status).toBe(202);
    await tablet.register();
    expect((await bob.page('sip:alice@ims.test', cpim('for all', 'm-2'))).status).toBe(202);
    await soon(() => tablet.got.length).toBe(1);
    await phone.register();
    await soon(() => phone.got.length).toBe(1);
    expect(told(phone)).toEqual(['m-1 delivery delivered']);
    expect(parseCpim(tablet.got[0]!.octets).content.toString()).toBe('for all');
  });

  it('that found no room may come again, and then goes to the device', async () => {
    const parley = await server({ cpm: { deferral: { perUser: 1 } } });
    const phone = await registered('alice', parley, ALICE2);
    const bob = await registered('bob', parley, BOB);
    expect((await phone.page(bob.aor, cpim('hello', 'm-1'))).status).toBe(200);
    await phone.register(0);
    expect((await bob.page('sip:alice@ims.test', cpim('fills the mailbox', 'm-2'))).status).toBe(202);
    const delivered = imdn('m-1', 'delivery', 'delivered');
    expect((await bob.page('sip:alice@ims.test', delivered)).status).toBe(480);
    await phone.register();
    await soon(() => phone.got.length).toBe(1);
    await soon(() => parley.app.trail.counts().get('cpm.message-delivered')).toBe(1);
    expect((await bob.page('sip:alice@ims.test', delivered)).status).toBe(200);
    expect((await bob.page('sip:alice@ims.test', delivered)).status).toBe(200);
    await soon(() => parley.app.trail.counts().get('cpm.notification-repeated')).toBe(1);
    expect(phone.got).toHaveLength(2);
    expect(phone.got[1]!.octets.equals(delivered)).toBe(true);
  });

  it('about a large message that went from device to device goes to the device that sent it', async () => {
    const parley = await server();
    const [tablet, phone] = [
      await registered('alice', parley, ALICE),
      await registered('alice', parley, ALICE2),
    ];
    const bob = await registered('bob', parley, BOB);
    const sent = { 'Contribution-ID': 'contribution-9' };
    expect((await phone.large(bob.aor, cpim('x'.repeat(2_000), 'm-9'), sent)).status).toBe(200);
    expect(bob.got.map(({ mode }) => mode)).toEqual(['large']);
    const body = imdn('m-9', 'delivery', 'delivered');
    const answers = { 'InReplyTo-Contribution-ID': 'contribution-9' };
    expect((await bob.page('sip:alice@ims.test', body, answers)).status).toBe(200);
    expect(told(phone)).toEqual(['m-9 delivery delivered']);
    expect(tablet.got).toEqual([]);
  });

  it('about a large message that the server took goes back to the device by its GRUU', async () => {
    const parley = await server();
    const [tablet, phone] = [
      await registered('alice', parley, ALICE),
      await registered('alice', parley, ALICE2),
    ];
    expect((await phone.large('sip:bob@ims.test', cpim('x'.repeat(2_000), 'm-3'))).status).toBe(200);
    const bob = await registered('bob', parley, BOB);
    await soon(() => bob.got.length).toBe(1);
    expect((await bob.page('sip:alice@ims.test', imdn('m-3', 'delivery', 'delivered'))).status).toBe(200);
    expect(told(phone)).toEqual(['m-3 delivery delivered']);
    expect(tablet.got).toEqual([]);
  });
});
