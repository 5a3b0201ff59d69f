import { XMLParser } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { useCleanups } from '../tools/cleanups.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

const IMEI = 'urn:gsma:imei:35824005-111111-0';
const UUID = 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';
const instance = (urn: string): string => `;+sip.instance="<${urn}>"`;
const AOR = 'sip:alice@ims.test';
const REG: HeaderMap = { Event: 'reg', Accept: 'application/reginfo+xml', Expires: '600' };

const alice = {
  privateId: 'alice@ims.test',
  password: 'alice-secret',
  identities: [AOR, 'tel:+15550100001'],
};
const bob = { privateId: 'bob@ims.test', password: 'bob-secret', identities: ['sip:bob@ims.test'] };

const cleanups = useCleanups();

async function server(settings: Record<string, unknown> = {}): Promise<RunningParley> {
  const parley = await startParley({ auth: 'none', subscribers: [alice, bob], ...settings });
  cleanups.push(() => parley.stop());
  return parley;
}

async function device(parley: RunningParley, user: string, params: string): Promise<Phone> {
  const phone = await Phone.open(user, parley.port);
  cleanups.push(() => phone.close());
  await phone.register(params, { Supported: 'gruu' });
  return phone;
}

interface Contact {
  readonly state: string;
  readonly event: string;
  readonly uri: string;
  readonly cseq: string;
  readonly callid: string;
  readonly params: Readonly<Record<string, string>>;
  readonly name: string | undefined;
  readonly pub: string | undefined;
  readonly temp: { readonly uri: string; readonly firstCSeq: string } | undefined;
}

interface Reginfo {
  readonly version: string;
  readonly state: string;
  readonly registrations: Readonly<
    Record<string, { readonly state: string; readonly contacts: readonly Contact[] }>
  >;
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  isArray: (name) => ['registration', 'contact', 'unknown-param'].includes(name),
});

/** An element as the parser gives it. */
interface Node {
  readonly '@version': string;
  readonly '@state': string;
  readonly '@aor': string;
  readonly '@event': string;
  readonly '@callid': string;
  readonly '@cseq': string;
  readonly '@name': string;
  readonly '@uri': string;
  readonly '@first-cseq': string;
  readonly '#text'?: string;
  readonly uri: string;
  readonly 'display-name'?: string;
  readonly registration?: readonly Node[];
  readonly contact?: readonly Node[];
  readonly 'unknown-param'?: readonly Node[];
  readonly 'gr:pub-gruu'?: Node;
  readonly 'gr:temp-gruu'?: Node;
}

const contactOf = (node: Node): Contact => ({
  state: node['@state'],
  event: node['@event'],
  uri: node.uri,
  cseq: node['@cseq'],
  callid: node['@callid'],
  name: node['display-name'],
  params: Object.fromEntries(
    (node['unknown-param'] ?? []).map((param) => [param['@name'], param['#text'] ?? '']),
  ),
  pub: node['gr:pub-gruu']?.['@uri'],
  temp: node['gr:temp-gruu'] && {
    uri: node['gr:temp-gruu']['@uri'],
    firstCSeq: node['gr:temp-gruu']['@first-cseq'],
  },
});

/** What a watcher reads of a NOTIFY. */
function reginfo(notify: SipRequest): Reginfo {
  const { reginfo: root } = parser.parse(Buffer.from(notify.body)) as { reginfo: Node };
  return {
    version: root['@version'],
    state: root['@state'],
    registrations: Object.fromEntries(
      (root.registration ?? []).map((node) => [
        node['@aor'],
        { state: node['@state'], contacts: (node.contact ?? []).map(contactOf) },
      ]),
    ),
  };
}

const told = new Set<string>();

/** The next NOTIFY; one that comes again because the machine is busy is answered and passed over. */
async function next(phone: Phone): Promise<SipRequest> {
  for (;;) {
    const notify = await phone.answer('NOTIFY', 200);
    const key = `${notify.callId} ${notify.cseq.number}`;
    if (!told.has(key)) {
      told.add(key);
      return notify;
    }
  }
}

async function subscribed(phone: Phone, headers: HeaderMap = {}): Promise<SipRequest> {
  const response = await phone.ask('SUBSCRIBE', AOR, { ...REG, ...headers });
  expect(response.status).toBe(200);
  return next(phone);
}

