import { createSocket, type Socket } from 'node:dgram';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { SipRequest, type SipMessage, type SipResponse } from '../../src/sip/message/message.js';
import { parseDatagram } from '../../src/sip/message/parse.js';
import { serialize } from '../../src/sip/message/serialize.js';
import { buildResponse } from '../../src/sip/embedded/respond.js';
import { freePort } from './free-port.js';

/** Hears all octets that a peer sends to, or gets from, a port. */
export type Tap = (direction: 'in' | 'out', port: number, octets: Uint8Array) => void;

/** A SIP peer of a few lines over loopback UDP: sends what it is told to and hands out what arrives, in order. */
export class SipPeer {
  readonly #socket: Socket;
  readonly #arrived: SipMessage[] = [];
  readonly #taps: Tap[] = [];
  readonly #waiting: ((message: SipMessage) => void)[] = [];
  /** Every datagram that arrived, as it was. */
  readonly datagrams: Buffer[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (data, { port }) => {
      this.datagrams.push(data);
      for (const tap of this.#taps) tap('in', port, data);
      const parsed = parseDatagram(data);
      if (parsed.kind === 'malformed') throw new Error(`the server sent something malformed: ${parsed.why}`);
      const next = this.#waiting.shift();
      if (next) next(parsed.message);
      else this.#arrived.push(parsed.message);
    });
  }

  /**
   * At a port that no peer had lately: a server that still sends again what an earlier one did not answer would be heard here. Nobody
   * listens there over TCP either: a long request to a peer tries that first (RFC 3261 §18.1.1), and a stranger would keep it.
   */
  static async open(): Promise<SipPeer> {
    const port = await freePort();
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, '127.0.0.1', resolve);
    });
    return new SipPeer(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  tap(tap: Tap): void {
    this.#taps.push(tap);
  }

  /** Messages that have arrived and nobody asked for. */
  get unread(): readonly SipMessage[] {
    return this.#arrived;
  }

  close(): void {
    this.#socket.close();
  }

  /** Sends a message to a port of loopback. */
  send(message: SipMessage | string, port: number): void {
    const octets =
      typeof message === 'string'
        ? message.trim().replace(/\n[ ]*/g, '\r\n') + '\r\n\r\n'
        : serialize(message);
    this.sendOctets(octets, port);
  }

  /** Sends octets as they are. */
  sendOctets(octets: string | Uint8Array, port: number): void {
    for (const tap of this.#taps) tap('out', port, Buffer.from(octets));
    this.#socket.send(octets, port, '127.0.0.1');
  }

  /** The next message that arrives, or has arrived. */
  async next(): Promise<SipMessage> {
    return this.#arrived.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  async request(method?: string): Promise<SipRequest> {
    for (;;) {
      const message = await this.next();
      if (message instanceof SipRequest && (method === undefined || message.method === method))
        return message;
    }
  }

  /** The next response with a status of at least `from`; lower ones are passed over. */
  async response(from = 101): Promise<SipResponse> {
    for (;;) {
      const message = await this.next();
      if (!(message instanceof SipRequest) && (message as SipResponse).status >= from)
        return message as SipResponse;
    }
  }

  /** The final response to the request with a Call-ID. What else arrives before it stays for who asks for it. */
  async finalTo(callId: string): Promise<SipResponse> {
    const others: SipMessage[] = [];
    for (;;) {
      const message = await this.next();
      if (message instanceof SipRequest || message.callId !== callId) others.push(message);
      else if ((message as SipResponse).status >= 200) {
        this.#arrived.unshift(...others);
        return message as SipResponse;
      }
    }
  }

  answer(request: SipRequest, status: number, headers: HeaderMap = {}, tag = 'peer', body?: string): void {
    this.send(
      buildResponse(request, status, tag, { headers, ...(body !== undefined && { body }) }),
      request.via.port ?? 5060,
    );
  }
}
