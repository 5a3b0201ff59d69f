import type { Clock, Timer } from '../../base/clock.js';
import type { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import { type Connection, type ConnectionUser, type RequestSink } from '../connection/connection.js';
import { Lane, type Source } from '../connection/lane.js';
import { msrpError } from '../errors.js';
import { newMessageId, type MessageHead } from '../message/index.js';
import type { MsrpMedia } from '../sdp/index.js';
import { parseMsrpPath, sameMsrpUri, type MsrpUri } from '../uri.js';
import { Inbox, type HeldOctets } from './inbox.js';
import type { MsrpLimits } from './limits.js';
import { Outbox } from './outbox.js';
import type { Outgoing, SentMessage } from './outgoing-message.js';
import type { MessageReceiver } from './receiver.js';
import { RefusingSink } from './refusing.js';
import { readReport, reportFields } from './report.js';

/** What a session tells its owner. */
export interface SessionEvents {
  /** The peer is connected; also after each time the connection was lost. */
  bound?(): void;
  /**
   * No connection, or none again, within `bindMs`: the session has been closed and its dialog should end. Within that
   * time after a loss the owner may exchange SDP anew (RFC 4975 §5.4); a peer that simply connects again is taken too.
   */
  lost?(error: ParleyError): void;
}

/** Counted since the session was made. */
export interface SessionFigures {
  messagesIn: number;
  messagesOut: number;
  octetsIn: number;
  octetsOut: number;
  /** Requests. */
  refused: number;
}

export interface SessionOptions {
  /** Takes its messages; without it they are refused with 403. */
  readonly receiver?: MessageReceiver | undefined;
  readonly events?: SessionEvents | undefined;
  /** Whom it concerns, for the decision trail: an address of record or a group. */
  readonly subject?: string | undefined;
  /** Answers other methods, NICKNAME for one, with the status it gives; 501 without it. */
  readonly otherRequest?: ((head: MessageHead) => number | Promise<number>) | undefined;
}

/** What the endpoint lends its sessions. */
export interface SessionHost {
  readonly clock: Clock;
  readonly trail: Trail;
  readonly limits: MsrpLimits;
  readonly held: HeldOctets;
  /** Whether From-Path must be the peer's `a=path`, or only end in its session-id (`session-id`). */
  readonly matching: 'path' | 'session-id';
  connect(peer: MsrpMedia): Promise<Connection>;
  closed(session: MsrpSession): void;
}

/** Takes over the requests of a session, in place of its inbox and outbox. */
export interface SessionTraffic {
  chunk(connection: Connection, head: MessageHead): RequestSink;
  /** The sender gave up a message in a request without content. */
  abort(messageId: string): void;
  report(head: MessageHead, connection: Connection): void;
  bound(): void;
  unbound(): void;
  close(): void;
}

/** Our end of one MSRP session (RFC 4975): made for an SDP exchange, bound to a connection when the peer is there. */
export class MsrpSession implements ConnectionUser {
  #uri: MsrpUri;
  readonly figures: SessionFigures = { messagesIn: 0, messagesOut: 0, octetsIn: 0, octetsOut: 0, refused: 0 };
  readonly #host: SessionHost;
  readonly #options: SessionOptions;
  readonly #outbox: Outbox;
  #traffic: SessionTraffic;
  #lane: Lane;
  #peerPath: string | undefined;
  #connection: Connection | undefined;
  #timer: Timer | undefined;
  #dialing = 0;
  #closed = false;

  constructor(host: SessionHost, uri: MsrpUri, options: SessionOptions) {
    this.#host = host;
    this.#uri = uri;
    this.#options = options;
    this.#lane = new Lane(host.limits.laneOctets);
    this.#outbox = new Outbox(host.clock, host.limits);
    this.#traffic = this.#ownTraffic(options.receiver);
  }

  /** What goes into our `a=path`. */
  get uri(): MsrpUri {
    return this.#uri;
  }

  get isBound(): boolean {
    return this.#connection !== undefined;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The peer's `a=path`, or while no description of it came, what it calls itself. */
  get peerPath(): string | undefined {
    return this.#peerPath;
  }

  get limits(): MsrpLimits {
    return this.#host.limits;
  }

  /** What the whole endpoint holds. */
  get held(): HeldOctets {
    return this.#host.held;
  }

  get clock(): Clock {
    return this.#host.clock;
  }

  /** The queue to the peer. It is another one after the connection was lost. */
  get lane(): Lane {
    return this.#lane;
  }

  /** The peer that answers was told this URI of ours, at another listener, with the same session-id. Said before {@link connect}. */
  knownAs(uri: MsrpUri): void {
    this.#uri = uri;
  }

  /**
   * Takes the peer's description: a first one, or that of a later SDP exchange. An unchanged path keeps the connection.
   * @param active whether we open the connection (RFC 6135 §4.2).
   */
  connect(peer: MsrpMedia, active: boolean): void {
    if (this.#closed) return;
    const path = peer.path.map(({ text }) => text).join(' ');
    const same = this.#peerPath !== undefined && this.#matches(path, this.#peerPath);
    const another = !same && this.#peerPath !== undefined;
    this.#peerPath = path;
    if (another) this.#unbind(false);
    if (this.#connection) return;
    this.#await();
    if (active) this.#dial(peer);
  }

  /**
   * Sends a message. Until the session is bound it waits, and it goes on where it stopped after a lost connection.
   * @throws ParleyError `msrp-limit` with too many messages waiting, `msrp-session-closed`.
   */
  send(message: Outgoing): SentMessage {
    if (this.#closed) throw msrpError('msrp-session-closed');
    const sent = this.#outbox.send(message);
    void sent.sent.then((status) => {
      if (status === 200) this.figures.messagesOut++;
    });
    return sent;
  }

  /**
   * Sends a REPORT, if the peer is connected (RFC 4975 §7.1.2).
   * @param fields whole lines, each with CRLF. @param source stopped while too many wait.
   */
  report(fields: string, source?: Source): void {
    if (this.#peerPath === undefined || !this.#connection) return;
    this.#connection.request('REPORT', this.#peerPath, this.uri.text, fields);
    if (source) this.#connection.holdWhileCrowded(source);
  }

  /**
   * Sends a request of another method without content, as NICKNAME (RFC 7701 §7), once the peer is connected.
   * @param fields whole lines, each with CRLF.
   * @returns the status of its answer, 408 without one, 481 when the peer is not connected
   */
  ask(method: string, fields: string): Promise<number> {
    const [connection, to] = [this.#connection, this.#peerPath];
    if (!connection || to === undefined) return Promise.resolve(481);
    return new Promise((resolve) =>
      connection.request(method, to, this.uri.text, fields, { answered: resolve }),
    );
  }

  /** Hands all traffic to somebody else from now on; what was under way in our own hands ends. */
  handOver(traffic: SessionTraffic): void {
    this.#traffic.close();
    this.#traffic = traffic;
    if (this.#connection) traffic.bound();
  }

  /** Ends it: what is queued is lost and told so, what came half is abandoned. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#lane.close();
    this.#connection?.removeUser(this);
    this.#connection = undefined;
    this.#traffic.close();
    this.#outbox.close();
    this.#host.closed(this);
  }

  /** For the endpoint: a request whose To-Path names this session. */
  request(connection: Connection, head: MessageHead, hasBody: boolean): RequestSink {
    const status = this.#judge(connection, head);
    if (status !== 200) {
      this.figures.refused++;
      this.#note(
        'msrp.request-refused',
        'refused',
        `${head.method} ${status} from ${connection.wire.remote}`,
      );
      return new RefusingSink(connection, head, status);
    }
    if (!this.#connection) this.#bind(connection, head.fromPath);
    if (head.method === 'SEND' && hasBody) return this.#traffic.chunk(connection, head);
    if (head.method === 'SEND' || head.method === 'REPORT') return this.#bodiless(connection, head);
    return this.#other(connection, head);
  }

  connectionLost(error: ParleyError): void {
    this.#note('msrp.connection-lost', 'noted', error.message);
    this.#unbind(true);
    this.#await();
  }

  #ownTraffic(receiver: MessageReceiver | undefined): SessionTraffic {
    const { clock, limits, held } = this.#host;
    const inbox = new Inbox({
      clock,
      limits,
      held,
      receiver: receiver ?? { holds: false, limit: limits.messageOctets, begin: () => 403 },
      report: (messageId, status, last, total) =>
        this.report(reportFields(messageId, status, 1, last, total)),
      arrived: (status) => {
        if (status === 200) this.figures.messagesIn++;
        else this.figures.refused++;
      },
    });
    const outbox = this.#outbox;
    return {
      chunk: (connection, head) => inbox.chunk(connection, head),
      abort: (messageId) => inbox.abort(messageId),
      report: (head) => {
        const report = readReport(head);
        if (report) outbox.report(report);
      },
      bound: () => outbox.bound(this.#lane, this.#peerPath!, this.uri.text),
      unbound: () => outbox.unbound(),
      close: () => {
        inbox.close();
        outbox.close();
      },
    };
  }

  #dial(peer: MsrpMedia): void {
    const attempt = ++this.#dialing;
    this.#host.connect(peer).then(
      (connection) => {
        if (this.#closed || this.#connection || attempt !== this.#dialing) return;
        this.#bind(connection, this.#peerPath!);
        // by an immediate request the peer knows which session this is (RFC 4975 §5.4)
        const fields = `Message-ID: ${newMessageId()}\r\n`;
        connection.request('SEND', this.#peerPath!, this.uri.text, fields, {
          answered: (status) => {
            if (status === 481 || status === 506) this.#end(msrpError('msrp-connect-failed', String(status)));
          },
        });
      },
      (error: ParleyError) => {
        if (attempt === this.#dialing && !this.#connection) this.#end(error);
      },
    );
  }

  #bind(connection: Connection, fromPath: string): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#connection = connection;
    this.#peerPath ??= fromPath;
    connection.addUser(this);
    connection.carry(this.#lane);
    this.#note('msrp.session-bound', 'accepted', connection.wire.remote);
    this.#traffic.bound();
    this.#options.events?.bound?.();
  }

  #unbind(lost: boolean): void {
    if (!lost) this.#connection?.removeUser(this);
    this.#connection = undefined;
    const lane = this.#lane;
    this.#lane = new Lane(this.#host.limits.laneOctets);
    this.#traffic.unbound();
    lane.close('+');
  }

  /** The peer has so long to connect. */
  #await(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = this.#host.clock.after(this.#host.limits.bindMs, () =>
      this.#end(msrpError('msrp-timeout', 'the peer did not connect')),
    );
  }

  #end(error: ParleyError): void {
    if (this.#closed) return;
    this.#note('msrp.session-lost', 'refused', error.message);
    this.close();
    this.#options.events?.lost?.(error);
  }

  #judge(connection: Connection, head: MessageHead): number {
    if (head.fault !== undefined) return 400;
    if (this.#peerPath !== undefined && !this.#matches(head.fromPath, this.#peerPath)) return 481;
    if (this.#connection && this.#connection !== connection) return 506;
    return 200;
  }

  #matches(fromPath: string, peerPath: string): boolean {
    if (fromPath === peerPath) return true;
    try {
      const [from, peer] = [parseMsrpPath(fromPath), parseMsrpPath(peerPath)];
      if (this.#host.matching === 'session-id') return from.at(-1)!.sessionId === peer.at(-1)!.sessionId;
      return from.length === peer.length && from.every((uri, i) => sameMsrpUri(uri, peer[i]!));
    } catch {
      return false;
    }
  }

  #bodiless(connection: Connection, head: MessageHead): RequestSink {
    if (head.method === 'REPORT') {
      this.#traffic.report(head, connection);
      return ignoring;
    }
    return {
      body: () => {},
      end: (flag) => {
        if (flag === '#' && head.messageId !== undefined) this.#traffic.abort(head.messageId);
        if (head.failureReport === 'yes') connection.respond(head, 200);
      },
      lost: () => {},
    };
  }

  #other(connection: Connection, head: MessageHead): RequestSink {
    const { otherRequest } = this.#options;
    if (!otherRequest) return new RefusingSink(connection, head, 501);
    return {
      body: () => {},
      end: () => {
        Promise.resolve(head)
          .then(otherRequest)
          .then(
            (status) => connection.respond(head, status),
            () => connection.respond(head, 403),
          );
      },
      lost: () => {},
    };
  }

  #note(code: string, outcome: 'accepted' | 'refused' | 'noted', detail: string): void {
    const { subject } = this.#options;
    this.#host.trail.record({ code, outcome, clause: 'RFC 4975 §5.4', subject, detail });
  }
}

const ignoring: RequestSink = { body: () => {}, end: () => {}, lost: () => {} };