/** An application server on this machine is to be told of everybody. */
const withServer = {
  sip: { trusted: ['127.0.0.1'] },
  profiles: [
    {
      name: 'default',
      criteria: [{ priority: 1, server: 'sip:127.0.0.1:5099', trigger: { groups: [[{ method: 'NEVER' }]] } }],
    },
  ],
};

describe('a user that watches its own registration', () => {
  it('is told all devices with GRUUs, capabilities and names in full, for each identity of the set', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', `${instance(IMEI)};+g.oma.sip-im;audio`);
    await device(parley, 'alice', instance(UUID));
    const notify = await subscribed(phone);
    expect(notify.get('Event')).toBe('reg');
    expect(notify.get('Subscription-State')).toMatch(/^active;expires=(600|599)$/);
    expect(notify.get('Content-Type')).toBe('application/reginfo+xml');
    const { version, state, registrations } = reginfo(notify);
    expect([version, state]).toEqual(['0', 'full']);
    expect(Object.keys(registrations)).toEqual([AOR, 'tel:+15550100001']);
    const [first, second] = registrations[AOR]!.contacts;
    expect(first).toMatchObject({
      state: 'active',
      event: 'registered',
      uri: phone.contact,
      params: { '+sip.instance': `"<${IMEI}>"`, '+g.oma.sip-im': '', audio: '' },
    });
    expect(first!.pub).toMatch(/^sip:alice@ims\.test;gr=urn:uuid:/);
    expect(first!.temp).toMatchObject({ firstCSeq: first!.cseq });
    expect(second!.pub).toBe(`sip:alice@ims.test;gr=${UUID}`);
    expect(registrations['tel:+15550100001']!.contacts.map(({ event }) => event)).toEqual([
      'created',
      'created',
    ]);
    phone.send('MESSAGE', first!.temp!.uri);
    expect((await phone.answer('MESSAGE', 200)).method).toBe('MESSAGE');
  });

  it('learns a public GRUU of each device for every SIP URI of the set, by which that device is reached', async () => {
    const work = 'sip:alice.work@ims.test';
    const identities = [AOR, work, 'tel:+15550100001'];
    const parley = await server({ subscribers: [{ ...alice, identities }, bob] });
    const phone = await device(parley, 'alice', instance(IMEI));
    const other = await device(parley, 'alice', instance(UUID));
    const { registrations } = reginfo(await subscribed(phone));
    const gruus = identities.map((aor) => registrations[aor]!.contacts.map(({ pub, temp }) => [pub, !!temp]));
    const [[imei]] = gruus[0]!.map(([pub]) => String(pub).split(';gr=').slice(1)) as [[string]];
    expect(gruus).toEqual([
      [
        [`${AOR};gr=${imei}`, true],
        [`${AOR};gr=${UUID}`, true],
      ],
      [
        [`${work};gr=${imei}`, false],
        [`${work};gr=${UUID}`, false],
      ],
      [
        [undefined, false],
        [undefined, false],
      ],
    ]);
    const caller = await device(parley, 'bob', instance(UUID));
    caller.send('OPTIONS', `${work};gr=${UUID}`);
    expect((await other.answer('OPTIONS', 200)).method).toBe('OPTIONS');
  });

  it('hears of a registration, a refresh, a device that goes, and at last that nothing is left', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    await subscribed(phone);
    const other = await device(parley, 'alice', instance(UUID));
    const added = reginfo(await next(phone));
    expect([added.version, added.registrations[AOR]!.contacts.map(({ event }) => event)]).toEqual([
      '1',
      ['registered', 'registered'],
    ]);
    await other.register(instance(UUID), { Supported: 'gruu' });
    const refreshed = reginfo(await next(phone)).registrations[AOR]!.contacts;
    expect(refreshed.map(({ event }) => event)).toEqual(['registered', 'refreshed']);
    await other.register(instance(UUID), { Expires: '0' });
    const gone = reginfo(await next(phone)).registrations[AOR]!;
    expect(gone.contacts.map(({ state, event }) => [state, event])).toEqual([
      ['active', 'registered'],
      ['terminated', 'unregistered'],
    ]);
    await fetch(`${parley.api}/api/v1/registrations/${encodeURIComponent(AOR)}`, { method: 'DELETE' });
    const last = await next(phone);
    expect(last.get('Subscription-State')).toBe('terminated;reason=deactivated');
    expect(reginfo(last).registrations[AOR]).toMatchObject({
      state: 'terminated',
      contacts: [{ state: 'terminated', event: 'deactivated' }],
    });
  });

  it('sees that it shall authenticate again, and how much time is left', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    await device(parley, 'alice', instance(UUID));
    await subscribed(phone);
    const url = `${parley.api}/api/v1/registrations/${encodeURIComponent(AOR)}/reauthenticate`;
    const shortened = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ instance: UUID, seconds: 30 }),
    });
    expect(await shortened.json()).toMatchObject({ bindings: [{ instance: UUID, expiresInSeconds: 30 }] });
    const notify = await next(phone);
    expect(reginfo(notify).registrations[AOR]!.contacts.map(({ state, event }) => [state, event])).toEqual([
      ['active', 'registered'],
      ['active', 'shortened'],
    ]);
    expect(Buffer.from(notify.body).toString()).toMatch(/event="shortened" expires="(?:30|29)"/);
  });

  it.each([
    ['probation', /event="probation" retry-after="60"/],
    ['rejected', /event="rejected"/],
  ])('hears the reason %s of a de-registration by the network', async (reason, expected) => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    await subscribed(phone);
    const url = `${parley.api}/api/v1/registrations/${encodeURIComponent(AOR)}?reason=${reason}`;
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(200);
    const last = await next(phone);
    expect(last.get('Subscription-State')).toMatch(/^terminated/);
    expect(Buffer.from(last.body).toString()).toMatch(expected);
  });

  it('hears that the time of a device is over', async () => {
    const parley = await server({ registrar: { expires: { minimum: 1 } } });
    const phone = await device(parley, 'alice', instance(IMEI));
    await subscribed(phone);
    await device(parley, 'alice', `${instance(UUID)};expires=1`);
    for (;;) {
      const { state, contacts } = reginfo(await next(phone)).registrations[AOR]!;
      const other = contacts.find(({ params }) => params['+sip.instance']?.includes(UUID));
      if (other?.state === 'active') continue;
      expect([state, other]).toMatchObject(['active', { state: 'terminated', event: 'expired' }]);
      return;
    }
  });

  it('hears that it is a subscriber no more, for every identity', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    await subscribed(phone);
    await fetch(`${parley.api}/api/v1/subscribers/alice@ims.test`, { method: 'DELETE' });
    const last = await next(phone);
    expect(last.get('Subscription-State')).toMatch(/^terminated/);
    const { registrations } = reginfo(last);
    expect(Object.entries(registrations).map(([aor, { contacts }]) => [aor, contacts[0]!.event])).toEqual([
      [AOR, 'rejected'],
      ['tel:+15550100001', 'rejected'],
    ]);
  });

  it('sees an emergency registration beside the ordinary one of the same device, without GRUU', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    const contact = `<${phone.contact};sos>${instance(IMEI)}`;
    const answer = await phone.register('', { Contact: contact, Supported: 'gruu' });
    const lines = answer.headers.list('Contact');
    expect(lines.map((line) => [line.includes(';sos>'), line.includes('pub-gruu')])).toEqual([
      [false, true],
      [true, false],
    ]);
    const [ordinary, emergency] = reginfo(await subscribed(phone)).registrations[AOR]!.contacts;
    expect([ordinary!.pub !== undefined, emergency!.pub, emergency!.temp]).toEqual([
      true,
      undefined,
      undefined,
    ]);
    expect(emergency!.params['+sip.instance']).toBe(`"<${IMEI}>"`);
  });

  it('told no faster than the interval gets what happened meanwhile together', async () => {
    const parley = await server({ regEvent: { interval: 1 } });
    const phone = await device(parley, 'alice', instance(IMEI));
    await subscribed(phone);
    await device(parley, 'alice', instance(UUID));
    await device(parley, 'alice', '');
    const { version, registrations } = reginfo(await next(phone));
    expect([version, registrations[AOR]!.contacts.length]).toEqual(['1', 3]);
  });

  it('keeps To, From, Call-ID and a rising CSeq through the dialog', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    const answer = await phone.ask('SUBSCRIBE', AOR, REG);
    const first = await next(phone);
    await device(parley, 'alice', instance(UUID));
    const second = await next(phone);
    for (const notify of [first, second]) {
      expect(notify.callId).toBe(answer.callId);
      expect(notify.toTag).toBe(answer.fromTag);
      expect(notify.fromTag).toBe(answer.toTag);
      expect(notify.from.uriText).toBe(AOR);
      expect(notify.uri).toBe(phone.contact);
    }
    expect(second.cseq.number).toBe(first.cseq.number + 1);
  });

  it('that refreshes while a NOTIFY is on its way gets the whole state after it', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    const accepted = await phone.ask('SUBSCRIBE', AOR, REG);
    const first = await phone.peer.request('NOTIFY');
    const refresh = await phone.ask('SUBSCRIBE', AOR, {
      ...REG,
      From: accepted.get('From'),
      To: accepted.get('To'),
      'Call-ID': accepted.callId,
    });
    expect(refresh.status).toBe(200);
    phone.peer.answer(first, 200, { Contact: `<${phone.contact}>` });
    for (;;) {
      const notify = await phone.answer('NOTIFY', 200);
      if (notify.cseq.number === first.cseq.number) continue; // the first one came again
      expect(notify.cseq.number).toBe(first.cseq.number + 1);
      expect(reginfo(notify)).toMatchObject({ version: '1', state: 'full' });
      return;
    }
  });

  it('that ends its subscription while a NOTIFY is on its way gets a last one all the same', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    const accepted = await phone.ask('SUBSCRIBE', AOR, REG);
    const first = await phone.peer.request('NOTIFY');
    const end = await phone.ask('SUBSCRIBE', AOR, {
      ...REG,
      Expires: '0',
      From: accepted.get('From'),
      To: accepted.get('To'),
      'Call-ID': accepted.callId,
    });
    expect([end.status, end.get('Expires')]).toEqual([200, '0']);
    for (;;) {
      const notify = await phone.peer.request('NOTIFY');
      if (notify.cseq.number === first.cseq.number) continue; // the first one came again
      expect(notify.get('Subscription-State')).toBe('terminated;reason=timeout');
      return;
    }
  });

  it('that cannot take a NOTIFY gets the whole state again later, with what the lost one said', async () => {
    const parley = await server({ regEvent: { documents: 'partial' } });
    const phone = await device(parley, 'alice', instance(IMEI));
    await subscribed(phone);
    const other = await device(parley, 'alice', instance(UUID));
    await next(phone);
    await other.register(`${instance(UUID)};expires=0`);
    const refused = await phone.answer('NOTIFY', 503);
    expect(reginfo(refused).state).toBe('partial');
    for (;;) {
      const again = await phone.answer('NOTIFY', 200);
      if (again.cseq.number === refused.cseq.number) continue; // the refused one came again
      const { version, state, registrations } = reginfo(again);
      expect([version, state]).toEqual(['3', 'full']);
      expect(registrations[AOR]!.contacts.map(({ event }) => event).toSorted()).toEqual([
        'registered',
        'unregistered',
      ]);
      return;
    }
  });

  it('with partial documents switched on gets only what changed', async () => {
    const parley = await server({ regEvent: { documents: 'partial' } });
    const phone = await device(parley, 'alice', instance(IMEI));
    expect(reginfo(await subscribed(phone)).state).toBe('full');
    await device(parley, 'alice', instance(UUID));
    const { state, registrations } = reginfo(await next(phone));
    expect(state).toBe('partial');
    expect(registrations[AOR]!.contacts.map(({ params }) => params['+sip.instance'])).toEqual([
      `"<${UUID}>"`,
    ]);
  });

  it('fetches once with Expires 0', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    const notify = await subscribed(phone, { Expires: '0' });
    expect(notify.get('Subscription-State')).toBe('terminated;reason=timeout');
    expect(reginfo(notify).registrations[AOR]!.contacts).toHaveLength(1);
  });

  it('is not told of the registrations of others', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', instance(IMEI));
    await subscribed(phone);
    await device(parley, 'bob', instance(UUID));
    await device(parley, 'alice', instance(UUID));
    expect(reginfo(await next(phone)).version).toBe('1');
  });

  it('escapes what a device wrote into its Contact', async () => {
    const parley = await server();
    const phone = await device(parley, 'alice', `${instance(IMEI)};+x.note="a<b&c]]>'"`);
    expect(reginfo(await subscribed(phone)).registrations[AOR]!.contacts[0]!.params['+x.note']).toBe(
      `"a<b&c]]>'"`,
    );
  });
});

