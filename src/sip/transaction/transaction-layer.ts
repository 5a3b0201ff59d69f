import type { Clock } from '../../base/clock.js';
import { endpoint } from '../../base/endpoint.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { SipMessage, SipRequest } from '../message/message.js';
import type { Parsed } from '../message/parse.js';
import type { Source } from '../stack.js';
import type { Way, Wire } from '../transport/way.js';
import { ClientTransactions } from './client-transactions.js';
import type { Environment } from './environment.js';
import {
  defaultTimers,
  type ClientTransaction,
  type ClientUser,
  type NextHop,
  type ServerTransaction,
  type TransactionLayer,
  type TransactionTimers,
} from './layer.js';
import { defaultTransactionLimits, type TransactionLimits } from './limits.js';
import { Overload, type OverloadLimits } from './overload.js';
import { ServerTransactions } from './server-transactions.js';
import { StatelessServer } from './stateless.js';

export interface TransactionLayerOptions {
  readonly transports: Wire;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  readonly timers?: TransactionTimers;
  readonly limits?: Partial<TransactionLimits>;
  readonly overload?: Partial<OverloadLimits>;
}

const SEND_FAILED = { code: 'sip.send-failed', outcome: 'refused', clause: 'RFC 3261 §18.4' } as const;
const SENT_OVER_UDP = { code: 'sip.sent-over-udp', outcome: 'noted', clause: 'RFC 3261 §18.1.1' } as const;

/** Makes the layer and takes over what `transports` receive. */
export function createTransactionLayer(options: TransactionLayerOptions): Transactions {
  return new Transactions(options);
}

/** RFC 3261 §17: every transaction of one stack. */
export class Transactions implements TransactionLayer {
  onRequest: (transaction: ServerTransaction) => void = () => {};
  onAck: (ack: SipRequest, source: Source) => void = () => {};
  readonly #log: Logger;
  readonly #trail: Trail;
  readonly #servers: ServerTransactions;
  readonly #clients: ClientTransactions;
  readonly #stateless: StatelessServer;
  readonly #overload: Overload;

  constructor(options: TransactionLayerOptions) {
    const { clock, transports, trail } = options;
    this.#log = options.log;
    this.#trail = trail;
    const environment: Environment = {
      clock,
      transports,
      timers: options.timers ?? defaultTimers,
      sent: (error) => {
        if (error) this.#note('sip.send-failed', 'RFC 3261 §18.4', undefined, error.message);
      },
      notSent: (error, request, hop, overUdp) => {
        trail.record({
          ...(overUdp ? SENT_OVER_UDP : SEND_FAILED),
          trace: request.get('Call-ID'),
          detail: `${request.method} to ${hop.protocol}:${endpoint(hop.address, hop.port)}: ${error.message}`,
        });
      },
      note: (...event) => this.#note(...event),
    };
    this.#overload = new Overload(options.overload ?? {}, trail);
    this.#stateless = new StatelessServer(this.#overload, environment.sent);
    const limits = { ...defaultTransactionLimits, ...options.limits };
    this.#clients = new ClientTransactions(environment);
    this.#servers = new ServerTransactions(environment, limits, this.#stateless, {
      onRequest: (transaction) => this.onRequest(transaction),
      onAck: (ack, source) => this.onAck(ack, source),
      isOwn: (request) => this.#clients.sends(request),
    });
    transports.onDelay = (delay) => this.#overload.reading(delay);
    transports.onMessage = (parsed, way) => this.#receive(parsed, way);
  }

  /** Requests refused because of overload since start, and the last reading of the queueing delay in milliseconds. */
  get load(): { readonly refused: number; readonly delay: number } {
    return { refused: this.#overload.refused, delay: this.#overload.delay };
  }

  get running(): number {
    return this.#servers.running + this.#clients.running;
  }

  send(request: SipRequest, hop: NextHop, user: ClientUser, branch?: string): ClientTransaction {
    return this.#clients.send(request, hop, user, branch);
  }

  sendStateless(request: SipRequest, hop: NextHop): void {
    this.#clients.sendStateless(request, hop);
  }

  #receive(parsed: Parsed, way: Way): void {
    try {
      if (parsed.kind === 'request') this.#servers.receive(parsed.message, way);
      else if (parsed.kind === 'malformed') this.#refuse(parsed, way);
      else if (!this.#clients.receive(parsed.message, way))
        this.#note('sip.response-unmatched', 'RFC 3261 §18.1.2', parsed.message);
    } catch (error) {
      // one message must not stop the others
      const message = parsed.kind === 'malformed' ? parsed.request : parsed.message;
      this.#note('sip.internal-error', 'RFC 3261 §21.5.1', message, undefined, error);
    }
  }

  #refuse({ why, status, request }: Extract<Parsed, { kind: 'malformed' }>, way: Way): void {
    this.#note('sip.malformed', 'RFC 3261 §16.3', request, why);
    if (request && request.method !== 'ACK') this.#stateless.answer(request, way, status, why);
  }

  #note(code: string, clause: string, message?: SipMessage, detail?: string, error?: unknown): void {
    if (error !== undefined) this.#log.error({ err: error, detail }, 'a SIP message was not handled');
    this.#trail.record({ code, outcome: 'refused', clause, trace: message?.get('Call-ID'), detail });
  }
}
