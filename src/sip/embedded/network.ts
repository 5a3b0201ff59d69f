import { Resolver as DnsResolver } from 'node:dns/promises';
import type { Server as HttpServer } from 'node:http';
import { ParleyError } from '../../base/errors.js';
import type { SipUri } from '../message/uri.js';
import type { Dns } from '../resolver/dns-cache.js';
import { Resolver } from '../resolver/resolver.js';
import type { NextHop } from '../transaction/layer.js';
import type { TransactionLimits } from '../transaction/limits.js';
import { createTransactionLayer, type TransactionLayerOptions } from '../transaction/transaction-layer.js';
import type { TransportLimits } from '../transport/limits.js';
import { parseListeners } from '../transport/listener-spec.js';
import { logMessages } from '../transport/message-log.js';
import type { TlsOptions } from '../transport/tls-options.js';
import { Transports } from '../transport/transports.js';
import type { LocalEnd, Wire } from './wire.js';

export interface NetworkOptions extends Omit<TransactionLayerOptions, 'transports' | 'limits'> {
  /** `udp:127.0.0.1:5060` and the like. */
  readonly listen: readonly string[];
  readonly limits?: Partial<TransportLimits & TransactionLimits>;
  /** Needed for `tls` and `wss` listeners. */
  readonly tls?: TlsOptions;
  /** Whose pages may connect by WebSocket, besides those of the same host; all when absent. */
  readonly origins?: readonly string[];
  /** Host name or address that peers are told instead of the listener's address. */
  readonly advertise?: string;
  /** Named by the flows of this process; random when absent. */
  readonly instance?: string;
  /** Domains that this server answers for: what goes there stays here, whatever the name servers say (RFC 3261 §16.5). */
  readonly ownDomains?: readonly string[];
  /** The system's name servers when absent. */
  readonly dns?: Dns;
}

/** How long one name server may take, in milliseconds, and how often all are asked. */
const DNS_PATIENCE = { timeout: 1_500, tries: 2 };

/** Transports, resolution and transactions of one process, put together. */
export function createNetwork(options: NetworkOptions): Network {
  return new Network(options);
}

export class Network implements Wire {
  readonly transactions: Wire['transactions'];
  onFlowClosed: (flow: string) => void = () => {};
  readonly #transports: Transports;
  readonly #resolver: Resolver;
  readonly #ownDomains: ReadonlySet<string>;

  constructor(options: NetworkOptions) {
    const { listen, clock, dns = new DnsResolver(DNS_PATIENCE) } = options;
    this.#transports = new Transports({ ...options, listeners: parseListeners(listen.join(',')) });
    const transports = logMessages(this.#transports, options.log);
    this.transactions = createTransactionLayer({ ...options, transports });
    this.#transports.onFlowClosed((flow) => this.onFlowClosed(flow));
    const canSend: Transports['canSend'] = (protocol, family) => this.#transports.canSend(protocol, family);
    this.#ownDomains = new Set(options.ownDomains);
    this.#resolver = new Resolver({ dns, clock, canSend });
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

  /** Serves SIP over WebSocket on an HTTP server that others use too, at `/sip` unless said otherwise (RFC 7118 §4). */
  attachWebSocket(server: HttpServer, path?: string): void {
    this.#transports.attachWebSocket(server, path);
  }

  resolve(uri: SipUri, secure = false): readonly NextHop[] | Promise<readonly NextHop[]> {
    const own = secure ? undefined : this.#ownHop(uri);
    return own ? [own] : this.#resolver.resolve(uri, secure);
  }

  #ownHop(uri: SipUri): NextHop | undefined {
    if (uri.port !== undefined || !this.#ownDomains.has(uri.host)) return undefined;
    const wanted = uri.param('transport')?.toLowerCase();
    const listener = this.listeners.find(({ protocol }) =>
      wanted ? protocol === wanted : protocol === 'udp' || protocol === 'tcp',
    );
    if (!listener) return undefined;
    const { protocol, address, port } = listener;
    return { protocol, address: loopbackOf[address] ?? address, port };
  }

  hopOfFlow(flow: string): NextHop | undefined {
    return this.#transports.hopOfFlow(flow);
  }

  closeFlow(flow: string): void {
    this.#transports.closeFlow(flow);
  }

  localEnd(hop: NextHop): LocalEnd {
    const end = this.#transports.localEnd(hop);
    if (!end) throw new ParleyError('sip-no-transport', hop.address);
    return end;
  }

  trouble(): string | undefined {
    return this.#transports.trouble;
  }
}

/** Where a listener on all addresses is reached from here. */
const loopbackOf: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