describe('a SUBSCRIBE for registration events', () => {
  it.each([
    ['of a stranger', 'bob', {}, 403],
    ['that accepts other documents only', 'alice', { Accept: 'application/pidf+xml' }, 406],
    ['without Contact', 'alice', { Contact: undefined }, 400],
    ['for less than a minute', 'alice', { Expires: '10' }, 423],
    ['without Event', 'alice', { Event: undefined }, 489],
  ] as const)('%s gets its status', async (_, user, headers, status) => {
    const parley = await server();
    const phone = await device(parley, user, instance(IMEI));
    const response = await phone.ask('SUBSCRIBE', AOR, { ...REG, ...headers });
    expect(response.status).toBe(status);
    expect(response.get('Allow-Events')).toBe(status === 489 ? 'reg, presence' : undefined);
    expect(response.get('Min-Expires')).toBe(status === 423 ? '60' : undefined);
  });

  it('for another package gets 489 with Allow-Events when no device could serve it', async () => {
    const parley = await server();
    const phone = await device(parley, 'bob', instance(IMEI));
    const response = await phone.ask('SUBSCRIBE', AOR, { ...REG, Event: 'dialog' });
    expect([response.status, response.get('Allow-Events')]).toEqual([489, 'reg, presence']);
  });

  it('of a trusted node is accepted, without temporary GRUUs', async () => {
    const parley = await server(withServer);
    const phone = await device(parley, 'alice', instance(IMEI));
    const headers = { 'P-Asserted-Identity': '<sip:pf.ims.test;lr>', From: '<sip:pf.ims.test>;tag=pf' };
    const contact = reginfo(await subscribed(phone, headers)).registrations[AOR]!.contacts[0]!;
    expect(contact.pub).toMatch(/;gr=/);
    expect(contact.temp).toBeUndefined();
  });

  it('for a user without registration is told the state init, and then the registration', async () => {
    const parley = await server(withServer);
    const watcher = await Phone.open('pf', parley.port);
    cleanups.push(() => watcher.close());
    expect(reginfo(await subscribed(watcher)).registrations[AOR]).toMatchObject({
      state: 'init',
      contacts: [],
    });
    await device(parley, 'alice', instance(IMEI));
    expect(reginfo(await next(watcher)).registrations[AOR]).toMatchObject({ state: 'active' });
  });

  it('ends with the time of the last device', async () => {
    const parley = await server({ ...withServer, registrar: { expires: { minimum: 1 } } });
    const watcher = await Phone.open('pf', parley.port);
    cleanups.push(() => watcher.close());
    await subscribed(watcher);
    await device(parley, 'alice', `${instance(IMEI)};expires=1`);
    for (;;) {
      const notify = await next(watcher);
      const { state, contacts } = reginfo(notify).registrations[AOR]!;
      if (state === 'active') continue;
      expect(notify.get('Subscription-State')).toBe('terminated;reason=deactivated');
      expect([state, contacts]).toMatchObject(['terminated', [{ state: 'terminated', event: 'expired' }]]);
      return;
    }
  });

  it('beyond the limit of a registration set gets 503', async () => {
    const parley = await server({ regEvent: { perSet: 1 } });
    const phone = await device(parley, 'alice', instance(IMEI));
    await subscribed(phone);
    expect((await phone.ask('SUBSCRIBE', AOR, REG)).status).toBe(503);
  });
});

describe('the registered devices of a user', () => {
  it('are those of the registrar, with GRUUs, features and names, and changes are told', async () => {
    const parley = await server();
    const { devices } = parley.app;
    const changes: string[] = [];
    devices.onChange(({ set, event, device }) => changes.push(`${set} ${event} ${device.instance}`));
    await device(parley, 'alice', `${instance(UUID)};+g.oma.sip-im`);
    const [found] = await devices.of('tel:+15550100001');
    expect(found).toMatchObject({ aor: AOR, instance: UUID, publicGruu: `${AOR};gr=${UUID}`, q: 1 });
    expect(found!.features.get('+g.oma.sip-im')).toBe(true);
    expect(found!.temporaryGruu).toMatch(/^sip:tgruu\./);
    expect(changes).toEqual([`${AOR} registered ${UUID}`]);
    expect(await devices.of('sip:nobody@ims.test')).toEqual([]);
  });
});
