import { createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { SipRequest } from '../../src/sip/message/message.js';
import { leafParts, parseMultipart } from '../../src/sip/message/multipart.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';
import { SipPeer } from '../tools/sip-peer.js';

const cleanups = useCleanups();
const ALICE = 'sip:alice@ims.test';

type Criterion = Record<string, unknown>;

async function server(
  criteria: readonly Criterion[],
  settings: Record<string, unknown> = {},
): Promise<RunningParley> {
  const { sip, ...others } = settings;
  const parley = await startParley({
    auth: 'none',
    profiles: [{ name: 'default', criteria }],
    isc: { patience: 60_000 },
    sip: { overloadDelay: 60_000, timers: { t1: 30_000 }, ...(sip as object | undefined) },
    ...others,
  });
  let running = true;
  const stop = async (): Promise<void> => {
    if (running) await parley.stop();
    running = false;
  };
  cleanups.push(stop);
  return { ...parley, stop };
}

async function opened(): Promise<SipPeer> {
  const peer = await SipPeer.open();
  cleanups.push(() => peer.close());
  return peer;
}

const uriOf = (peer: SipPeer): string => `sip:as@127.0.0.1:${peer.port}`;
const onRegister = (as: SipPeer | string, more: Criterion = {}): Criterion => ({
  priority: 10,
  server: typeof as === 'string' ? as : uriOf(as),
  trigger: { form: 'dnf', groups: [[{ method: 'REGISTER' }]] },
  ...more,
});

async function phone(parley: RunningParley, user = 'alice'): Promise<Phone> {
  const made = await Phone.open(user, parley.port);
  cleanups.push(() => made.close());
  return made;
}

/** The next third-party REGISTER, answered. */
async function told(as: SipPeer, status = 200): Promise<SipRequest> {
  const request = await as.request('REGISTER');
  as.answer(request, status);
  return request;
}

const registered = async (parley: RunningParley): Promise<boolean> =>
  ((await parley.app.registrar!.lookup(ALICE))?.bindings.length ?? 0) > 0;
const bodies = (request: SipRequest): string[] =>
  leafParts(parseMultipart(request.body, request.get('Content-Type')!)).map(({ body }) =>
    Buffer.from(body).toString(),
  );

describe('a third-party REGISTER', () => {
  it('tells a server of registration, refresh and de-registration', async () => {
    const as = await opened();
    const parley = await server([onRegister(as)]);
    const alice = await phone(parley);
    const device = ';+sip.instance="<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>"';
    await alice.register(device);
    const first = await told(as);
    const self = `sip:127.0.0.1:${parley.port}`;
    expect(first.uri).toBe(uriOf(as));
    expect([first.from.uriText, first.to.uriText]).toEqual([self, ALICE]);
    expect(first.contacts.map(({ uriText }) => uriText)).toEqual([self]);
    expect(first.contacts[0]!.params.has('+sip.instance')).toBe(false);
    expect(Number(first.get('Expires'))).toBeGreaterThan(3_000);
    expect([first.body.length, first.has('Content-Type')]).toEqual([0, false]);
    await alice.register(device);
    const second = await told(as);
    expect(second.callId).not.toBe(first.callId);
    await alice.register(`${device};expires=0`);
    const last = await told(as);
    expect([last.get('Expires'), last.contacts[0]!.params.get('expires')]).toEqual(['0', '0']);
  });

  it('comes only for the kinds of registration that the criterion names', async () => {
    const [initial, again, gone] = [await opened(), await opened(), await opened()];
    const of = (as: SipPeer, priority: number, kind: string): Criterion =>
      onRegister(as, {
        priority,
        trigger: { groups: [[{ method: 'REGISTER', registrationTypes: [kind] }]] },
      });
    const parley = await server([
      of(initial, 1, 'initial'),
      of(again, 2, 're-registration'),
      of(gone, 3, 'de-registration'),
    ]);
    const alice = await phone(parley);
    await alice.register();
    await told(initial);
    await alice.register();
    await told(again);
    await alice.register(';expires=0');
    expect((await told(gone)).get('Expires')).toBe('0');
    await alice.register();
    await told(initial);
    expect([initial, again, gone].map(({ unread }) => unread.length)).toEqual([0, 0, 0]);
  });

  it('carries service information, the REGISTER and its 200, in that order, and what the P-CSCF says of the network', async () => {
    const as = await opened();
    const parley = await server(
      [
        onRegister(as, {
          serviceInfo: 'level=<gold>',
          includeRegisterRequest: true,
          includeRegisterResponse: true,
        }),
      ],
      { sip: { trusted: ['127.0.0.1'] } },
    );
    const alice = await phone(parley);
    const network = {
      'P-Access-Network-Info': '3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1;network-provided',
      'P-Visited-Network-ID': '"visited.test"',
      'P-Charging-Vector': 'icid-value=abc;orig-ioi=visited.test',
      'P-Charging-Function-Addresses': 'ccf=192.0.2.1',
    };
    await alice.register(';+sip.instance="<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>"', {
      Supported: 'path, gruu',
      ...network,
    });
    const request = await told(as);
    for (const [name, value] of Object.entries(network))
      expect([name, request.get(name)]).toEqual([name, value]);
    const [info, register, ok] = bodies(request);
    expect(info).toContain(
      '<ims-3gpp version="1"><service-info>level=&lt;gold&gt;</service-info></ims-3gpp>',
    );
    expect(register).toMatch(/^REGISTER sip:ims\.test SIP\/2\.0\r\n/);
    expect(register).toContain('+sip.instance="<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>"');
    expect(ok).toMatch(/^SIP\/2\.0 200 OK\r\n/);
    expect(ok).toContain('pub-gruu="sip:alice@ims.test;gr=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e"');
    // nobody's REGISTER is behind what the network does
    await parley.app.registrar!.deregister(ALICE, 'deactivated');
    const last = await told(as);
    expect([last.get('Content-Type'), last.get('Expires')]).toEqual(['application/3gpp-ims+xml', '0']);
  });

  it('carries the only body as it is, and nothing that a device may not say', async () => {
    const as = await opened();
    const parley = await server([onRegister(as, { includeRegisterResponse: true })]);
    const alice = await phone(parley);
    const { callId, toTag } = await alice.register('', {
      'P-Charging-Vector': 'icid-value=forged',
      'P-Visited-Network-ID': 'forged',
      'P-Access-Network-Info': 'IEEE-802.11;i-wlan-node-id=1',
    });
    const request = await told(as);
    expect(request.get('Content-Type')).toBe('message/sip');
    const ok = Buffer.from(request.body).toString();
    expect(ok).toContain(`Call-ID: ${callId}\r\n`);
    expect(ok).toContain(`;tag=${toTag}\r\n`);
    expect(request.has('P-Charging-Vector') || request.has('P-Visited-Network-ID')).toBe(false);
    expect(request.get('P-Access-Network-Info')).toBe('IEEE-802.11;i-wlan-node-id=1');
  });

  it('goes to the servers of each service profile of the implicit set, for an identity of it', async () => {
    const [one, other] = [await opened(), await opened()];
    const parley = await server([onRegister(one)], {
      subscribers: [
        {
          privateId: 'alice@ims.test',
          password: 'x',
          identities: [ALICE, 'tel:+15550100001', 'tel:+15550100002'],
        },
      ],
    });
    await parley.app.subscribers.setProfile('alice@ims.test', 'tel:+15550100001', 'phones');
    await parley.app.subscribers.setProfile('alice@ims.test', 'tel:+15550100002', 'phones');
    await fetch(`${parley.api}/api/v1/profiles/phones`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ criteria: [onRegister(other)] }),
    });
    const alice = await phone(parley);
    await alice.register('', { To: '<tel:+15550100002>', From: '<tel:+15550100002>;tag=1' });
    expect((await told(one)).to.uriText).toBe(ALICE);
    expect((await told(other)).to.uriText).toBe('tel:+15550100002');
    expect([one.unread, other.unread]).toEqual([[], []]);
  });

  it('tells the servers of a subscriber that is removed', async () => {
    const as = await opened();
    const parley = await server([], {
      profiles: [{ name: 'gold', criteria: [onRegister(as)] }],
      subscribers: [
        { privateId: 'alice@ims.test', password: 'alice-secret', identities: [ALICE], profile: 'gold' },
      ],
    });
    const alice = await phone(parley);
    await alice.register();
    await told(as);
    const removed = await fetch(`${parley.api}/api/v1/subscribers/alice@ims.test`, { method: 'DELETE' });
    expect(removed.status).toBe(200);
    const last = await told(as);
    expect([last.to.uriText, last.get('Expires')]).toEqual([ALICE, '0']);
  });

  it('is not sent for a query, for another method, or for one of two devices that goes', async () => {
    const [as, never] = [await opened(), await opened()];
    const parley = await server([
      onRegister(as),
      onRegister(never, { priority: 20, trigger: { groups: [[{ method: 'MESSAGE' }]] } }),
    ]);
    const [phoneOne, tablet] = [await phone(parley), await phone(parley)];
    await phoneOne.register();
    await told(as);
    await tablet.register();
    await told(as);
    phoneOne.send('REGISTER', 'sip:ims.test', { To: `<${ALICE}>`, Contact: undefined });
    await phoneOne.peer.response(200);
    await parley.app.registrar!.deregister(ALICE, 'expired', ({ contact }) => contact === tablet.contact);
    await parley.app.registrar!.deregister(ALICE, 'expired');
    expect((await told(as)).get('Expires')).toBe('0');
    expect(never.unread).toEqual([]);
  });
});

