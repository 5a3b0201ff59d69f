import { isIP } from 'node:net';
import { ParleyError } from '../../base/errors.js';
import type { SipUri } from '../message/uri.js';
import type { Protocol } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import { createTransactionLayer, type TransactionLayerOptions } from '../transaction/transaction-layer.js';
import { defaultPort, parseListeners } from '../transport/listener-spec.js';
import { Transports } from '../transport/transports.js';
import type { LocalEnd, Wire } from './wire.js';

export interface NetworkOptions extends Omit<TransactionLayerOptions, 'transports' | 'limits'> {
  /** `udp:127.0.0.1:5060` and the like. */
  readonly listen: readonly string[];
}

/** Transports, resolution and transactions of one process, put together. */
export function createNetwork(options: NetworkOptions): Wire {
  return new Network(options);
}

class Network implements Wire {
  readonly transactions: Wire['transactions'];
  onFlowClosed: (flow: string) => void = () => {};
  readonly #transports: Transports;

  constructor(options: NetworkOptions) {
    const { listen, clock, log, trail } = options;
    this.#transports = new Transports({ listeners: parseListeners(listen.join(',')), clock, log, trail });
    this.transactions = createTransactionLayer({ ...options, transports: this.#transports });
    this.#transports.onFlowClosed((flow) => this.onFlowClosed(flow));
  }

  get listeners(): Wire['listeners'] {
    return this.#transports.listeners;
  }

  start(): Promise<void> {
    return this.#transports.start();
  }

  close(): Promise<void> {
    return this.#transports.close();
  }

  resolve(uri: SipUri, secure = false): readonly NextHop[] {
    const host = (uri.param('maddr') ?? uri.host).replace(/^\[|\]$/g, '');
    const address = host === 'localhost' ? '127.0.0.1' : host;
    if (isIP(address) === 0) return [];
    const protocol = (uri.param('transport')?.toLowerCase() ??
      (secure || uri.scheme === 'sips' ? 'tls' : 'udp')) as Protocol;
    return [{ protocol, address, port: uri.port ?? defaultPort(protocol) }];
  }

  hopOfFlow(flow: string): NextHop | undefined {
    return this.#transports.hopOfFlow(flow);
  }

  localEnd(hop: NextHop): LocalEnd {
    const end = this.#transports.localEnd(hop);
    if (!end) throw new ParleyError('sip-no-transport', hop.address);
    return end;
  }

  trouble(): string | undefined {
    return this.listeners.some(({ port }) => port === 0) ? 'listeners are not bound' : undefined;
  }
}
