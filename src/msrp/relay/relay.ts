import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import { firstOf, type Connection, type RequestSink } from '../connection/connection.js';
import type { MessageHead } from '../message/index.js';
import type { MsrpEndpoint, Passage, SessionPlace } from '../session/index.js';
import { RefusingSink } from '../session/refusing.js';
import { sessionIdOf } from '../session/report.js';
import { parseMsrpUri, type MsrpUri } from '../uri.js';
import {
  addressOf,
  challenge,
  expiresFor,
  grant,
  type AuthAnswer,
  type AuthVerdict,
  type RelayAuthority,
} from './auth.js';
import { ForwardedChunk, type Onward, type RelayFigures } from './forwarded-chunk.js';
import { ForwardedRequest, type AnswerObserver } from './forwarded-request.js';
import type { Hop } from './hop.js';
import { Lease, type LeaseHost } from './lease.js';
import { defaultRelayLimits, type RelayLimits } from './limits.js';

export interface RelayOptions {
  readonly clock: Clock;
  readonly trail: Trail;
  readonly endpoint: MsrpEndpoint;
  readonly authority: RelayAuthority;
  /** Which listener the URIs name that are given out. */
  readonly place: SessionPlace;
  /** Host in those URIs, a name by RFC 4976 §4.2; that of the listener unless given. */
  readonly host?: string | undefined;
  /** Further hosts under which AUTH finds the relay, in lower case: the domain that SRV records lead from. */
  readonly names?: readonly string[] | undefined;
  /**
   * Relays, by the host in their URIs, for whose clients AUTH is taken without a challenge, when the certificate of their connection
   * bears that name (RFC 4976 §6.3).
   */
  readonly peers?: readonly string[] | undefined;
  /** Whether AUTH is taken over connections without TLS: for labs (RFC 4976 §9.2 forbids it). */
  readonly plain?: boolean | undefined;
  readonly limits?: Partial<RelayLimits> | undefined;
}

/**
 * A relay towards clients that nobody can connect to (RFC 4976). A client that has shown who it is gets a URI, and what
 * comes with that URI foremost in To-Path goes on to the next, chunk by chunk and never gathered. It passes on for nobody else.
 */
