import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { SipRequest } from '../../src/sip/message/message.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { SipPeer } from '../tools/sip-peer.js';

/** A busy machine is not what is tested; servers that hang get less. */
const PATIENCE = 60_000;
const impatient = { isc: { patience: 300 } };
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Criterion = Record<string, unknown>;

const users = ['alice', 'bob', 'carol'].map((name) => ({
  privateId: `${name}@ims.test`,
  password: 'x',
  identities: [`sip:${name}@ims.test`],
}));

async function server(
  criteria: readonly Criterion[],
  settings: Record<string, unknown> = {},
): Promise<RunningParley> {
  const parley = await startParley({
    auth: 'none',
    subscribers: users,
    profiles: [{ name: 'default', criteria }],
    isc: { patience: PATIENCE },
    sip: { overloadDelay: 60_000 },
    ...settings,
  });
  cleanups.push(() => parley.stop());
  return parley;
}

/** An application server: a SIP peer that answers or sends back. */
class AppServer {
  readonly peer: SipPeer;
  readonly uri: string;

  private constructor(peer: SipPeer) {
    this.peer = peer;
    this.uri = `sip:as@127.0.0.1:${peer.port}`;
  }

  static async open(): Promise<AppServer> {
    const peer = await SipPeer.open();
    cleanups.push(() => peer.close());
    return new AppServer(peer);
  }

  /** Sends a request back as a proxy does: its own Route off, the way back next. */
  sendBack(
    request: SipRequest,
    parley: RunningParley,
    change: (copy: SipRequest) => void = () => {},
  ): SipRequest {
    const copy = request.clone();
    copy.headers.shift('Route');
    copy.headers.prepend('Via', `SIP/2.0/UDP 127.0.0.1:${this.peer.port};branch=z9hG4bKas${Math.random()}`);
    change(copy);
    this.peer.send(copy, parley.port);
    return copy;
  }

  /** Passes the response to what it sent back on to where the request came from. */
  async passOn(parley: RunningParley): Promise<void> {
    const response = await this.peer.response(180);
    response.headers.shift('Via');
    this.peer.send(response, parley.port);
  }
}

async function phones(parley: RunningParley): Promise<{ alice: Phone; bob: Phone }> {
  const made = await Promise.all(['alice', 'bob'].map((name) => Phone.registered(name, parley.port)));
  for (const phone of made) cleanups.push(() => phone.close());
  return { alice: made[0]!, bob: made[1]! };
}

const criterion = (as: { uri: string }, more: Criterion = {}): Criterion => ({
  priority: 10,
  server: as.uri,
  trigger: { form: 'dnf', groups: [[{ method: 'MESSAGE' }, { sessionCase: 'originating' }]] },
  ...more,
});
const terminating = (sessionCase = 'terminating-registered'): Criterion => ({
  trigger: { groups: [[{ method: 'MESSAGE' }, { sessionCase }]] },
});
const codes = (parley: RunningParley): string[] => parley.app.trail.recent().map(({ code }) => code);

