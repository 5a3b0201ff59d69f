import type { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { createEmbeddedStack } from '../../src/sip/embedded/stack.js';
import type { LocalEnd, Wire as StackWire } from '../../src/sip/embedded/wire.js';
import { parseDatagram } from '../../src/sip/message/parse.js';
import type { SipUri } from '../../src/sip/message/uri.js';
import type { Listener, SipStack } from '../../src/sip/stack.js';
import type { NextHop, TransactionLayer } from '../../src/sip/transaction/layer.js';
import { createTransactionLayer } from '../../src/sip/transaction/transaction-layer.js';
import type { Receiver, SendDone, SentBy, Way, Wire } from '../../src/sip/transport/way.js';

const PORT = 5060;
const DELAY_MS = 10;

/** Decides what becomes of the next datagram between two addresses: true loses it. */
export type Loss = (from: string, to: string) => boolean;

/** Hosts on an unreliable network in virtual time, each with the real transaction layer and the real stack on top. */
export class VirtualNetwork {
  readonly clock: VirtualClock;
  readonly #loses: Loss;
  readonly #hosts = new Map<string, Host>();
  /** Start lines of all that was sent, lost or not. */
  readonly sent: string[] = [];

  constructor(clock: VirtualClock, loses: Loss) {
    this.clock = clock;
    this.#loses = loses;
  }

  /** @param address an IPv4 address or a name; every host listens at port 5060 over UDP. */
  async host(address: string): Promise<SipStack> {
    const host = new Host(this, address);
    this.#hosts.set(address, host);
    const stack = createEmbeddedStack({
      wire: host,
      clock: this.clock,
      log: silentLogger,
      trail: new MemoryTrail(() => this.clock.now()),
      domain: 'ims.test',
    });
    await stack.start();
    return stack;
  }

  /** Transactions of all hosts that wait for a final response. */
  get running(): number {
    return [...this.#hosts.values()].reduce((sum, host) => sum + host.transactions.running, 0);
  }

  carry(octets: Buffer, from: string, to: string, done: SendDone): void {
    this.sent.push(octets.toString('latin1', 0, octets.indexOf('\r\n')));
    process.nextTick(done);
    if (this.#loses(from, to)) return;
    const copy = Buffer.from(octets);
    this.clock.after(DELAY_MS, () => this.#hosts.get(to)?.onMessage(parseDatagram(copy), this.way(to, from)));
  }

  /** What `host` sees of a datagram from `peer`. */
  way(host: string, peer: string): Way {
    return {
      protocol: 'udp',
      address: peer,
      port: PORT,
      localAddress: host,
      localPort: PORT,
      flow: `udp|${host}|${peer}`,
      reply: (octets, _via, done) => this.carry(octets, host, peer, done),
      send: (octets, done) => this.carry(octets, host, peer, done),
    };
  }
}

class Host implements Wire, StackWire {
  onMessage: Receiver = () => {};
  onDelay = (): boolean => false;
  onFlowClosed: (flow: string) => void = () => {};
  readonly transactions: TransactionLayer;
  readonly listeners: readonly Listener[];
  readonly #network: VirtualNetwork;
  readonly #address: string;

  constructor(network: VirtualNetwork, address: string) {
    this.#network = network;
    this.#address = address;
    this.listeners = [{ protocol: 'udp', address, port: PORT }];
    const { clock } = network;
    const trail = new MemoryTrail(() => clock.now());
    this.transactions = createTransactionLayer({ transports: this, clock, log: silentLogger, trail });
  }

  async start(): Promise<void> {}

  async close(): Promise<void> {}

  sentBy(): SentBy {
    return { transport: 'UDP', sentBy: `${this.#address}:${PORT}` };
  }

  streamFailed(): void {}

  streamFor(): undefined {
    return undefined;
  }

  send(octets: Buffer, hop: NextHop, done: SendDone): void {
    this.#network.carry(octets, this.#address, hop.address, done);
  }

  resolve(uri: SipUri): readonly NextHop[] {
    return [{ protocol: 'udp', address: uri.host, port: PORT }];
  }

  hopOfFlow(): undefined {
    return undefined;
  }

  localEnd(): LocalEnd {
    return { protocol: 'udp', host: this.#address, port: PORT };
  }

  trouble(): undefined {
    return undefined;
  }
}
