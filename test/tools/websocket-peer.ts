import { once } from 'node:events';
import WebSocket from 'ws';
import { buildResponse } from '../../src/sip/embedded/respond.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { SipRequest, type SipMessage, type SipResponse } from '../../src/sip/message/message.js';
import { parseDatagram } from '../../src/sip/message/parse.js';
import { serialize } from '../../src/sip/message/serialize.js';

/** A SIP user agent behind a WebSocket (RFC 7118): nobody reaches it but over its own connection. */
export class WebSocketPeer {
  readonly #socket: WebSocket;
  readonly #arrived: SipMessage[] = [];
  readonly #waiting: (() => void)[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const parsed = parseDatagram(data);
      if (parsed.kind === 'malformed') throw new Error(`the server sent something malformed: ${parsed.why}`);
      this.#arrived.push(parsed.message);
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  static async open(port: number): Promise<WebSocketPeer> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/sip`, 'sip');
    await once(socket, 'open');
    return new WebSocketPeer(socket);
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  /** Sends a message written with plain line ends and indentation. */
  send(text: string): void {
    const lines = text.split('\n').map((line) => line.trim());
    this.#socket.send(`${lines.filter((line) => line !== '').join('\r\n')}\r\n\r\n`);
  }

  answer(request: SipRequest, status: number, headers: HeaderMap = {}, tag = 'ws', body?: string): void {
    this.#socket.send(
      serialize(buildResponse(request, status, tag, { headers, ...(body !== undefined && { body }) })),
    );
  }

  /** The next request of that method; other messages stay for later. */
  async request(method: string): Promise<SipRequest> {
    return (await this.#take(
      (message) => message instanceof SipRequest && message.method === method,
    )) as SipRequest;
  }

  /** The next final response. */
  async final(): Promise<SipResponse> {
    return (await this.#take(
      (message) => 'status' in message && (message as SipResponse).status >= 200,
    )) as SipResponse;
  }

  async #take(wanted: (message: SipMessage) => boolean): Promise<SipMessage> {
    for (;;) {
      const index = this.#arrived.findIndex(wanted);
      if (index >= 0) return this.#arrived.splice(index, 1)[0]!;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}