describe('an application server on ISC', () => {
  it('gets the request with the way back, P-Served-User and P-Asserted-Identity, and its changes go on to the callee', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as)]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor, { 'P-Access-Network-Info': '3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1' });
    const request = await as.peer.request('MESSAGE');
    expect(request.uri).toBe(bob.aor);
    const routes = request.headers.list('Route');
    expect(routes[0]).toBe(`<${as.uri};lr>`);
    expect(routes[1]).toMatch(new RegExp(`^<sip:odi\\.[^@]+@127\\.0\\.0\\.1:${parley.port};lr>$`));
    expect(request.get('P-Served-User')).toBe(`<${alice.aor}>;sescase=orig;regstate=reg`);
    expect(request.get('P-Asserted-Identity')).toBe(`<${alice.aor}>`);
    expect(request.get('P-Access-Network-Info')).toBe('3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1');
    as.sendBack(request, parley, ({ headers }) => headers.set('X-Seen', 'as'));
    const delivered = await bob.answer('MESSAGE', 200);
    expect(delivered.get('X-Seen')).toBe('as');
    for (const name of ['P-Served-User', 'P-Access-Network-Info', 'Route'])
      expect([name, delivered.get(name)]).toEqual([name, undefined]);
    await as.passOn(parley);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('may answer itself, and the callee hears nothing', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as)]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor);
    as.peer.answer(await as.peer.request('MESSAGE'), 202);
    expect((await alice.peer.response(200)).status).toBe(202);
    expect(bob.peer.unread).toEqual([]);
  });

  it.each([
    ['registered', 'terminating-registered', 'reg'],
    ['unregistered', 'terminating-unregistered', 'unreg'],
  ])('serves a callee who is %s', async (_, sessionCase, state) => {
    const as = await AppServer.open();
    const parley = await server([criterion(as, terminating(sessionCase))]);
    const { alice } = await phones(parley);
    const callee = sessionCase === 'terminating-registered' ? 'sip:bob@ims.test' : 'sip:carol@ims.test';
    alice.send('MESSAGE', callee);
    const request = await as.peer.request('MESSAGE');
    expect(request.get('P-Served-User')).toBe(`<${callee}>;sescase=term;regstate=${state}`);
    as.peer.answer(request, 200);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('of the callee may send back: the request goes on to the device, and the answer comes back through it', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as, terminating())]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor, {}, 'hello');
    as.sendBack(await as.peer.request('MESSAGE'), parley, ({ headers }) => headers.set('Subject', 'seen'));
    const arrived = await bob.answer('MESSAGE', 200);
    expect([arrived.get('Subject'), arrived.has('P-Served-User')]).toEqual(['seen', false]);
    await as.passOn(parley);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect(as.peer.unread).toEqual([]);
  });

  it('of a callee who is not registered may send to somebody else, whose own services and devices get it', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as, terminating('terminating-unregistered'))]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', 'sip:carol@ims.test', {}, 'hello');
    as.sendBack(await as.peer.request('MESSAGE'), parley, (copy) => (copy.uri = bob.aor));
    await bob.answer('MESSAGE', 200);
    await as.passOn(parley);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it.each([
    ['continued', 'core.server-passed-over', 200],
    // a 503 is about the next hop alone (RFC 3261 §16.7 item 6)
    ['terminated', 'core.server-failed', 500],
  ])('of the callee that answers 503 is %s', async (defaultHandling, code, status) => {
    const as = await AppServer.open();
    const parley = await server([criterion(as, { ...terminating(), defaultHandling })]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor);
    as.peer.answer(await as.peer.request('MESSAGE'), 503);
    if (status === 200) await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(status);
    expect(bob.peer.unread).toEqual([]);
    expect(codes(parley)).toContain(code);
  });

  it('of the callee that hangs is passed over when its time is up, and a callee without device is not there', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as, terminating('terminating-unregistered'))], impatient);
    const { alice } = await phones(parley);
    expect((await alice.ask('MESSAGE', 'sip:carol@ims.test')).status).toBe(480);
    expect(codes(parley)).toContain('core.server-passed-over');
  });

  it('comes in order of priority with others, each once', async () => {
    const [first, second] = [await AppServer.open(), await AppServer.open()];
    const parley = await server([criterion(second, { priority: 20 }), criterion(first)]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor);
    first.sendBack(await first.peer.request('MESSAGE'), parley);
    second.sendBack(await second.peer.request('MESSAGE'), parley);
    await bob.answer('MESSAGE', 200);
    await second.passOn(parley);
    await first.passOn(parley);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('that makes a call of its own over the way back goes on after its place', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as)]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor, {}, 'hello');
    const request = await as.peer.request('MESSAGE');
    as.sendBack(request, parley, ({ headers }) => {
      headers.set('Via', `SIP/2.0/UDP 127.0.0.1:${as.peer.port};branch=z9hG4bKsecond-leg`);
      headers.set('Call-ID', 'second-leg');
    });
    expect((await bob.answer('MESSAGE', 200)).callId).toBe('second-leg');
    expect((await as.peer.response(200)).callId).toBe('second-leg');
    as.peer.answer(request, 200);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('that comes back by an identifier which is not ours asserts nothing and resumes nothing', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as)]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor);
    const request = await as.peer.request('MESSAGE');
    as.sendBack(request, parley, ({ headers }) => {
      const [own = ''] = headers.list('Route');
      headers.set('Route', own.replace('odi.', 'odi.A'));
      headers.set('P-Asserted-Identity', '<sip:carol@ims.test>');
      headers.set('Call-ID', 'forged');
    });
    // it is a request like any other of its From, whose own services it passes again
    const again = await as.peer.request('MESSAGE');
    expect([again.callId, again.get('P-Asserted-Identity')]).toEqual(['forged', `<${alice.aor}>`]);
    expect(codes(parley)).not.toContain('core.chain-resumed');
  });

  it('is never asked for the registration events of a user here, which the core itself gives', async () => {
    const as = await AppServer.open();
    const everything = { priority: 10, server: as.uri };
    const parley = await server([everything]);
    const { alice, bob } = await phones(parley);
    alice.send('SUBSCRIBE', alice.aor, {
      Event: 'reg',
      Expires: '600',
      Contact: `<sip:alice@127.0.0.1:${alice.peer.port}>`,
    });
    expect((await alice.peer.response(200)).status).toBe(200);
    expect((await alice.answer('NOTIFY', 200)).get('Event')).toBe('reg');
    expect(
      as.peer.unread.filter((message) => message instanceof SipRequest && message.method === 'SUBSCRIBE'),
    ).toEqual([]);
    alice.send('MESSAGE', bob.aor);
    expect((await as.peer.request('MESSAGE')).uri).toBe(bob.aor);
  });

  it('stays in a dialog by Record-Route, and requests inside it pass there and are not triggered again', async () => {
    const as = await AppServer.open();
    const parley = await server([
      criterion(as, { trigger: { groups: [[{ method: 'INVITE' }, { sessionCase: 'originating' }]] } }),
    ]);
    const { alice, bob } = await phones(parley);
    alice.send('INVITE', bob.aor);
    as.sendBack(await as.peer.request('INVITE'), parley, ({ headers }) =>
      headers.prepend('Record-Route', `<sip:127.0.0.1:${as.peer.port};lr>`),
    );
    await bob.answer('INVITE', 200);
    await as.passOn(parley);
    const ok = await alice.peer.response(200);
    const dialog = {
      Route: ok.headers.list('Record-Route').reverse(),
      To: `<${bob.aor}>;tag=${ok.toTag}`,
      From: ok.get('From')!,
      'Call-ID': ok.callId,
    };
    expect(dialog.Route).toHaveLength(3);
    alice.send('BYE', bob.contact, dialog);
    as.sendBack(await as.peer.request('BYE'), parley);
    expect((await bob.answer('BYE', 200)).has('Route')).toBe(false);
    await as.passOn(parley);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it.each([500, 503, 504, 408])('that answers %i is passed over with SESSION_CONTINUED', async (status) => {
    const as = await AppServer.open();
    const parley = await server([criterion(as)]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor);
    as.peer.answer(await as.peer.request('MESSAGE'), status);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect(codes(parley)).toContain('core.server-passed-over');
  });

  it('that answers 500 ends the request with SESSION_TERMINATED', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as, { defaultHandling: 'terminated' })]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor);
    as.peer.answer(await as.peer.request('MESSAGE'), 500);
    expect((await alice.peer.response(200)).status).toBe(500);
    expect(bob.peer.unread).toEqual([]);
    expect(codes(parley)).toContain('core.server-failed');
  });

  it.each([403, 486, 603])(
    'that refuses with %i has its answer go to the caller, whatever the handling',
    async (status) => {
      const as = await AppServer.open();
      const parley = await server([criterion(as)]);
      const { alice, bob } = await phones(parley);
      alice.send('MESSAGE', bob.aor);
      as.peer.answer(await as.peer.request('MESSAGE'), status);
      expect((await alice.peer.response(200)).status).toBe(status);
    },
  );

  it.each(['MESSAGE', 'INVITE'])(
    'that hangs with a %s is passed over when its time is up',
    async (method) => {
      const as = await AppServer.open();
      const parley = await server(
        [criterion(as, { trigger: { groups: [[{ method }, { sessionCase: 'originating' }]] } })],
        impatient,
      );
      const { alice, bob } = await phones(parley);
      alice.send(method, bob.aor);
      const request = await as.peer.request(method);
      as.peer.answer(request, 100);
      await bob.answer(method, 200);
      expect((await alice.peer.response(200)).status).toBe(200);
      if (method === 'INVITE') expect((await as.peer.request('CANCEL')).callId).toBe(request.callId);
    },
  );

  it('that hangs with SESSION_TERMINATED has 408 sent to the caller', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as, { defaultHandling: 'terminated' })], impatient);
    const { alice, bob } = await phones(parley);
    expect((await alice.ask('MESSAGE', bob.aor)).status).toBe(408);
    expect(bob.peer.unread).toEqual([]);
  });

  it('that rings has all the time it wants', async () => {
    const [as, hanging] = [await AppServer.open(), await AppServer.open()];
    const ringing = criterion(as, { trigger: { groups: [[{ method: 'INVITE' }]] } });
    const parley = await server([ringing, criterion(hanging, { priority: 20 })], {
      isc: { patience: 1_000 },
    });
    const { alice, bob } = await phones(parley);
    alice.send('INVITE', bob.aor);
    const request = await as.peer.request('INVITE');
    as.peer.answer(request, 180);
    expect((await alice.peer.response(180)).status).toBe(180);
    // the time of one that was asked later is up: so is what this one would have had
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).cseq.method).toBe('MESSAGE');
    as.peer.answer(request, 503);
    expect((await alice.peer.response(200)).status).toBe(500);
    expect(bob.peer.unread).toEqual([]);
  });

  it('whose request came back is alive: a failure behind it goes to the caller and the request is not sent twice', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as)]);
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor);
    as.sendBack(await as.peer.request('MESSAGE'), parley);
    await bob.answer('MESSAGE', 500);
    await as.passOn(parley);
    expect((await alice.peer.response(200)).status).toBe(500);
    expect(bob.peer.unread).toEqual([]);
  });

  it.each([
    ['continued', 200],
    ['terminated', 408],
  ])(
    'that closes its connection on the request counts as one that hangs: %s',
    async (defaultHandling, status) => {
      const closing = await closingServer();
      const { port } = closing.address() as { port: number };
      const as = { uri: `sip:127.0.0.1:${port};transport=tcp` };
      const parley = await server([criterion(as, { defaultHandling })], impatient);
      const { alice, bob } = await phones(parley);
      alice.send('MESSAGE', bob.aor);
      if (status === 200) await bob.answer('MESSAGE', 200);
      expect((await alice.peer.response(200)).status).toBe(status);
    },
  );

  it('where nobody listens is passed over at once', async () => {
    const closing = await closingServer();
    const { port } = closing.address() as { port: number };
    await new Promise((resolve) => closing.close(resolve));
    const parley = await server([criterion({ uri: `sip:127.0.0.1:${port};transport=tcp` })], {
      isc: { patience: 60_000 },
    });
    const { alice, bob } = await phones(parley);
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('whose caller hangs up while it is asked gets the CANCEL, and the caller 487', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as, { trigger: { groups: [[{ method: 'INVITE' }]] } })]);
    const { alice, bob } = await phones(parley);
    const callId = alice.send('INVITE', bob.aor);
    const request = await as.peer.request('INVITE');
    as.peer.answer(request, 180);
    await alice.peer.response(180);
    alice.send('CANCEL', bob.aor, {
      Via: `SIP/2.0/UDP 127.0.0.1:${alice.peer.port};branch=z9hG4bK${callId}`,
      'Call-ID': callId,
      From: `<${alice.aor}>;tag=${callId}`,
      CSeq: `${/-(\d+)$/.exec(callId)![1]!} CANCEL`,
    });
    await as.peer.request('CANCEL');
    as.peer.answer(request, 487);
    expect((await alice.peer.response(201)).status).toBe(487);
    expect(bob.peer.unread).toEqual([]);
  });
});

