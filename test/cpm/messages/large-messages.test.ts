import { describe, expect, it } from 'vitest';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import { parseCpim } from '../../../src/msrp/cpim/index.js';
import { parseImdn } from '../../../src/msrp/imdn.js';
import { useCleanups } from '../../tools/cleanups.js';
import { soon } from '../../tools/soon.js';
import { startParley, type RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { ALICE, BOB, BOB2, offer, SDP, sessionsOf, setPolicy } from '../participating/session-world.js';
import { cpim, MessagingDevice, textIn } from './large-world.js';

const LARGE = [cpmServices.largeMessage];
const PAGER = [cpmServices.message];
const BOTH = [...PAGER, ...LARGE];
const TEXT = 'x'.repeat(300_000);

const cleanups = useCleanups();

async function server(cpm: Record<string, unknown> = {}): Promise<RunningParley> {
  const sip = { overloadDelay: 60_000, timers: { t1: 2_000, t2: 4_000 } };
  const parley = await startParley({ auth: 'none', sip, cpm });
  cleanups.push(() => parley.stop());
  return parley;
}

const alice = (parley: RunningParley): Promise<MessagingDevice> =>
  MessagingDevice.open('alice', parley.port, { instance: ALICE, services: BOTH });
const bob = (parley: RunningParley, services = BOTH): Promise<MessagingDevice> =>
  MessagingDevice.open('bob', parley.port, { instance: BOB, services });
const waiting = async (parley: RunningParley): Promise<{ bytes: number; recipient: string }[]> =>
  ((await (await fetch(`${parley.api}/api/v1/messages`)).json()) as never)['messages'];

describe('a large message', () => {
  it('goes to a device that is there past the server', async () => {
    const parley = await server();
    const [from, to] = [await alice(parley), await bob(parley)];
    await from.register();
    await to.register();
    expect(await from.large(to.aor, cpim(TEXT, 'm-1'))).toEqual({ status: 200, by: 'message' });
    expect(textIn(to.got[0]!)).toBe(TEXT);
    expect(to.got[0]!.request.has('Conversation-ID')).toBe(true);
    expect(parley.app.trail.counts().get('cpm.session-continued')).toBe(2);
    expect(await waiting(parley)).toEqual([]);
  });

  it.each([
    ['announces no size, against the limit of all', 'nothing', {}, 'relayed'],
    ['announces less than it is, against the limit of its sender', 10, { maxBytes: 100_000 }, 'relayed'],
    ['announces its size', undefined, {}, 'direct'],
  ] as const)('that %s is judged as it passes', async (_, announced, limits, media) => {
    const parley = await server({ largeBytes: 400_000 });
    const [from, to] = [await alice(parley), await bob(parley)];
    await from.register();
    await to.register();
    await setPolicy(parley, from.aor, limits);
    const fits = cpim('x'.repeat(90_000), 'm-1');
    expect((await from.large(to.aor, fits, {}, announced)).status).toBe(200);
    expect(textIn(to.got[0]!)).toHaveLength(90_000);
    const passed = parley.app.trail.recent({ code: 'cpm.session-continued' }).map(({ detail }) => detail);
    expect(passed.filter((detail) => detail?.includes('media path'))).toHaveLength(
      media === 'direct' ? 0 : 1,
    );
    const refused = await from.large(to.aor, cpim('x'.repeat(500_000), 'm-2'), {}, announced);
    // over MSRP it is 413
    expect(refused).toEqual(
      media === 'direct' ? { status: 403, by: 'invitation' } : { status: 513, by: 'message' },
    );
    expect(to.got).toHaveLength(1);
  });

  it('to a user without a device is taken by the server and delivered over MSRP when one registers', async () => {
    const parley = await server();
    const [from, to] = [await alice(parley), await bob(parley)];
    await from.register();
    const sent = cpim(TEXT, 'm-1');
    const headers = { 'Conversation-ID': 'c-1', 'Contribution-ID': 'd-1' };
    expect(await from.large(to.aor, sent, headers)).toEqual({ status: 200, by: 'message' });
    expect(await waiting(parley)).toMatchObject([{ bytes: sent.length, recipient: to.aor }]);
    await to.register();
    await soon(() => to.got.length).toBe(1);
    const [got] = to.got;
    expect(got!.mode).toBe('large');
    expect(got!.octets.equals(sent)).toBe(true);
    expect(got!.request.get('Conversation-ID')).toBe('c-1');
    expect(got!.request.get('Contribution-ID')).toBe('d-1');
    expect(got!.request.from.uriText).toBe(from.aor);
    await soon(() => waiting(parley)).toEqual([]);
    await soon(() => parley.app.msrp.figures.sessions).toBe(0);
    expect(await sessionsOf(parley)).toEqual([]);
  });

  it('that nobody fetches in time comes back as a negative notification', async () => {
    const parley = await server();
    const [from, to] = [await alice(parley), await bob(parley)];
    await from.register();
    expect((await from.large(to.aor, cpim(TEXT, 'm-2', 'display'), { 'Message-Expires': '1' })).status).toBe(
      200,
    );
    await soon(() => from.got.length).toBe(1);
    const notice = parseImdn(parseCpim(from.got[0]!.octets).content);
    expect(notice).toMatchObject({ messageId: 'm-2', kind: 'delivery', status: 'failed' });
    await soon(() => waiting(parley)).toEqual([]);
  });

  it('that is small enough goes in pager mode to a device that knows no other, and a pager message the other way', async () => {
    const parley = await server();
    const [from, to] = [await alice(parley), await bob(parley, PAGER)];
    await from.register();
    expect((await from.large(to.aor, cpim('short', 'm-3'))).status).toBe(200);
    await to.register();
    await soon(() => to.got.length).toBe(1);
    expect([to.got[0]!.mode, textIn(to.got[0]!)]).toEqual(['pager', 'short']);
    await to.register(0);
    const other = await MessagingDevice.open('carol', parley.port, { instance: BOB, services: LARGE });
    await other.register();
    expect((await from.page(other.aor, cpim('hello', 'm-4'))).status).toBe(202);
    await soon(() => other.got.length).toBe(1);
    expect([other.got[0]!.mode, textIn(other.got[0]!)]).toEqual(['large', 'hello']);
    await soon(() => waiting(parley)).toEqual([]);
  });

  it('waits for a device that can take it, and holds up nobody', async () => {
    const parley = await server();
    const [from, to] = [await alice(parley), await bob(parley, PAGER)];
    await from.register();
    await to.register();
    expect((await from.large(to.aor, cpim(TEXT, 'm-5'))).status).toBe(200);
    expect((await from.page(to.aor, cpim('after', 'm-6'))).status).toBe(202);
    await soon(() => to.got.map(textIn)).toEqual(['after']);
    expect(await waiting(parley)).toHaveLength(1);
  });

  it('for one device by its GRUU waits while its user is not to be disturbed', async () => {
    const parley = await server();
    const [from, to] = [await alice(parley), await bob(parley)];
    const other = await MessagingDevice.open('bob', parley.port, { instance: BOB2, services: BOTH });
    for (const each of [from, to, other]) await each.register();
    await setPolicy(parley, to.aor, { doNotDisturb: true });
    const gruu = `${to.aor};gr=${BOB}`;
    expect(await from.large(gruu, cpim(TEXT, 'm-7'))).toEqual({ status: 200, by: 'message' });
    expect([to.got, await waiting(parley)]).toMatchObject([[], [{ recipient: to.aor }]]);
    await setPolicy(parley, to.aor, { doNotDisturb: null });
    await soon(() => to.got.map(textIn)).toEqual([TEXT]);
    await soon(() => waiting(parley)).toEqual([]);
    expect(other.got).toEqual([]);
  });

  it('counts among the messages that its sender may send in a minute', async () => {
    const parley = await server();
    const [from, to] = [await alice(parley), await bob(parley)];
    for (const each of [from, to]) await each.register();
    await setPolicy(parley, from.aor, { messagesPerMinute: 0 });
    expect(await from.large(to.aor, cpim(TEXT, 'm-8'))).toEqual({ status: 403, by: 'invitation' });
    expect(parley.app.trail.counts().get('cpm-too-many-messages')).toBe(1);
    await setPolicy(parley, from.aor, { messagesPerMinute: 1 });
    expect(await from.large(to.aor, cpim(TEXT, 'm-9'))).toEqual({ status: 200, by: 'message' });
    expect(to.got.map(textIn)).toEqual([TEXT]);
  });

  it('above the limit of the server, or of its recipient, is refused with a reason', async () => {
    const parley = await server({ largeBytes: 100_000 });
    await setPolicy(parley, 'sip:carol@ims.test', { maxBytes: 1_000 });
    const phone = await Phone.registered('dave', parley.port);
    cleanups.push(() => phone.close());
    const invitation = { ...SDP, 'P-Preferred-Service': cpmServices.largeMessage };
    for (const [user, size] of [
      ['bob', 100_001],
      ['carol', 1_001],
    ] as const) {
      const sdp = offer([
        'a=sendonly',
        'a=path:msrp://127.0.0.1:20000/9fA1kq0Zr3;tcp',
        `a=file-selector:size:${size}`,
      ]);
      const refused = await phone.ask('INVITE', `sip:${user}@ims.test`, invitation, sdp);
      expect([refused.status, refused.get('Warning')]).toEqual([403, '399 ims.test "133 Size exceeded"']);
    }
  });

  it('whose message/cpim is malformed is refused over MSRP, and nothing of it stays', async () => {
    const parley = await server();
    const [from, to] = [await alice(parley), await bob(parley)];
    await from.register();
    expect(await from.large(to.aor, Buffer.from('x'.repeat(600_000)))).toEqual({
      status: 400,
      by: 'message',
    });
    expect(await waiting(parley)).toEqual([]);
  });
});
