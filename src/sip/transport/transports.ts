import { isIPv6 } from 'node:net';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { defaultLimits, type ParseLimits } from '../message/parse.js';
import type { Listener } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import './errors.js';
import { bracketed } from './listener-spec.js';
import { UdpTransport } from './udp.js';
import type { Receiver, SendDone, SentBy, Way, Wire } from './way.js';

export interface TransportOptions {
  readonly listeners: readonly Listener[];
  readonly log: Logger;
  readonly limits?: Partial<TransportLimits>;
}

export interface TransportLimits extends ParseLimits {
  /** Octets of a request from which on UDP gives way to TCP (RFC 3261 §18.1.1). */
  readonly udpRequestBytes: number;
}

const usualLimits: TransportLimits = { ...defaultLimits, udpRequestBytes: 1300 };

/** All transports of one stack: listeners, connections, flows. */
export class Transports implements Wire {
  onMessage: Receiver = () => {};
  readonly limits: TransportLimits;
  readonly #udp: UdpTransport[] = [];
  readonly #flowListeners = new Set<(flow: string) => void>();

  constructor(options: TransportOptions) {
    this.limits = { ...usualLimits, ...options.limits };
    for (const listener of options.listeners) {
      if (listener.protocol !== 'udp') continue;
      const transport = new UdpTransport(
        listener,
        this.limits,
        (parsed, way) => this.onMessage(parsed, way),
        (error) => options.log.error({ err: error }, 'UDP socket'),
      );
      this.#udp.push(transport);
    }
  }

  /** Bound listeners, after start. */
  get listeners(): Listener[] {
    return this.#udp.map((transport) => transport.listener);
  }

  /** @throws ParleyError `sip-port-taken`, `sip-listen-failed`; nothing is left bound then. */
  async start(): Promise<void> {
    const bound = await Promise.allSettled(this.#udp.map((transport) => transport.listen()));
    const failed = bound.find((result) => result.status === 'rejected');
    if (!failed) return;
    await this.close();
    throw failed.reason;
  }

  async close(): Promise<void> {
    await Promise.all(this.#udp.map((transport) => transport.close()));
  }

  /** @returns a function that ends the listening. */
  onFlowClosed(listener: (flow: string) => void): () => void {
    this.#flowListeners.add(listener);
    return () => this.#flowListeners.delete(listener);
  }

  sentBy(hop: NextHop): SentBy {
    const listener = this.#udpFor(hop)?.listener;
    const address = listener?.address ?? '127.0.0.1';
    return {
      transport: hop.protocol.toUpperCase(),
      sentBy: listener ? `${bracketed(address)}:${listener.port}` : bracketed(address),
    };
  }

  send(octets: Buffer, hop: NextHop, done: SendDone): void {
    const way = this.#wayTo(hop);
    if (way) way.send(octets, done);
    else
      process.nextTick(
        done,
        new ParleyError(hop.flow === undefined ? 'sip-no-transport' : 'sip-flow-failed'),
      );
  }

  #wayTo(hop: NextHop): Way | undefined {
    return this.#udpFor(hop)?.wayTo(hop.address, hop.port);
  }

  #udpFor(hop: NextHop): UdpTransport | undefined {
    if (hop.flow !== undefined)
      return this.#udp.find((transport) => transport.flowTo(hop.address, hop.port) === hop.flow);
    const six = isIPv6(hop.address);
    return this.#udp.find((transport) => isIPv6(transport.listener.address) === six);
  }
}
