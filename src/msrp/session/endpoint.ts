import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { endpoint } from '../../base/endpoint.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { Connection, RequestSink } from '../connection/connection.js';
import type { DialOptions } from '../connection/dial.js';
import { defaultConnectionLimits } from '../connection/limits.js';
import { listen, type ListenAddress, type Listener } from '../connection/listener.js';
import { ConnectionPool } from '../connection/pool.js';
import type { WireKind } from '../connection/wire.js';
import { msrpError } from '../errors.js';
import { defaultParserLimits, newSessionId, type MessageHead } from '../message/index.js';
import { connectAddress, type MsrpMedia } from '../sdp/index.js';
import { makeMsrpUri, type MsrpUri } from '../uri.js';
import { defaultMsrpLimits, type MsrpLimits } from './limits.js';
import { RefusingSink } from './refusing.js';
import { sessionIdOf } from './report.js';
import { MsrpSession, type SessionHost, type SessionOptions } from './session.js';

const WS_MESSAGE_OCTETS = 1 << 20;
const CONNECT_MS = 10_000;
/** What waits in the connections may leave them for so long when the endpoint closes. */
const CLOSING_MS = 500;

export interface EndpointOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  readonly limits?: Partial<MsrpLimits> | undefined;
  /** See {@link SessionHost.matching}; `path` (RFC 4975 §7.3) unless given. */
  readonly matching?: SessionHost['matching'] | undefined;
  /** Certificate and key in PEM, for TLS listeners and towards peers; authorities that peers' certificates are held against. */
  readonly tls?: DialOptions['tls'];
}

/** Which of the listeners a session's URI names. */
export type SessionPlace = Partial<WireKind>;

/** Requests that are for none of our sessions: those that a relay passes on (RFC 4976). */
export interface Passage {
  /** @returns undefined when it is not for the relay either. */
  request(connection: Connection, head: MessageHead, hasBody: boolean): RequestSink | undefined;
}

/**
 * The MSRP end of the process: its listeners, its connections, and the sessions that share them (RFC 4975). One for
 * all roles. A session is known by its session-id, 128 random bits, whatever boxes on the way made of host and port.
 */
