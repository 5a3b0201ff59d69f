import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { LocalEnd, Wire } from '../embedded/wire.js';
import type { SipUri } from '../message/uri.js';
import type { Listener, Protocol } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import type { AdminLink } from './admin-link.js';
import { localEndOf, readFlow } from './flows.js';
import type { DrachtioSettings } from './settings.js';
import { Supervisor } from './supervisor.js';
import { DrachtioTransactions } from './transactions.js';

export interface DrachtioWireOptions {
  readonly settings: DrachtioSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
}

/** Transports, resolution and transactions by drachtio-servers: everything above is the same code as on our own sockets. */
export class DrachtioWire implements Wire {
  readonly transactions: DrachtioTransactions;
  onFlowClosed: (flow: string) => void = () => {};
  onListeners: () => void = () => {};
  readonly #supervisor: Supervisor;
  #known: readonly Listener[] = [];
  #started: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(options: DrachtioWireOptions) {
    this.#supervisor = new Supervisor(options, {
      onEvent: (link, event) => this.transactions.receive(link, event),
      onUp: (link) => this.#up(link),
      onDown: (link) => this.transactions.lost(link),
    });
    this.transactions = new DrachtioTransactions({
      ...options,
      link: () => this.#supervisor.links[0],
      linkOfFlow: (flow) => this.#linkOfFlow(flow),
      flowFailed: (flow) => this.onFlowClosed(flow),
    });
  }

  get listeners(): readonly Listener[] {
    return this.#known;
  }

  /** Resolves when a server has taken the secret; until then it is tried again and again. */
  async start(): Promise<void> {
    await this.#supervisor.start();
    if (this.#supervisor.links.length > 0) return;
    await new Promise<void>((resolve, reject) => (this.#started = { resolve, reject }));
  }

  refrain(): Promise<void> {
    return this.#supervisor.refrain();
  }

  close(): Promise<void> {
    this.#supervisor.close();
    this.#started?.reject(new ParleyError('sip-stack-closed'));
    return Promise.resolve();
  }

  /** The server resolves: a hop is a name here (RFC 3263 is its affair). */
  resolve(uri: SipUri): readonly NextHop[] {
    if (!uri.isSip || this.#supervisor.links.length === 0) return [];
    const asked = uri.param('transport')?.toLowerCase();
    const protocol: Protocol = isProtocol(asked) ? asked : uri.scheme === 'sips' ? 'tls' : 'udp';
    return [{ protocol, address: uri.host.replace(/^\[|\]$/g, ''), port: uri.port ?? 0 }];
  }

  hopOfFlow(flow: string): NextHop | undefined {
    return this.#linkOfFlow(flow) ? readFlow(flow) : undefined;
  }

  /** @throws ParleyError `sip-drachtio-lost` */
  localEnd(hop: NextHop): LocalEnd {
    const link =
      (hop.flow === undefined ? undefined : this.#linkOfFlow(hop.flow)) ?? this.#supervisor.links[0];
    const end = link && localEndOf(link, hop);
    if (!end) throw new ParleyError('sip-drachtio-lost');
    return end;
  }

  trouble(): string | undefined {
    return this.#supervisor.trouble;
  }

  /** The port that servers connect to, where the settings ask for one. */
  get listeningPort(): number | undefined {
    return this.#supervisor.listeningPort;
  }

  #linkOfFlow(flow: string): AdminLink | undefined {
    const server = readFlow(flow)?.server;
    return server === undefined ? undefined : this.#supervisor.links.find((link) => link.name === server);
  }

  #up(link: AdminLink): void {
    if (link.called) this.transactions.called(link);
    const fresh = link.listeners.filter(
      (one) =>
        !this.#known.some(
          (known) =>
            known.protocol === one.protocol && known.address === one.address && known.port === one.port,
        ),
    );
    this.#known = [...this.#known, ...fresh];
    this.onListeners();
    this.#started?.resolve();
  }
}

const isProtocol = (text: string | undefined): text is Protocol =>
  text !== undefined && ['udp', 'tcp', 'tls', 'ws', 'wss'].includes(text);
