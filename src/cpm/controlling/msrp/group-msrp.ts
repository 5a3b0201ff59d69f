import type { Clock } from '../../../base/clock.js';
import type { Logger } from '../../../base/log.js';
import {
  defaultConnectionLimits,
  firstOf,
  type Connection,
  type RequestSink,
} from '../../../msrp/connection/connection.js';
import { listen, type Listener } from '../../../msrp/connection/listener.js';
import { ConnectionPool } from '../../../msrp/connection/pool.js';
import { defaultParserLimits, newSessionId, type MessageHead } from '../../../msrp/message/index.js';
import { connectAddress, type MsrpMedia } from '../../../msrp/sdp/index.js';
import { makeMsrpUri, parseMsrpUri } from '../../../msrp/uri.js';
import type { GroupMedia, MediaSession } from '../media.js';
import { GroupMsrpSession, refusing } from './session.js';

const WS_MESSAGE_OCTETS = 1 << 20;

/** The MSRP side of the controlling function: one listener, and a session for every leg of every group. */
export class GroupMsrp implements GroupMedia {
  readonly #sessions = new Map<string, GroupMsrpSession>();
  readonly #pool: ConnectionPool;
  readonly #log: Logger;
  #listener: Listener | undefined;

  constructor(clock: Clock, log: Logger) {
    this.#log = log;
    this.#pool = new ConnectionPool({
      clock,
      router: { request: (connection, head, hasBody) => this.#request(connection, head, hasBody) },
      limits: { ...defaultConnectionLimits, parser: defaultParserLimits },
      dial: { connectMs: 10_000, wsMessageOctets: WS_MESSAGE_OCTETS },
      maxConnections: 100_000,
      maxSessionsPerConnection: 100,
      closed: () => {},
    });
  }

  /** @throws ParleyError `msrp-listen-failed` */
  async start(host: string, port: number): Promise<void> {
    this.#listener = await listen(
      { transport: 'tcp', secure: false, host, port },
      {
        wsMessageOctets: WS_MESSAGE_OCTETS,
        accept: (wire) => void this.#pool.accept(wire),
        failed: (error) => this.#log.info({ err: error }, 'an MSRP connection could not be taken'),
      },
    );
  }

  offer(): MediaSession {
    return this.#session(undefined);
  }

  answer(offer: Uint8Array): MediaSession {
    return this.#session(offer);
  }

  async close(): Promise<void> {
    // the listener closes when its last connection has gone
    const closed = this.#listener?.close().catch(() => undefined);
    this.#pool.destroy();
    await closed;
  }

  #session(offer: Uint8Array | undefined): GroupMsrpSession {
    const { host, port } = this.#listener!;
    const sessionId = newSessionId();
    const session = new GroupMsrpSession(makeMsrpUri({ host, port, sessionId }), offer, {
      dial: (of, media) => this.#dial(of, media),
      onClose: () => this.#sessions.delete(sessionId),
    });
    this.#sessions.set(sessionId, session);
    return session;
  }

  /** Connects and says so with an empty SEND, by which the peer knows the session (RFC 4975 §5.4). */
  #dial(session: GroupMsrpSession, media: MsrpMedia): void {
    const { secure, transport } = media.path[0]!;
    const target = {
      ...connectAddress(media),
      secure,
      transport: transport === 'ws' ? 'ws' : 'tcp',
    } as const;
    this.#pool.to({ ...target, fingerprint: media.fingerprint }).then(
      (connection) => {
        session.bind(connection);
        const path = media.path.map(({ text }) => text).join(' ');
        connection.request('SEND', path, session.uri.text, `Message-ID: ${newSessionId()}\r\n`);
      },
      (error: unknown) =>
        this.#log.info({ err: error }, 'a participant of a group cannot be reached by MSRP'),
    );
  }

  /** A session is known by its session-id alone: boxes on the way rewrite hosts and ports. */
  #request(connection: Connection, head: MessageHead, hasBody: boolean): RequestSink {
    let sessionId: string | undefined;
    try {
      ({ sessionId } = parseMsrpUri(firstOf(head.toPath)));
    } catch {
      return refusing(connection, head, 400);
    }
    const session = sessionId === undefined ? undefined : this.#sessions.get(sessionId);
    return session ? session.receive(connection, head, hasBody) : refusing(connection, head, 481);
  }
}
