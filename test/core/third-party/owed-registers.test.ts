import { expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { OwedRegisters } from '../../../src/core/third-party/owed-registers.js';
import { RegistrationTriggers } from '../../../src/core/third-party/registration-triggers.js';
import { Profiles } from '../../../src/core/triggers/profiles.js';
import { openAuthenticator } from '../../../src/registrar/authenticator.js';
import { Gruus } from '../../../src/registrar/gruus.js';
import { Registrar } from '../../../src/registrar/registrar.js';
import { Subscribers } from '../../../src/registrar/subscribers.js';
import { table } from '../../../src/store/store.js';
import { node } from '../../sip/embedded/nodes.js';
import { useCleanups } from '../../tools/cleanups.js';
import { MemoryStore } from '../../tools/memory-store.js';
import { RecordedResponse, serverRequest } from '../../tools/sip-request.js';

const cleanups = useCleanups();
const rows = table('third-party-registers');
const clock = new VirtualClock();
const log = silentLogger;
const trail = new MemoryTrail(() => clock.now());

const owedOf = (store: MemoryStore): OwedRegisters =>
  new OwedRegisters({ store, clock, log, node: 'one', isAlive: () => false });

it('a device has its 200 when it is in the store which application servers are to be told', async () => {
  const store = new MemoryStore();
  const subscribers = new Subscribers(store, 'ims.test');
  const gruus = await Gruus.open(store, '3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40');
  const profiles = await Profiles.open(store);
  const criterion = { priority: 1, server: 'sip:as@127.0.0.1:9', defaultHandling: 'continued' } as const;
  await profiles.put({ name: 'default', criteria: [criterion] });
  const registrar = new Registrar({
    ...{ store, clock, trail, log, subscribers, gruus, authenticator: openAuthenticator },
    ...{ domains: ['ims.test'], openDomain: true, trusted: new Set<string>(), maxContacts: 4, gruu: true },
    expiry: { minimum: 60, maximum: 7200, standard: 3600 },
    matching: 'instance',
    serviceRoute: () => [],
  });
  const { stack } = await node();
  const triggers = new RegistrationTriggers({
    ...{ stack, clock, trail, log, registrar, subscribers, profiles },
    ...{ domain: 'ims.test', trusted: new Set<string>(), patience: 2_000, waiting: 10, owed: owedOf(store) },
  });
  cleanups.push(() => {
    triggers.close();
    registrar.close();
    profiles.close();
  });
  // the first commit is that of the binding, and all others wait
  let commit = (): void => {};
  const gate = new Promise<void>((resolve) => (commit = resolve));
  let updates = 0;
  store.delay = () => (updates++ === 0 ? undefined : gate);
  const response = new RecordedResponse();
  const request = serverRequest('REGISTER sip:ims.test SIP/2.0', { Contact: '<sip:alice@127.0.0.1:5070>' });
  const handled = registrar.handle(request, response);
  await expect.poll(() => updates).toBe(2);
  expect([store.size(table('registrations')), response.sent.length]).toEqual([1, 0]);
  commit();
  await handled;
  expect([response.finalStatus, store.size(rows)]).toEqual([200, 1]);
});

it('what was noted again while a server was told is still owed to it', async () => {
  const store = new MemoryStore();
  const owed = owedOf(store);
  const what = { set: 'sip:alice@ims.test', identity: 'sip:alice@ims.test', server: 'sip:as', priority: 1 };
  const first = await owed.note(what);
  const second = await owed.note(what);
  owed.settle(first);
  expect(store.size(rows)).toBe(1);
  owed.settle(second);
  expect(store.size(rows)).toBe(0);
});
