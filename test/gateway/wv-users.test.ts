import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { LoopGuard } from '../../src/gateway/interworking/loop-guard.js';
import { element } from '../../src/imps/codec/element.js';
import type { UserId } from '../../src/imps/index.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { codeOf, detailsOf, message } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { freePort } from '../tools/free-port.js';
import { SipPeer } from '../tools/sip-peer.js';
import { chat } from './sip-chat.js';
import { GatewayWorld, until } from './world.js';

const headers = { 'Content-Type': 'text/plain', 'Conversation-ID': 'k-1' };
const cleanups = useCleanups();

let world: GatewayWorld;
beforeEach(async () => {
  world = await GatewayWorld.start({ auth: 'digest', sip: { trusted: ['127.0.0.1'] } });
  cleanups.push(() => world.close());
});

/** Somebody whom the network vouches for. */
const as = (user: string): Record<string, string> => ({
  ...headers,
  'P-Asserted-Identity': `<sip:${user}@ims.test>`,
});

describe('a wv address as recipient of a SIP request', () => {
  it('of a CPM user leads to all devices of that user, phones among them', async () => {
    const bob = await world.peer('bob');
    const alice = await world.loggedIn('alice');
    expect((await bob.ask('MESSAGE', 'wv:Alice@IMS.test', as('bob'), 'hello')).status).toBe(200);
    expect(await alice.messages()).toEqual(['hello']);
    expect((await bob.ask('MESSAGE', 'wv:+15550100001@ims.test', as('bob'), 'number')).status).toBe(200);
    expect(await alice.messages()).toEqual(['number']);
  });

  it('of a user of the IMPS server alone leads to the phones, or waits for them, and the answer comes back', async () => {
    const { imps } = world.parley.app;
    const zoe = 'wv:zoe@ims.test' as UserId;
    await imps!.server.users.create({
      user: zoe,
      password: 'zoe-secret',
      msisdn: undefined,
      state: 'active',
      createdAt: 0,
    });
    const bob = await world.peer('bob');
    const once = { ...as('bob'), 'Content-Type': 'message/cpim' };
    const hello = chat('m-1', 'hello', { asks: '' });
    expect((await bob.ask('MESSAGE', zoe, once, hello)).status).toBe(200);
    expect((await bob.ask('MESSAGE', zoe, once, hello)).status).toBe(200);
    const phone = await world.loggedIn('zoe');
    expect(await phone.messages()).toEqual(['hello']);
    expect((await bob.ask('MESSAGE', zoe, once, hello)).status).toBe(200);
    expect(await phone.messages()).toEqual([]);
    expect((await bob.ask('INVITE', zoe, as('bob'))).status).toBe(488);
  });

  it.each(['wv:nobody@ims.test', 'wv:somebody@elsewhere.test', 'wv:/group@ims.test'])(
    '%s, who is nobody, is answered with 404',
    async (address) => {
      const bob = await world.peer('bob');
      expect((await bob.ask('MESSAGE', address, as('bob'), 'x')).status).toBe(404);
    },
  );

  it('of another domain has a way when one is laid down, and the hops that are left go along', async () => {
    const other = await SipPeer.open();
    cleanups.push(() => other.close());
    const { addresses } = world.parley.app.gateway!;
    await addresses.provision('wv:far@elsewhere.test', `sip:far@127.0.0.1:${other.port}`);
    const bob = await world.peer('bob');
    bob.send('MESSAGE', 'wv:far@elsewhere.test', { ...as('bob'), 'Max-Forwards': '20' }, 'hello');
    const request = await other.request('MESSAGE');
    expect(request.uri).toBe(`sip:far@127.0.0.1:${other.port}`);
    expect(request.get('Conversation-ID')).toBe('k-1');
    expect(request.from.uriText).toBe('sip:bob@ims.test');
    expect(request.number('Max-Forwards')).toBeLessThan(20);
    other.answer(request, 202, {}, 'far');
    expect((await bob.peer.response(200)).status).toBe(202);
  });

  it('that another gateway leads back to here again and again is stopped with 482', async () => {
    const other = await SipPeer.open();
    cleanups.push(() => other.close());
    const { addresses } = world.parley.app.gateway!;
    const far = `sip:far@127.0.0.1:${other.port}`;
    await addresses.provision('wv:far@elsewhere.test', far);
    const bob = await world.peer('bob');
    const statuses: number[] = [];
    for (let round = 0; round < 4; round++) {
      // a gateway that forgets the hops, but keeps the message's identifier
      bob.send('MESSAGE', 'wv:far@elsewhere.test', { ...as('bob'), 'Contribution-ID': 'c-1' }, 'hello');
      if (round < 3) other.answer(await other.request('MESSAGE'), 202, {}, 'far');
      statuses.push((await bob.peer.response(200)).status);
    }
    expect(statuses).toEqual([202, 202, 202, 482]);
  });

  it('of a phone user, from a phone: an answer reaches the phone, also when it is addressed to itself', async () => {
    const alice = await world.loggedIn('alice');
    expect(codeOf(await alice.request(message('note', ['wv:alice@ims.test'])))).toBe(200);
    expect(await until(async () => ((await alice.messages()).length > 0 ? true : undefined))).toBe(true);
    await alice.request(element('Logout-Request'));
  });
});

