import type { VirtualClock } from '../../../src/base/clock.js';
import { parseDatagram } from '../../../src/sip/message/parse.js';
import type { Protocol } from '../../../src/sip/stack.js';
import type { NextHop } from '../../../src/sip/transaction/layer.js';
import type { ReadingTaker } from '../../../src/sip/transport/queue-meter.js';
import type { Receiver, SendDone, SentBy, Way, Wire } from '../../../src/sip/transport/way.js';

/** A wire without a network: writes down what is sent and when, and fails on demand. */
export class FakeWire implements Wire {
  onMessage: Receiver = () => {};
  onDelay: ReadingTaker = () => false;
  /** What was sent: milliseconds since the wire was made, and method or status. */
  readonly log: [at: number, what: string][] = [];
  readonly octets: Buffer[] = [];
  /** Sends fail while it is true. */
  broken = false;
  readonly #clock: VirtualClock;
  readonly #start: number;
  readonly #failures: (() => void)[] = [];

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.#start = clock.now();
  }

  sentBy(hop: NextHop): SentBy {
    return { transport: hop.protocol.toUpperCase(), sentBy: '192.0.2.1:5060' };
  }

  streamFailed(): void {}

  streamFor(): undefined {
    return undefined;
  }

  send(octets: Buffer, _hop: NextHop, done: SendDone): void {
    this.record(octets, done);
  }

  record(octets: Buffer, done: SendDone): void {
    const [first = '', second = ''] = octets.toString().split(' ');
    this.log.push([this.#clock.now() - this.#start, first === 'SIP/2.0' ? second : first]);
    this.octets.push(Buffer.from(octets));
    if (this.broken) this.#failures.push(() => done(new Error('unreachable')));
  }

  /** Reports the failed sends to who sent, as the network does: later. */
  reportFailures(): void {
    for (const report of this.#failures.splice(0)) report();
  }

  /** When what was sent, and forgets it. */
  taken(): [number, string][] {
    return this.log.splice(0);
  }

  /** A message comes in. */
  receive(text: string, protocol: Protocol = 'udp'): void {
    this.onMessage(parseDatagram(Buffer.from(text)), this.way(protocol));
  }

  way(protocol: Protocol): Way {
    return {
      protocol,
      address: '192.0.2.2',
      port: 5060,
      localAddress: '192.0.2.1',
      localPort: 5060,
      flow: 'fake',
      send: (octets, done) => this.record(octets, done),
      reply: (octets, _via, done) => this.record(octets, done),
    };
  }
}

/** A whole request from 192.0.2.2. */
export function requestText(
  method: string,
  options: { branch?: string; cseq?: string; toTag?: string; callId?: string; uri?: string } = {},
): string {
  const { branch = 'z9hG4bKone', cseq = method, toTag, callId = 'call', uri = 'sip:bob@ims.test' } = options;
  return [
    `${method} ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP 192.0.2.2:5060${branch === '' ? '' : `;branch=${branch}`}`,
    'Max-Forwards: 70',
    'From: <sip:alice@ims.test>;tag=alice',
    `To: <sip:bob@ims.test>${toTag === undefined ? '' : `;tag=${toTag}`}`,
    `Call-ID: ${callId}`,
    `CSeq: 1 ${cseq}`,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

/** A response to a request that was sent, by its octets. */
export function responseText(request: Buffer, status: number, toTag = 'bob'): string {
  const kept = request
    .toString()
    .split('\r\n')
    .filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line))
    .map((line) => (line.startsWith('To:') && !line.includes('tag=') ? `${line};tag=${toTag}` : line));
  return [`SIP/2.0 ${status} Because`, ...kept, 'Content-Length: 0', '', ''].join('\r\n');
}