describe('an application server that is told of a registration', () => {
  it.each([500, 503, 408])(
    'and answers %i leaves the user registered with SESSION_CONTINUED',
    async (status) => {
      const as = await opened();
      const parley = await server([onRegister(as)]);
      const alice = await phone(parley);
      await alice.register();
      await told(as, status);
      await alice.register();
      await told(as);
      expect(await registered(parley)).toBe(true);
    },
  );

  it.each([500, 504])('and answers %i has the user de-registered with SESSION_TERMINATED', async (status) => {
    const [as, other] = [await opened(), await opened()];
    const parley = await server([
      onRegister(as, { defaultHandling: 'terminated' }),
      onRegister(other, { priority: 20 }),
    ]);
    const alice = await phone(parley);
    expect((await alice.register()).status).toBe(200);
    await told(other);
    await told(as, status);
    expect((await told(other)).get('Expires')).toBe('0');
    expect((await told(as, 500)).get('Expires')).toBe('0');
    expect(await registered(parley)).toBe(false);
  });

  it('and refuses with 403 leaves the user registered, whatever the handling', async () => {
    const as = await opened();
    const parley = await server([onRegister(as, { defaultHandling: 'terminated' })]);
    const alice = await phone(parley);
    await alice.register();
    await told(as, 403);
    await alice.register();
    await told(as);
    expect(await registered(parley)).toBe(true);
  });

  it('and hangs has the user de-registered when its time is up, while the device has its 200 and others are not held up', async () => {
    const [as, bobs] = [await opened(), await opened()];
    const parley = await server(
      [
        onRegister(as, {
          defaultHandling: 'terminated',
          trigger: { groups: [[{ header: { name: 'To', content: 'alice' } }, { method: 'REGISTER' }]] },
        }),
        onRegister(bobs, {
          priority: 20,
          trigger: { groups: [[{ header: { name: 'To', content: 'bob' } }, { method: 'REGISTER' }]] },
        }),
      ],
      { isc: { patience: 1_000 } },
    );
    const [alice, bob] = [await phone(parley), await phone(parley, 'bob')];
    expect((await alice.register()).status).toBe(200);
    await as.request('REGISTER');
    expect((await bob.register()).status).toBe(200);
    await told(bobs);
    await expect.poll(() => registered(parley), { timeout: 30_000 }).toBe(false);
  });

  it('and closes its connection counts as one that hangs', async () => {
    const closing = await closingServer();
    const { port } = closing.address() as { port: number };
    const parley = await server(
      [onRegister(`sip:127.0.0.1:${port};transport=tcp`, { defaultHandling: 'terminated' })],
      { isc: { patience: 1_000 } },
    );
    const alice = await phone(parley);
    expect((await alice.register()).status).toBe(200);
    await expect.poll(() => registered(parley), { timeout: 30_000 }).toBe(false);
  });

  it('slowly is told one thing at a time, and of what happened meanwhile only the last', async () => {
    const as = await opened();
    const parley = await server([onRegister(as)]);
    const alice = await phone(parley);
    await alice.register();
    const first = await as.request('REGISTER');
    await alice.register();
    await alice.register();
    await alice.register(';expires=0');
    as.answer(first, 200);
    expect((await told(as)).get('Expires')).toBe('0');
    await alice.register();
    expect((await told(as)).get('Expires')).not.toBe('0');
    expect(as.unread).toEqual([]);
  });

  it('late hears of every user, also of those that are too many to wait with what their devices said', async () => {
    const as = await opened();
    const isc = { patience: 60_000, waiting: 100 };
    // so many at once overflow the socket of a test: what is lost is sent again soon
    const sip = { timers: { t1: 500, t2: 4_000 } };
    const parley = await server([onRegister(as, { includeRegisterRequest: true })], { isc, sip });
    const users = 800; // of which 256 are on their way
    await registerUsers(parley, users);
    const heard = new Map<string, boolean>();
    while (heard.size < users) {
      const request = await told(as);
      expect(request.get('Expires')).not.toBe('0');
      heard.set(request.to.uriText, request.body.length > 0);
    }
    const withBody = [...heard.values()].filter(Boolean).length;
    expect(withBody).toBeGreaterThanOrEqual(356);
    expect(withBody).toBeLessThan(users);
    // what was not sent at once is not sent twice
    const alice = await phone(parley);
    await alice.register();
    expect((await told(as)).to.uriText).toBe(ALICE);
    expect(as.unread).toEqual([]);
  });
});

