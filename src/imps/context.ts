import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Store } from '../store/store.js';
import type { Guesses } from './access/guesses.js';
import type { SessionKeeper } from './access/session-keeper.js';
import type { CspVersion } from './vocabulary/versions.js';
import type { ImpsConfig } from './config.js';
import type { Mailbox } from './delivery/mailbox.js';
import type { Outbox } from './delivery/outbox.js';
import type { ImpsPorts } from './ports.js';
import type { Sequence } from './state/ids.js';
import type { SessionRecord } from './state/records.js';
import type { Element } from './codec/element.js';

/** What every handler gets: built once by `createImpsServer`, passed on explicitly. */
export interface ImpsContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly config: ImpsConfig;
  readonly ids: Sequence;
  readonly ports: ImpsPorts;
  readonly sessions: SessionKeeper;
  readonly guesses: Guesses;
  readonly outbox: Outbox;
  readonly mailbox: Mailbox;
  /** Addresses that clients are told for CIR, known once the listeners are open. */
  readonly endpoints: Endpoints;
  /** True while the server drains: no new sessions. */
  readonly draining: () => boolean;
}

export interface Endpoints {
  /** URL of the HTTP listener without path: `http://host:port`. */
  http: string;
  /** The same for CIR polls, which are never HTTPS; undefined when nothing takes them. */
  cirHttp: string | undefined;
  cirHost: string;
  cirPort: number;
  /** CIR methods that have a listener or a pager. */
  cirMethods: readonly string[];
  /** False when the session's client should open its CIR channel anew; undefined when there is nothing to say. */
  cirWorks: (session: SessionRecord) => false | undefined;
  /** Hears that the client of a session has come, before it is told what waits. */
  clientCame: (session: SessionRecord) => Promise<void> | undefined;
}

/** Where a message came from, as far as the transport knows. */
export interface Origin {
  readonly remoteAddress: string;
  /** Telephone number that a trusted network element asserted. */
  readonly msisdn: string | undefined;
  /** IMEI or IMEISV that a trusted network element asserted, as it wrote it. */
  readonly imei?: string | undefined;
  /** Telephone number that an SMS came from: where answers go, but no proof of who sent it. */
  readonly number?: string | undefined;
}

/** A request within a session. */
export interface SessionRequest {
  readonly session: SessionRecord;
  readonly version: CspVersion;
  readonly transactionId: string;
  readonly primitive: Element;
  readonly origin: Origin;
  /** Identifiers of the work are made from it, so that a repeat after a crash makes the same ones. */
  readonly seed: string;
}

/** Answers a request of a session with the response primitive. @throws CspRefusal to answer with a Status */
export type Handler = (context: ImpsContext, request: SessionRequest) => Promise<Element>;
