import {
  createServer as createHttpServer,
  STATUS_CODES,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server as HttpServer,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { TransportLimits } from './limits.js';
import type { TlsOptions } from './tls-options.js';

/** RFC 7118 §4: the subprotocol that client and server must agree on. */
const SUBPROTOCOL = 'sip';

/** Turns HTTP upgrades into SIP over WebSocket (RFC 7118 §4). */
export class WebSocketUpgrades {
  readonly #server: WebSocketServer;
  readonly #accept: (socket: WebSocket, request: IncomingMessage) => void;
  readonly #origins: readonly string[] | undefined;

  /** @param origins whose pages may connect, besides those of the server's own name; all when undefined. */
  constructor(
    limits: TransportLimits,
    origins: readonly string[] | undefined,
    accept: (socket: WebSocket, request: IncomingMessage) => void,
  ) {
    this.#accept = accept;
    this.#origins = origins;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.headBytes + limits.bodyBytes,
      handleProtocols: () => SUBPROTOCOL,
    });
  }

  /** Answers one upgrade request: 403 for a page of somewhere else (RFC 6455 §10.2), 400 without the subprotocol `sip`. */
  readonly handle = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (!this.#takes(request.headers)) {
      refuseUpgrade(socket, 403);
      return;
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes(SUBPROTOCOL)) {
      refuseUpgrade(socket, 400);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#accept(webSocket, request));
  };

  /** Browsers name the origin of the page, and nothing else does. */
  #takes({ origin, host }: IncomingHttpHeaders): boolean {
    if (this.#origins === undefined || origin === undefined || this.#origins.includes(origin)) return true;
    return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
  }

  /** Takes the upgrades to one path of an HTTP server that others use too. Other paths are left to other listeners. */
  attach(server: HttpServer, path: string): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (request.url?.split('?')[0] === path) this.handle(request, socket, head);
      else if (server.listenerCount('upgrade') === 1) refuseUpgrade(socket, 404);
    });
  }
}

/** Answers an upgrade with a plain HTTP status and closes. */
export function refuseUpgrade(socket: Duplex, status: number): void {
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** An HTTP server of our own, for `ws:` and `wss:` listeners: it upgrades whatever the path and does nothing else. */
export function webSocketServer(
  tls: TlsOptions | undefined,
  limits: TransportLimits,
  upgrades: WebSocketUpgrades,
  admit: (socket: Socket) => boolean,
): Server {
  const only: RequestListener = (_request, response) => {
    response.writeHead(426, { Connection: 'close', Upgrade: 'websocket' }).end();
  };
  const timeouts = { headersTimeout: limits.handshakeMs, requestTimeout: limits.handshakeMs };
  const server = tls
    ? createHttpsServer(
        { cert: tls.cert, key: tls.key, handshakeTimeout: limits.handshakeMs, ...timeouts },
        only,
      )
    : createHttpServer(timeouts, only);
  server.prependListener('connection', (socket: Socket) => admit(socket));
  server.on('upgrade', upgrades.handle);
  return server;
}
