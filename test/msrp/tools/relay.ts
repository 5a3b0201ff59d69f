import { DigestAuthority } from '../../../src/app/msrp-relay.js';
import { MsrpRelay, type RelayOptions } from '../../../src/msrp/relay/index.js';
import type { EndpointOptions } from '../../../src/msrp/session/index.js';
import { Subscribers } from '../../../src/registrar/subscribers.js';
import { DigestClient } from '../../../src/sip/auth/digest-client.js';
import { DigestServer } from '../../../src/sip/auth/digest-server.js';
import { GuessLock } from '../../../src/sip/auth/guess-lock.js';
import { ServerNonces } from '../../../src/sip/auth/nonce.js';
import { tls } from '../../sip/transport/bench.js';
import { MemoryStore } from '../../tools/memory-store.js';
import { startEndpoint, type TestEndpoint } from './endpoints.js';
import { Line } from './line.js';

export interface TestRelay extends TestEndpoint {
  readonly relay: MsrpRelay;
  /** Where TLS is spoken; `port` is without. */
  readonly securePort: number;
}

/** A relay for `sip:alice@ims.test` and `bob`, with passwords as in the demo. */
export async function startRelay(
  options: Partial<EndpointOptions> = {},
  relayOptions: Partial<RelayOptions> = {},
): Promise<TestRelay> {
  const started = await startEndpoint({ tls, ...options });
  const { endpoint, trail, clock } = started;
  const secure = await endpoint.listen({ transport: 'tcp', secure: true, host: '127.0.0.1', port: 0 });
  const subscribers = new Subscribers(new MemoryStore(), 'ims.test');
  for (const name of ['alice', 'bob']) {
    const privateId = `${name}@ims.test`;
    await subscribers.add({ privateId, password: `${name}-secret`, identities: [`sip:${privateId}`] });
  }
  const lock = { clock, limit: 100, windowMs: 60_000 };
  const digest = new DigestServer({
    realm: 'ims.test',
    nonces: new ServerNonces({ clock, key: Buffer.alloc(16, 7), lifetimeMs: 300_000 }),
    userLock: new GuessLock(lock),
    sourceLock: new GuessLock(lock),
    algorithms: ['MD5'],
    withoutQop: false,
  });
  const relay = new MsrpRelay({
    clock,
    trail,
    endpoint,
    authority: new DigestAuthority(digest, subscribers),
    place: { secure: true },
    ...relayOptions,
  });
  endpoint.use(relay);
  return { ...started, relay, securePort: secure.port };
}

/** A client that reaches the relay, and that nobody reaches. */
export class RelayClient extends Line {
  readonly path: string;
  readonly #digest: DigestClient;

  constructor(port: number, name: string, password = `${name}-secret`, secure = true) {
    super(port, secure ? tls.ca : undefined);
    this.path = `msrps://${name}.invalid:9/${name}1;tcp`;
    this.#digest = new DigestClient({ username: name, password });
  }

  /** Sends AUTH, with credentials after a challenge was seen. @returns the whole answer. */
  async auth(to: string, fields: readonly string[] = []): Promise<string> {
    const uri = to.split(' ').at(-1)!;
    // RFC 4976 has no uri among the parameters
    const signed = this.#digest.sign({ method: 'AUTH', uri })?.replace(/uri="[^"]*", /, '');
    const credentials = signed === undefined ? [] : [`Authorization: ${signed}`];
    const id = this.request('AUTH', to, [...fields, ...credentials], undefined, '$', this.path);
    const answer = (await this.see(new RegExp(`MSRP ${id} \\d{3}[^]*?-------${id}\\$\\r\\n`)))[0];
    const challenges = [...answer.matchAll(/^WWW-Authenticate: (.*)\r$/gm)].map(([, value]) => value!);
    if (challenges.length > 0) this.#digest.challenged(challenges);
    const info = /^Authentication-Info: (.*)\r$/m.exec(answer)?.[1];
    if (info !== undefined && !this.#digest.confirmed(info, { method: 'AUTH', uri }))
      throw new Error('the relay does not know the password');
    return answer;
  }

  /** Gets a URI. @returns what Use-Path says. */
  async usePath(to: string, fields: readonly string[] = []): Promise<string> {
    const first = await this.auth(to, fields);
    const answer = first.includes(' 401 ') ? await this.auth(to, fields) : first;
    const found = /^Use-Path: (.*)\r$/m.exec(answer);
    if (!found) throw new Error(answer);
    return found[1]!;
  }

  /** Sends a message, or a chunk of one. @returns the transaction identifier. */
  say(to: string, body: string, more: readonly string[] = [], flag = '$'): string {
    const fields = ['Message-ID: m1', ...more, 'Content-Type: text/plain'];
    return this.request('SEND', to, fields, body, flag, this.path);
  }
}
