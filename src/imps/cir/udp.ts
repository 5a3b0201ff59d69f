import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP, isIPv6 } from 'node:net';
import type { ImpsContext } from '../context.js';
import type { SessionRecord } from '../state/records.js';
import { listening } from '../transport/endpoint.js';

/** Port that a client listens on when it names none (IANA: wv-csp-udp-cir). */
const CLIENT_PORT = 3717;
const LAST_PORT = 65_535;
/** No message of this channel is longer. */
const LONGEST = 300;

/**
 * Standalone UDP: a datagram a message. HELO and PING carry the Session-ID, and the address they come from is where
 * the client is now; the answer leaves from the same socket, so that it passes a NAT (document 002 §8.1.2).
 */
export class UdpChannels {
  readonly #context: ImpsContext;
  readonly #onHello: (session: SessionRecord) => void;
  readonly #addresses = new Map<string, { readonly address: string; readonly port: number }>();
  #socket: Socket | undefined;
  /** Which addresses the socket reaches. */
  #family: 4 | 6 = 4;

  constructor(context: ImpsContext, onHello: (session: SessionRecord) => void) {
    this.#context = context;
    this.#onHello = onHello;
  }

  async listen(host: string, port: number): Promise<void> {
    this.#family = isIPv6(host) ? 6 : 4;
    const socket = createSocket(`udp${this.#family}`);
    this.#socket = socket;
    await listening(socket, [host, port], (listens) => socket.bind(port, host, listens));
    socket.on('error', (error) => this.#context.log.warn({ err: error }, 'the CIR socket had an error'));
    socket.on('message', (datagram, from) => {
      this.#datagram(datagram, from).catch((error: unknown) =>
        this.#context.log.error({ err: error }, 'a CIR datagram could not be served'),
      );
    });
  }

  async close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  /** Sessions whose client was heard. */
  get size(): number {
    return this.#addresses.size;
  }

  get sessions(): Iterable<string> {
    return this.#addresses.keys();
  }

  /**
   * Sends to where the client was last heard; one that never said HELO listens on the port it negotiated.
   * @param own whether it falls to this node to reach a client that it did not hear itself
   */
  send(session: SessionRecord, text: string, own: boolean): boolean {
    const heard = this.#addresses.get(session.id);
    if (!heard && !own) return false;
    const port = session.capabilities?.udpPort ?? CLIENT_PORT;
    const to = heard ?? session.udp ?? { address: session.remoteAddress, port };
    // requests of a client that came by SMS have no address, and what a client negotiated may be no port
    if (!this.#socket || isIP(to.address) !== this.#family || to.port < 1 || to.port > LAST_PORT)
      return false;
    this.#socket.send(text, to.port, to.address);
    return true;
  }

  end(session: string): void {
    this.#addresses.delete(session);
  }

  async #datagram(datagram: Buffer, from: RemoteInfo): Promise<void> {
    if (datagram.length > LONGEST) return;
    const [, keyword, id] = /^(HELO|PING) (\S+)\s*$/.exec(datagram.toString('latin1')) ?? [];
    const session = id === undefined ? undefined : await this.#context.sessions.find(id);
    if (!session || !this.#socket) return; // who does not know a session hears nothing
    const { address, port } = from;
    this.#addresses.set(session.id, { address, port });
    // after a restart the client is still there, and does not know that it should say HELO
    if (session.udp?.address !== address || session.udp.port !== port)
      await this.#context.sessions.change(session.id, (current) => ({ ...current, udp: { address, port } }));
    this.#socket?.send('OK', port, address);
    if (keyword === 'HELO') this.#onHello(session);
  }
}