describe.skipIf(missing('redis-server'))('several nodes on one store', () => {
  it('tell a server once that a user is gone, whichever finds it out', async () => {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    const as = await opened();
    const settings = {
      store: redis.url,
      registrar: { expires: { minimum: 1 } },
    };
    const one = await server([onRegister(as)], settings);
    await server([onRegister(as)], settings);
    const alice = await phone(one);
    await alice.register(';expires=1');
    await told(as);
    const gone = await told(as);
    expect([gone.to.uriText, gone.get('Expires')]).toEqual([ALICE, '0']);
    // both nodes look for what has expired every second, and have done so again when this one goes
    const bob = await phone(one, 'bob');
    await bob.register(';expires=2');
    expect([(await told(as)).to.uriText, (await told(as)).to.uriText]).toEqual([bob.aor, bob.aor]);
    expect(as.unread).toEqual([]);
  });

  it('keep a user whose server had not answered when one of them stopped', async () => {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    const as = await opened();
    const criteria = [onRegister(as, { defaultHandling: 'terminated' })];
    const [one, other] = [
      await server(criteria, { store: redis.url }),
      await server(criteria, { store: redis.url }),
    ];
    const alice = await phone(one);
    await alice.register();
    await as.request('REGISTER');
    await one.stop();
    expect(await registered(other)).toBe(true);
  });
});

/** So many users with one device each, 64 at a time. */
async function registerUsers({ port }: RunningParley, users: number): Promise<void> {
  const devices = await opened();
  const send = (user: number): void =>
    devices.send(
      `REGISTER sip:ims.test SIP/2.0
      Via: SIP/2.0/UDP 127.0.0.1:${devices.port};branch=z9hG4bK${user}
      From: <sip:user${user}@ims.test>;tag=${user}
      To: <sip:user${user}@ims.test>
      Call-ID: ${user}
      CSeq: 1 REGISTER
      Max-Forwards: 70
      Contact: <sip:user${user}@127.0.0.1:${devices.port}>
      Content-Length: 0`,
      port,
    );
  for (let user = 0; user < 64; user++) send(user);
  for (let done = 0; done < users; done++) {
    expect((await devices.response(200)).status).toBe(200);
    if (done + 64 < users) send(done + 64);
  }
}

async function closingServer(): Promise<Server> {
  const sockets = new Set<Socket>();
  const made = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', () => socket.destroy());
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    made.close();
  });
  return made;
}