describe('criteria', () => {
  it('name services of this process too; those that none names come after them with their own triggers', async () => {
    const as = await AppServer.open();
    const never = { form: 'dnf', groups: [[{ method: 'NEVER' }]] };
    const parley = await server([criterion(as), { priority: 5, server: 'reg-event', trigger: never }]);
    const { alice } = await phones(parley);
    // the service is switched off for the user, and its device is asked
    alice.send('SUBSCRIBE', alice.aor, { Event: 'reg' });
    expect((await alice.answer('SUBSCRIBE', 489)).get('Event')).toBe('reg');
    const open = await server([criterion(as)]);
    const { alice: other } = await phones(open);
    expect((await other.ask('SUBSCRIBE', other.aor, { Event: 'reg' })).status).toBe(200);
  });

  it('are given by the API to one subscriber, changed while requests run, and taken away', async () => {
    const as = await AppServer.open();
    const parley = await server([]);
    const { alice, bob } = await phones(parley);
    const put = (path: string, body: object): Promise<Response> =>
      fetch(`${parley.api}/api/v1${path}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    expect((await put('/profiles/gold', { criteria: [criterion(as)] })).status).toBe(200);
    expect((await put('/subscribers/alice@ims.test/profile', { profile: 'gold' })).status).toBe(200);
    expect((await put('/subscribers/alice@ims.test/profile', { profile: 'none' })).status).toBe(404);
    expect((await put('/profiles/gold', { criteria: [criterion(as, { server: 'http://x' })] })).status).toBe(
      400,
    );
    alice.send('MESSAGE', bob.aor);
    as.peer.answer(await as.peer.request('MESSAGE'), 202);
    expect((await alice.peer.response(200)).status).toBe(202);
    bob.send('MESSAGE', alice.aor);
    await alice.answer('MESSAGE', 200);
    expect((await bob.peer.response(200)).status).toBe(200);
    expect((await fetch(`${parley.api}/api/v1/profiles/gold`, { method: 'DELETE' })).status).toBe(204);
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('of every kind go in by the API and come out as they are', async () => {
    const parley = await server([]);
    const triggers = [
      { method: 'REGISTER', registrationTypes: ['initial', 're-registration', 'de-registration'] },
      { requestUri: '^sip:' },
      { header: { name: 'X-A', content: 'b' }, negated: true },
      { sdp: { line: 'm', content: 'MSRP' } },
      ...[
        'originating',
        'terminating-registered',
        'terminating-unregistered',
        'originating-unregistered',
        'originating-cdiv',
      ].map((sessionCase) => ({ sessionCase })),
    ];
    const criteria = (['cnf', 'dnf'] as const).map((form, priority) => ({
      priority,
      server: 'sip:as.lab.test',
      defaultHandling: 'terminated',
      trigger: { form, groups: [triggers, triggers] },
      profilePart: 'registered',
      serviceInfo: 'gold',
      includeRegisterRequest: true,
      includeRegisterResponse: true,
    }));
    const url = `${parley.api}/api/v1/profiles/all`;
    const put = (body: object): Promise<Response> =>
      fetch(url, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    expect((await put({ criteria })).status).toBe(200);
    expect(await (await fetch(url)).json()).toEqual({ name: 'all', criteria });
    for (const bad of [
      { server: 'sip:[as' },
      { defaultHandling: 'maybe' },
      { trigger: { groups: [] } },
      { trigger: { groups: [[{ method: 'A', requestUri: 'b' }]] } },
      { trigger: { groups: [[{ header: { name: 'a b' } }]] } },
      { priority: -1 },
    ])
      expect((await put({ criteria: [{ ...criteria[0], ...bad }] })).status).toBe(400);
  });

  it('are read from the user profile that an HSS has', async () => {
    const as = await AppServer.open();
    const parley = await server([]);
    const { alice, bob } = await phones(parley);
    const xml = readFileSync(join(import.meta.dirname, 'fixtures/ims-subscription-alice.xml'), 'utf8');
    const put = (privateId: string, body: string): Promise<Response> =>
      fetch(`${parley.api}/api/v1/subscribers/${privateId}/profile`, {
        method: 'PUT',
        headers: { 'content-type': 'application/xml' },
        body,
      });
    const given = xml.replace('sip:as.ims.test', as.uri);
    expect((await put('bob@ims.test', given)).status).toBe(400);
    expect((await put('alice@ims.test', '<!DOCTYPE x [<!ENTITY a "b">]><IMSSubscription/>')).status).toBe(
      400,
    );
    const answer = await put('alice@ims.test', given);
    expect(await answer.json()).toMatchObject({
      identities: [{ aor: alice.aor, profile: expect.stringMatching(/^cx-[0-9a-f]{32}$/) as unknown }],
    });
    alice.send('MESSAGE', bob.aor);
    as.peer.answer(await as.peer.request('MESSAGE'), 202);
    expect((await alice.peer.response(200)).status).toBe(202);
  });
});

describe('a request of a trusted peer with the mark of originating services', () => {
  const trusting = { auth: 'digest', sip: { trusted: ['127.0.0.1'], overloadDelay: 60_000 } };

  it.each<[string, (parley: RunningParley) => HeaderMap]>([
    [
      'Service-Route',
      ({ port }) => ({
        Route: `<sip:orig@127.0.0.1:${port};lr>`,
        'P-Asserted-Identity': '<sip:alice@ims.test>',
      }),
    ],
    [
      'orig parameter and P-Served-User',
      ({ port }) => ({
        Route: `<sip:127.0.0.1:${port};lr;orig>`,
        'P-Served-User': '<sip:alice@ims.test>',
        'P-Asserted-Identity': '<sip:bob@ims.test>',
      }),
    ],
  ])('gets those of its user: %s', async (_, headers) => {
    const as = await AppServer.open();
    const parley = await server([criterion(as)], trusting);
    const peer = await Phone.open('peer', parley.port);
    cleanups.push(() => peer.close());
    const network = {
      'P-Charging-Vector': 'icid-value=1;orig-ioi=visited.test',
      'P-Visited-Network-ID': '"visited.test"',
      'P-Access-Network-Info': '3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1;network-provided',
    };
    peer.send('MESSAGE', 'sip:bob@ims.test', { ...headers(parley), ...network });
    const request = await as.peer.request('MESSAGE');
    expect(request.get('P-Served-User')).toBe('<sip:alice@ims.test>;sescase=orig;regstate=unreg');
    for (const [name, value] of Object.entries(network))
      expect([name, request.get(name)]).toEqual([name, value]);
    as.peer.answer(request, 202);
    expect((await peer.peer.response(200)).status).toBe(202);
  });

  it('without the mark gets none', async () => {
    const as = await AppServer.open();
    const parley = await server([criterion(as)], trusting);
    const peer = await Phone.open('peer', parley.port);
    cleanups.push(() => peer.close());
    expect(
      (await peer.ask('MESSAGE', 'sip:bob@ims.test', { 'P-Asserted-Identity': '<sip:alice@ims.test>' }))
        .status,
    ).toBe(480);
    expect(as.peer.unread).toEqual([]);
  });
});

/** Takes connections and closes each as soon as something comes. */
async function closingServer(): Promise<Server> {
  const made = createServer((socket) => {
    socket.on('data', () => socket.destroy());
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => made.close());
  return made;
}
