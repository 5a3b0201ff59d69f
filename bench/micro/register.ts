/**
 * CPU time of one REGISTER from its octets to those of its 200, without sockets and transactions: 10,000 users register
 * again and again, each time with a new Call-ID, in a store like that of a server.
 *
 *     npx tsc -p bench/micro && node dist/micro/bench/micro/register.js
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { openAuthenticator } from '../../src/registrar/authenticator.js';
import { Gruus } from '../../src/registrar/gruus.js';
import { Registrar } from '../../src/registrar/registrar.js';
import { Subscribers } from '../../src/registrar/subscribers.js';
import { createEmbeddedStack } from '../../src/sip/embedded/stack.js';
import { parseDatagram } from '../../src/sip/message/parse.js';
import { serialize } from '../../src/sip/message/serialize.js';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import type { Source } from '../../src/sip/stack.js';
import type { ServerTransaction } from '../../src/sip/transaction/layer.js';
import { openStore } from '../../src/store/open.js';
import { FakeWire } from '../../test/tools/fake-transactions.js';

const USERS = 10_000;
/** Requests that wait at once, as SIPp keeps them. */
const TOGETHER = 64;
const total = Number(process.argv[2] ?? 200_000);

const folder = mkdtempSync(join(tmpdir(), 'parley-bench-'));
const clock = new SystemClock((error) => {
  throw error;
});
const log = silentLogger;
const store = await openStore(`lmdb:${folder}`, { clock, log });
const trail = new MemoryTrail(() => clock.now());
const subscribers = new Subscribers(store, 'ims.test');
const registrar = new Registrar({
  store,
  clock,
  trail,
  log,
  subscribers,
  gruus: await Gruus.open(store),
  authenticator: openAuthenticator,
  domains: ['ims.test'],
  expiry: { minimum: 60, maximum: 600_000, standard: 3_600 },
  maxContacts: 50,
  matching: 'instance',
  gruu: true,
  openDomain: true,
  trusted: new Set(),
  serviceRoute: () => ['<sip:orig@127.0.0.1:5060;lr>'],
});
const wire = new FakeWire();
const stack = createEmbeddedStack({ wire, clock, log, trail, domain: 'ims.test' });
stack.on('REGISTER', (request, response) => registrar.handle(request, response));
await stack.start();

const source: Source = {
  protocol: 'udp',
  address: '127.0.0.1',
  port: 5061,
  localAddress: '127.0.0.1',
  localPort: 5060,
  flow: 'udp|127.0.0.1:5060|127.0.0.1:5061',
};

class Transaction implements ServerTransaction {
  readonly kind = 'non-invite';
  readonly source = source;
  finalStatus: number | undefined = undefined;
  onCancel: undefined = undefined;
  onFailure: undefined = undefined;
  readonly request: SipRequest;
  readonly #done: () => void;

  constructor(request: SipRequest, done: () => void) {
    this.request = request;
    this.#done = done;
  }

  respond(response: SipResponse): boolean {
    if (response.status !== 200) throw new Error(`${response.status} ${response.reason}`);
    this.finalStatus = response.status;
    serialize(response);
    this.#done();
    return true;
  }
}

const octets = (run: number): Buffer => {
  const user = run % USERS;
  const instance = `urn:uuid:00000000-0000-4000-8000-${(user * 4).toString(16).padStart(12, '0')}`;
  return Buffer.from(
    [
      'REGISTER sip:ims.test SIP/2.0',
      `Via: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK-7640-${run}-0;rport`,
      'Max-Forwards: 70',
      `From: <sip:user${user}@ims.test>;tag=${run}r7640`,
      `To: <sip:user${user}@ims.test>`,
      `Call-ID: ${run}-7640@127.0.0.1`,
      'CSeq: 1 REGISTER',
      `Contact: <sip:user${user}.d1@127.0.0.1:5061;transport=UDP>;+sip.instance="<${instance}>"` +
        ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session,urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";expires=3600',
      'Supported: gruu, path',
      'User-Agent: SIPp',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
};

async function run(from: number, count: number): Promise<void> {
  const end = from + count;
  let next = from;
  let answered = 0;
  await new Promise<void>((resolve) => {
    const one = (): void => {
      if (next === end) return;
      const parsed = parseDatagram(octets(next++));
      if (parsed.kind !== 'request') throw new Error(parsed.kind);
      wire.transactions.onRequest(
        new Transaction(parsed.message, () => {
          if (++answered === count) resolve();
          else setImmediate(one);
        }),
      );
    };
    for (let i = 0; i < TOGETHER; i++) one();
  });
}

await run(0, 40_000);
for (let round = 0, at = 40_000; round < 5; round++, at += total / 5) {
  const before = process.cpuUsage();
  await run(at, total / 5);
  const { user, system } = process.cpuUsage(before);
  console.log(`REGISTER in the process: ${((user + system) / (total / 5)).toFixed(1)} µs`);
}
const before = process.cpuUsage();
for (let i = 0; i < 100_000; i++) parseDatagram(octets(i));
const { user, system } = process.cpuUsage(before);
console.log(`of it making and parsing the request: ${((user + system) / 100_000).toFixed(1)} µs`);
registrar.close();
await store.close();
clock.close();
rmSync(folder, { recursive: true });
