import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { endpoint, splitEndpoint } from '../../base/endpoint.js';
import { ParleyError } from '../../base/errors.js';
import type { ImpsContext, Origin } from '../context.js';
import { impsError } from '../errors.js';
import type { Conversation } from './conversation.js';
import { listening } from './endpoint.js';

/** Answers a CIR poll with its HTTP status. */
export type PollHandler = (cookie: string) => Promise<200 | 204 | 404 | 429>;

/** How long running requests may take to finish when the server closes. */
const DRAIN_MS = 10_000;
/** Headers by which network elements assert the telephone number of who sends. */
const msisdnHeaders = ['x-network-msisdn', 'x-up-calling-line-id', 'from'];

/**
 * The HTTP listener: `POST /csp` carries CSP messages, `GET /cir` CIR polls. A CSP failure is a Status in a 200;
 * any other code means that the request did not reach CSP, and clients repeat it.
 */
export class HttpTransport {
  readonly #context: ImpsContext;
  readonly #conversation: Conversation;
  readonly #poll: PollHandler;
  readonly #server: Server;
  /** Takes CIR polls alone; undefined when {@link #server} takes them too. */
  readonly #polls: Server | undefined;
  readonly #trusted: ReadonlySet<string>;

  constructor(context: ImpsContext, conversation: Conversation, poll: PollHandler) {
    this.#context = context;
    this.#conversation = conversation;
    this.#poll = poll;
    const { tls, requestTimeout, trustedProxies, cirHttpListen } = context.config;
    this.#trusted = new Set(trustedProxies);
    const listener: RequestListener = (request, response) => void this.#serve(request, response, true);
    this.#server = tls
      ? createTlsServer({ key: readFileSync(tls.key), cert: readFileSync(tls.cert) }, listener)
      : createServer(listener);
    const polls: RequestListener = (request, response) => void this.#serve(request, response, false);
    this.#polls = cirHttpListen === undefined ? undefined : createServer(polls);
    for (const server of this.#servers) {
      server.requestTimeout = requestTimeout * 1000;
      server.headersTimeout = Math.min(requestTimeout, 15) * 1000;
      server.keepAliveTimeout = 75_000;
    }
  }

  get #servers(): readonly Server[] {
    return this.#polls ? [this.#server, this.#polls] : [this.#server];
  }

  /** @returns the URLs without path that CSP and CIR polls are taken at, with the ports that were chosen for port 0 */
  async listen(): Promise<{ readonly csp: string; readonly polls: string }> {
    const { listen, cirHttpListen, tls } = this.#context.config;
    const csp = `${tls ? 'https' : 'http'}://${await bind(this.#server, listen)}`;
    const polls = this.#polls && `http://${await bind(this.#polls, cirHttpListen ?? listen)}`;
    return { csp, polls: polls ?? csp };
  }

  /** Takes no new connections, lets running requests finish, and then closes the others. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => this.#drain(server)));
  }

  async #drain(server: Server): Promise<void> {
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const late = this.#context.clock.after(DRAIN_MS, () => server.closeAllConnections());
    await closed;
    late.cancel();
  }

  /** @param csp whether the listener takes CSP beside CIR polls */
  async #serve(request: IncomingMessage, response: ServerResponse, csp: boolean): Promise<void> {
    const remoteAddress = request.socket.remoteAddress;
    try {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://parley.invalid');
      if (pathname === '/csp' && csp) await this.#csp(request, response);
      else if (pathname === '/cir') await this.#cir(request, response, searchParams.get('pc'));
      else end(response, 404);
    } catch (error) {
      if (error instanceof ParleyError) {
        this.#note(error, remoteAddress);
        if (request.complete) return end(response, error.http);
        // what follows on the connection cannot be told from the rest of a body that was not read
        response.setHeader('Connection', 'close');
        response.on('finish', () => request.destroy());
        end(response, error.http);
      } else if (!response.headersSent) {
        this.#context.log.error({ err: error }, 'an IMPS request failed');
        end(response, 500);
      }
    }
  }

  async #csp(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') {
      response.setHeader('Allow', 'POST');
      return end(response, 405);
    }
    const body = await readBody(request, this.#context.config.bodyLimit);
    if (!body) return; // the client went away
    const contentType = request.headers['content-type'] ?? '';
    const answer = await this.#conversation.answer(body, contentType, this.#origin(request));
    response.setHeader('Cache-Control', 'no-store');
    if (!answer) return end(response, 200);
    response.writeHead(200, { 'Content-Type': answer.contentType, 'Content-Length': answer.body.length });
    response.end(answer.body);
  }

  async #cir(request: IncomingMessage, response: ServerResponse, cookie: string | null): Promise<void> {
    if (request.method !== 'GET') {
      response.setHeader('Allow', 'GET');
      return end(response, 405);
    }
    response.setHeader('Cache-Control', 'no-store');
    end(response, await this.#poll(cookie ?? ''));
  }

  #origin(request: IncomingMessage): Origin {
    const remoteAddress = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    if (!this.#trusted.has(remoteAddress)) return { remoteAddress, msisdn: undefined };
    const forwarded = String(request.headers['x-forwarded-for'] ?? '')
      .split(',')
      .pop()
      ?.trim();
    const asserted = msisdnHeaders
      .map(
        (header) =>
          /^(?:tel:)?\+?(\d{5,15})(?:@.*)?$/.exec(String(request.headers[header] ?? '').trim())?.[1],
      )
      .find((number) => number !== undefined);
    return {
      remoteAddress: forwarded || remoteAddress,
      msisdn: asserted === undefined ? undefined : `+${asserted}`,
      imei: this.#context.config.imeiHeaders
        .map((header) => String(request.headers[header] ?? '').trim())
        .find((value) => /^[\w:=-]{14,64}$/.test(value)),
    };
  }

  #note(error: ParleyError, subject: string | undefined): void {
    this.#context.trail.record({
      code: error.code,
      outcome: 'refused',
      clause: 'CSP over HTTP',
      subject,
      detail: error.message,
    });
  }
}

/** @returns the `host:port` bound, with the port that was chosen for port 0 */
async function bind(server: Server, listen: string): Promise<string> {
  const [host, port] = splitEndpoint(listen);
  await listening(server, [host, port], (listens) => server.listen(port, host, listens));
  return endpoint(host, (server.address() as AddressInfo).port);
}

function end(response: ServerResponse, code: number): void {
  response.writeHead(code, code === 204 ? {} : { 'Content-Length': 0 });
  response.end();
}

/** The whole body; undefined when the client went away. @throws ParleyError `imps-too-large` */
function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limit) return Promise.reject(impsError('imps-too-large', `${announced} octets`));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit) chunks.push(chunk);
      else {
        request.pause();
        reject(impsError('imps-too-large', `over ${limit} octets`));
      }
    });
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    // aborted: there is nobody to answer
    request.on('error', () => resolve(undefined));
    request.on('close', () => resolve(undefined));
  });
}