describe('two gateways that lead to each other', () => {
  it('stop a message when its hops are used up, and its sender hears so: a SIP device and a phone', async () => {
    const ports = [await freePort(), await freePort()] as const;
    const gateway = async (own: number, other: number): Promise<GatewayWorld> => {
      const iwf = {
        name: 'other',
        service: 'imps',
        addresses: ['wv:', 'tel:'],
        uri: `sip:127.0.0.1:${other}`,
      };
      const started = await GatewayWorld.start({
        auth: 'digest',
        // a busy machine must not have a request sent twice
        sip: {
          listen: [`udp:127.0.0.1:${own}`],
          trusted: ['127.0.0.1'],
          timers: { t1: 10_000, t2: 10_000 },
        },
        cpm: { interworking: { functions: [iwf] } },
        gateway: { patience: 30 },
      });
      cleanups.push(() => started.close());
      return started;
    };
    const [here] = await Promise.all([gateway(ports[0], ports[1]), gateway(ports[1], ports[0])]);
    const bob = await here.peer('bob');
    const status = (await bob.ask('MESSAGE', 'wv:lost@nowhere.test', as('bob'), 'hello')).status;
    expect([482, 483]).toContain(status);
    const alice = await here.loggedIn('alice');
    const refused = await alice.request(message('hello', ['wv:+46701234567@ims.test']));
    expect(detailsOf(refused)).toEqual(['410 wv:+46701234567@ims.test']);
  });
});

describe('the guard against circles', () => {
  const request = (hops: number | undefined): SipRequest => ({ number: () => hops }) as unknown as SipRequest;

  it('counts hops on, and lets none pass whose hops are used up', () => {
    const guard = new LoopGuard(new VirtualClock());
    expect(guard.pass(request(70), 'm-1', 'sip:a@b')).toBe(69);
    expect(guard.pass(request(undefined), 'm-2', 'sip:a@b')).toBe(69);
    expect(() => guard.pass(request(0), 'm-3', 'sip:a@b')).toThrow(
      expect.objectContaining({ sip: 483 }) as Error,
    );
  });

  it('forgets after ten minutes, and is of one address', () => {
    const clock = new VirtualClock();
    const guard = new LoopGuard(clock);
    for (let time = 0; time < 3; time++) guard.pass(request(70), 'm-1', 'sip:a@b');
    expect(() => guard.pass(request(70), 'm-1', 'sip:a@b')).toThrow(
      expect.objectContaining({ sip: 482 }) as Error,
    );
    expect(guard.pass(request(70), 'm-1', 'sip:other@b')).toBe(69);
    clock.advance(600_001);
    expect(guard.pass(request(70), 'm-1', 'sip:a@b')).toBe(69);
  });
});