export class MsrpRelay implements Passage {
  readonly #options: RelayOptions;
  readonly #limits: RelayLimits;
  readonly #host: LeaseHost;
  readonly #names: ReadonlySet<string>;
  readonly #peers: ReadonlySet<string>;
  /** By the session-id of their URI, which nobody can guess. */
  readonly #leases = new Map<string, Lease>();
  readonly #leasesOf = new Map<string, number>();
  readonly #failures = new WeakMap<Connection, number>();
  readonly #figures: RelayFigures = { requests: 0, octets: 0, refused: 0, failures: 0 };

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#limits = { ...defaultRelayLimits, ...options.limits };
    const { clock, endpoint } = options;
    const hosts = endpoint.listeners.map(({ host }) => host.toLowerCase());
    this.#names = new Set([
      ...hosts,
      ...(options.names ?? []),
      ...(options.host === undefined ? [] : [options.host.toLowerCase()]),
    ]);
    this.#peers = new Set(options.peers?.map((peer) => peer.toLowerCase()));
    this.#host = {
      clock,
      limits: this.#limits,
      connect: (next) => this.#connect(next),
      ended: (lease, why) => this.#ended(lease, why),
      unreachable: ({ user }, next, error) =>
        this.#note('msrp.relay-hop-lost', 'noted', '§6.5', user, `${withoutSession(next)}: ${error.message}`),
    };
  }

  /** What there is, and what there was since the start. */
  get figures(): RelayFigures & { readonly uris: number } {
    return { ...this.#figures, uris: this.#leases.size };
  }

  request(connection: Connection, head: MessageHead, hasBody: boolean): RequestSink | undefined {
    const { toPath, method } = head;
    if (method === 'AUTH' && !toPath.includes(' ')) return this.#auth(connection, head);
    const lease = this.#leaseOf(toPath);
    if (!lease) return undefined;
    if (head.fault !== undefined) return this.#refuse(connection, head, 400);
    try {
      const onward = this.#onward(lease, connection, head);
      if (typeof onward === 'number') return this.#refuse(connection, head, onward);
      if (method === 'SEND') return this.#send(connection, head, hasBody, onward);
      const figures = this.#figures;
      const observe = method === 'AUTH' ? this.#watchingAuth(connection, head) : undefined;
      return new ForwardedRequest(connection, head, { hasBody, onward, figures, observe });
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      return this.#refuse(connection, head, 400);
    }
  }

  /** Takes all URIs back. */
  close(): void {
    for (const lease of [...this.#leases.values()]) lease.end('closed');
  }

  #leaseOf(path: string): Lease | undefined {
    const id = sessionIdOf(path);
    return id === undefined ? undefined : this.#leases.get(id);
  }

  /** The way on, or the status that refuses it. @throws ParleyError `msrp-uri-malformed`. */
  #onward(lease: Lease, connection: Connection, head: MessageHead): Onward | number {
    const rest = afterFirst(head.toPath);
    if (rest === '') return 481;
    const onward = (hop: Hop, toPath: string, via: string): Onward => ({
      hop,
      toPath,
      fromPath: `${via} ${head.fromPath}`,
      via,
    });
    if (!lease.isClient(connection)) {
      lease.peerIs(firstOf(head.fromPath), connection);
      return onward(lease.inward, rest, lease.uri.text);
    }
    // the peer is a client of this relay too
    const other = this.#leaseOf(rest);
    if (other) {
      const toPath = afterFirst(rest);
      return toPath === '' ? 481 : onward(other.inward, toPath, `${other.uri.text} ${lease.uri.text}`);
    }
    const hop = lease.outward(firstOf(rest));
    return hop ? onward(hop, rest, lease.uri.text) : 403;
  }

  #send(connection: Connection, head: MessageHead, hasBody: boolean, onward: Onward): RequestSink {
    // without a body there are no octets that a range could be about
    const range = hasBody ? head.range() : undefined;
    if (head.messageId === undefined || (hasBody && head.contentType === undefined))
      return this.#refuse(connection, head, 400);
    return new ForwardedChunk(connection, head, { range, hasBody, onward, figures: this.#figures });
  }

  #refuse(connection: Connection, head: MessageHead, status: number): RequestSink {
    this.#figures.refused++;
    return new RefusingSink(connection, head, status);
  }

  async #connect({ host, port, secure, transport }: MsrpUri): Promise<Connection> {
    return this.#options.endpoint.pool.to({
      host,
      port: port!,
      secure,
      transport: transport === 'ws' ? 'ws' : 'tcp',
    });
  }

  #auth(connection: Connection, head: MessageHead): RequestSink {
    return {
      body: () => {},
      end: () => {
        // one at a time: what a client sends meanwhile waits in its socket
        connection.hold();
        this.#judge(connection, head)
          .then(
            ({ status, fields }) => connection.respond(head, status, fields),
            (error: unknown) => {
              connection.respond(head, error instanceof ParleyError ? 400 : 500);
            },
          )
          .finally(() => connection.release());
      },
      lost: () => {},
    };
  }

  async #judge(connection: Connection, head: MessageHead): Promise<AuthAnswer> {
    const { authority, plain = false } = this.#options;
    const refuse = (status: number, why: string, user?: string): AuthAnswer => {
      this.#figures.refused++;
      this.#note('msrp.relay-refused', 'refused', '§6.3', user, `${status} ${why}`);
      this.#failed(connection);
      return { status, fields: '' };
    };
    if (head.fault !== undefined) return refuse(400, head.fault);
    if (!this.#names.has(parseMsrpUri(head.toPath).host)) return refuse(481, 'another host');
    if (!connection.wire.secure && !plain) return refuse(403, 'no TLS');
    const peer = this.#peerOf(connection, head);
    if (peer)
      return this.#grant(
        connection,
        head,
        { kind: 'accepted', user: peer.host, info: undefined },
        refuse,
        peer,
      );
    const verdict = await authority.judge({
      authorization: head.other('Authorization'),
      uri: head.toPath,
      source: addressOf(connection),
    });
    if (verdict.kind === 'refused') return refuse(verdict.status, verdict.why);
    if (verdict.kind === 'challenge') {
      if (verdict.wrong) refuse(401, 'wrong credentials');
      return challenge(verdict.challenges);
    }
    return this.#grant(connection, head, verdict, refuse);
  }

  #grant(
    connection: Connection,
    head: MessageHead,
    { user, info }: AuthVerdict & { kind: 'accepted' },
    refuse: (status: number, why: string, user: string) => AuthAnswer,
    peer?: MsrpUri,
  ): AuthAnswer {
    const { uris, urisPerUser } = this.#limits;
    const expires = expiresFor(head, this.#limits);
    if (typeof expires !== 'number') return { ...refuse(expires.status, 'Expires', user), ...expires };
    const count = this.#leasesOf.get(user) ?? 0;
    if ((!peer && count >= urisPerUser) || this.#leases.size >= uris)
      return refuse(403, 'too many URIs', user);
    // the client went while it was looked up
    if (!connection.isOpen) return refuse(481, 'the connection ended', user);
    const { endpoint, place, host } = this.#options;
    const uri = endpoint.newUri(place, host);
    this.#leasesOf.set(user, count + 1);
    this.#leases.set(uri.sessionId!, new Lease(this.#host, { uri, user, connection, expires, relay: peer }));
    this.#failures.delete(connection);
    this.#note('msrp.relay-authorized', 'accepted', '§6.3', user, `${expires} s`);
    return grant(head, uri, expires, info);
  }

  /** The relay that a request came through, when it is one that we know by its certificate. */
  #peerOf({ wire }: Connection, { fromPath }: MessageHead): MsrpUri | undefined {
    if (this.#peers.size === 0 || !fromPath.includes(' ')) return undefined;
    const previous = parseMsrpUri(firstOf(fromPath));
    // over TLS and a port it is found again, when the connection has gone
    if (!previous.secure || previous.port === undefined) return undefined;
    return this.#peers.has(previous.host) && wire.provesName(previous.host) ? previous : undefined;
  }

  #ended({ uri, user }: Lease, why: 'expired' | 'lost' | 'closed'): void {
    this.#leases.delete(uri.sessionId!);
    const left = (this.#leasesOf.get(user) ?? 1) - 1;
    if (left > 0) this.#leasesOf.set(user, left);
    else this.#leasesOf.delete(user);
    this.#note('msrp.relay-uri-ended', 'noted', '§6.3', user, why);
  }

  /** A client whose AUTH for a relay beyond is refused again and again is not to guess through us (RFC 4976 §6.3). */
  #watchingAuth(connection: Connection, { others }: MessageHead): AnswerObserver {
    const answers = others.some((line) => /^Authorization:/i.test(line));
    return (status, answer) => {
      const stale = /stale\s*=\s*"?true/i.test(answer?.other('WWW-Authenticate') ?? '');
      if (answers && status === 401 && !stale) this.#failed(connection);
    };
  }

  #failed(connection: Connection): void {
    const failures = (this.#failures.get(connection) ?? 0) + 1;
    this.#failures.set(connection, failures);
    if (failures < this.#limits.failures) return;
    // after the answer that is under way
    setImmediate(() => connection.end());
  }

  #note(
    code: string,
    outcome: 'accepted' | 'refused' | 'noted',
    section: string,
    subject: string | undefined,
    detail: string,
  ): void {
    this.#options.trail.record({ code, outcome, clause: `RFC 4976 ${section}`, subject, detail });
  }
}

function afterFirst(path: string): string {
  const space = path.indexOf(' ');
  return space < 0 ? '' : path.slice(space).trimStart();
}

/** The session-id is a secret between two ends. */
function withoutSession(uri: string): string {
  return uri.replace(/(:\/\/[^/]*)\/[^;]*/, '$1');
}