export class MsrpEndpoint {
  readonly #options: EndpointOptions;
  readonly #host: SessionHost;
  readonly #sessions = new Map<string, MsrpSession>();
  readonly #pool: ConnectionPool;
  readonly #listeners: Listener[] = [];
  #passage: Passage | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    const limits = { ...defaultMsrpLimits, ...options.limits };
    const { clock, trail } = options;
    this.#pool = new ConnectionPool({
      clock,
      router: { request: (connection, head, hasBody) => this.#request(connection, head, hasBody) },
      limits: { ...defaultConnectionLimits, parser: defaultParserLimits },
      dial: { connectMs: CONNECT_MS, wsMessageOctets: WS_MESSAGE_OCTETS, tls: options.tls },
      maxConnections: limits.connections,
      maxSessionsPerConnection: limits.sessionsPerConnection,
      closed: (connection, error) => {
        if (!error || error.code === 'msrp-connection-lost') return;
        const detail = `${connection.wire.remote}: ${error.message}`;
        trail.record({ code: 'msrp.connection-ended', outcome: 'refused', clause: 'RFC 4975 §7.3', detail });
      },
    });
    this.#host = {
      clock,
      trail,
      limits,
      held: { octets: 0 },
      matching: options.matching ?? 'path',
      connect: (peer) => this.#connect(peer),
      closed: (session) => this.#sessions.delete(session.uri.sessionId!),
    };
  }

  /** The addresses that are listened on, with the ports that the system chose. */
  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** For metrics: what there is now. */
  get figures(): { sessions: number; connections: number; heldOctets: number } {
    return {
      sessions: this.#sessions.size,
      connections: this.#pool.size,
      heldOctets: this.#host.held.octets,
    };
  }

  get limits(): MsrpLimits {
    return this.#host.limits;
  }

  /** Value of `a=fingerprint` for our descriptions (RFC 8122 §5); undefined without a certificate. */
  get fingerprint(): string | undefined {
    const cert = this.#options.tls?.cert;
    return cert && `SHA-256 ${new X509Certificate(cert).fingerprint256}`;
  }

  /** Whether a path begins with one of our sessions. */
  isOurs([next]: readonly MsrpUri[]): boolean {
    return next?.sessionId !== undefined && this.#sessions.has(next.sessionId);
  }

  /** For a relay, which shares the connections. */
  get pool(): ConnectionPool {
    return this.#pool;
  }

  /** Where peers are sent: `tcp:127.0.0.1:2855`, with `tls`, `ws` and `wss` for the other kinds. */
  get addresses(): string[] {
    return this.#listeners.map(({ kind: { transport, secure }, host, port }) => {
      const protocol = transport === 'ws' ? (secure ? 'wss' : 'ws') : secure ? 'tls' : 'tcp';
      return `${protocol}:${endpoint(host, port)}`;
    });
  }

  /** @throws ParleyError `msrp-port-taken` or `msrp-listen-failed`. */
  async listen(address: ListenAddress): Promise<Listener> {
    const { log, tls } = this.#options;
    const listener = await listen(address, {
      tls,
      wsMessageOctets: WS_MESSAGE_OCTETS,
      accept: (wire) => void this.#pool.accept(wire),
      failed: (error) => log.info({ err: error }, 'an MSRP connection could not be taken'),
    });
    this.#listeners.push(listener);
    return listener;
  }

  /**
   * Makes a session with a URI of its own, for an SDP exchange: see `MsrpNegotiation`, or {@link MsrpSession.connect}.
   * @param place which kind of listener the peer is sent to; any when nothing is said, TCP before others.
   * @throws ParleyError `msrp-limit`, or `msrp-listen-failed` without such a listener.
   */
  createSession(options: SessionOptions = {}, place: SessionPlace = {}): MsrpSession {
    const { limits } = this.#host;
    if (this.#sessions.size >= limits.sessions) throw msrpError('msrp-limit', 'sessions');
    const uri = this.newUri(place);
    const session = new MsrpSession(this.#host, uri, options);
    this.#sessions.set(uri.sessionId!, session);
    return session;
  }

  /**
   * A URI with a session-id of its own that leads to one of the listeners. @param host in place of the listener's.
   * @throws ParleyError `msrp-listen-failed` without such a listener.
   */
  newUri(place: SessionPlace = {}, host?: string): MsrpUri {
    return this.uriAt(newSessionId(), place, host);
  }

  /** A URI that leads to a session over another listener than its own does. @throws ParleyError as {@link newUri}. */
  uriAt(sessionId: string, place: SessionPlace, host?: string): MsrpUri {
    const { kind, host: own, port } = this.#listenerFor(place);
    return makeMsrpUri({ ...kind, host: host ?? own, port, sessionId });
  }

  /** Lets a relay take what is for none of our sessions. */
  use(passage: Passage): void {
    this.#passage = passage;
  }

  /** Ends sessions, connections and listeners. */
  async close(): Promise<void> {
    // a listener closes when its last connection has gone
    const closed = Promise.all(this.#listeners.map((listener) => listener.close().catch(() => undefined)));
    for (const session of [...this.#sessions.values()]) session.close();
    await this.#pool.close();
    const timer = this.#options.clock.after(CLOSING_MS, () => this.#pool.destroy());
    await closed;
    this.#pool.destroy();
    timer.cancel();
  }

  #listenerFor({ transport, secure }: SessionPlace): Listener {
    const fits = this.#listeners.filter(
      ({ kind }) =>
        (transport === undefined || kind.transport === transport) &&
        (secure === undefined || kind.secure === secure),
    );
    const listener = fits.find(({ kind }) => kind.transport === 'tcp') ?? fits[0];
    if (!listener)
      throw msrpError('msrp-listen-failed', `no listener ${JSON.stringify({ transport, secure })}`);
    return listener;
  }

  #connect(peer: MsrpMedia): Promise<Connection> {
    const { secure, transport } = peer.path[0]!;
    const fingerprint = peer.fingerprint;
    return this.#pool.to({
      ...connectAddress(peer),
      secure,
      transport: transport === 'ws' ? 'ws' : 'tcp',
      fingerprint,
    });
  }

  #request(connection: Connection, head: MessageHead, hasBody: boolean): RequestSink {
    // a path of several URIs goes on beyond us
    const id = head.toPath.includes(' ') ? undefined : sessionIdOf(head.toPath);
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (session) return session.request(connection, head, hasBody);
    const passed = this.#passage?.request(connection, head, hasBody);
    if (passed) return passed;
    const detail = `${head.method} from ${connection.wire.remote}`;
    this.#host.trail.record({ code: 'msrp.no-session', outcome: 'refused', clause: 'RFC 4975 §5.4', detail });
    return new RefusingSink(connection, head, 481);
  }
}
