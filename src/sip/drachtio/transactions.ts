import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { makeResponse } from '../transaction/derived.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { parseDatagram } from '../message/parse.js';
import { parseAddress } from '../message/address.js';
import { randomToken } from '../embedded/tokens.js';
import type { Source } from '../stack.js';
import type {
  ClientFailure,
  ClientTransaction,
  ClientUser,
  NextHop,
  TransactionLayer,
  ServerTransaction,
} from '../transaction/layer.js';
import type { AdminEvent, Reply } from './admin-event.js';
import type { AdminLink } from './admin-link.js';
import { CalledLinks } from './called-links.js';
import { ContactHomes } from './contact-homes.js';
import { DrachtioClientTransaction } from './client-transaction.js';
import { hopUri, localEndOf, sourceOf } from './flows.js';
import { Legs, type Leg } from './legs.js';
import { MAX_URI, octetsOf, requestInside, requestOutside } from './outgoing-text.js';
import { MAX_FRAME_OCTETS } from './pacing.js';
import { Relays } from './relays.js';
import { DrachtioServerTransaction } from './server-transaction.js';
import { byeOfPeer, UnheardTransaction } from './unheard.js';

export interface DrachtioTransactionsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  /** A connected server for requests that belong to none. */
  readonly link: () => AdminLink | undefined;
  readonly linkOfFlow: (flow: string) => AdminLink | undefined;
  /** A connection turned out to be gone. */
  readonly flowFailed: (flow: string) => void;
}

type Refusal = readonly [status: number, reason: string];

const ACK_PATIENCE_MS = 2_000;
const TOO_SLOW: Refusal = [503, 'Too much waits for drachtio-server'];

/** RFC 3261 §17 as drachtio-servers run it for us. */
export class DrachtioTransactions implements TransactionLayer {
  onRequest: (transaction: ServerTransaction) => void = () => {};
  onAck: (ack: SipRequest, source: Source) => void = () => {};
  readonly #options: DrachtioTransactionsOptions;
  readonly #servers = new Map<string, DrachtioServerTransaction>();
  /** The same, by Call-ID. */
  readonly #open = new Map<string, readonly DrachtioServerTransaction[]>();
  readonly #clients = new Map<string, DrachtioClientTransaction>();
  readonly #untaken = new Set<DrachtioClientTransaction>();
  readonly #legs = new Legs();
  readonly #relays: Relays;
  readonly #homes = new ContactHomes();
  readonly #called: CalledLinks;

  constructor(options: DrachtioTransactionsOptions) {
    this.#options = options;
    this.#called = new CalledLinks(options.clock, {
      busy: () => new Set([...this.#clients.values(), ...this.#untaken].map(({ link }) => link)),
      lives: (callId) => this.#open.has(callId) || this.#legs.has(callId),
    });
    this.#relays = new Relays(this.#legs, {
      answered: (transaction) => this.#answered(transaction),
      refused: ({ request, source }, status, why) => {
        this.#note('sip.drachtio-response-refused', request, `${status} to ${source.address}: ${why}`);
      },
      forgotten: (transaction) => {
        this.#note('sip.drachtio-request-forgotten', transaction.request, 'not answered within 64 s');
        this.#forget(transaction);
        transaction.onFailure?.('transport');
      },
      ended: (dialog) => this.#endedByServer(byeOfPeer(dialog, 'from', undefined)),
    });
  }

  get running(): number {
    return this.#servers.size + this.#clients.size + this.#untaken.size;
  }

  /** Dialogs that servers keep for us. */
  get dialogs(): number {
    return this.#legs.size;
  }

  send(request: SipRequest, hop: NextHop, user: ClientUser, branch?: string): ClientTransaction {
    const relayed = request.has('Via');
    const leg = request.toTag === undefined ? undefined : this.#legs.find(request);
    const near = relayed && !leg ? this.#linkOf(request) : undefined;
    const byFlow = hop.flow === undefined ? undefined : this.#options.linkOfFlow(hop.flow);
    const link = leg?.link ?? byFlow ?? near ?? this.#options.link();
    const end = link && localEndOf(link, hop);
    request.headers.prepend(
      'Via',
      `SIP/2.0/${hop.protocol.toUpperCase()} ${end ? `${end.host}:${end.port}` : 'invalid'};branch=${branch ?? `z9hG4bK${randomToken()}`}`,
    );
    const { clock } = this.#options;
    const source = clientSource(hop);
    const transaction = new DrachtioClientTransaction({
      request,
      hop,
      link: link!,
      source,
      user,
      clock,
      onDone: (done) => {
        this.#untaken.delete(done);
        if (done.id !== undefined) this.#clients.delete(done.id);
      },
    });
    this.#untaken.add(transaction);
    if (!link || !end) {
      queueMicrotask(() => transaction.fail('transport'));
      return transaction;
    }
    const outgoing = leg
      ? requestInside(relayed ? this.#relays.inside(request) : request, end, relayed)
      : requestOutside(
          this.#homes.readdressed(this.#relays.outgoing(request, link, relayed), hop),
          end,
          relayed,
        );
    const refusal = refusalOf(outgoing) ?? (leg || !link.crowded ? undefined : TOO_SLOW);
    if (refusal) {
      this.#note('sip.drachtio-request-refused', request, refusal[1]);
      queueMicrotask(() => transaction.refuse(...refusal));
      return transaction;
    }
    const next = leg ? '' : this.#nextHop(request, hop);
    const octets = octetsOf(outgoing);
    const command = `sip||${leg?.dialog ?? ''}${next === '' ? '' : `|${next}`}`;
    const pass = (): void => link.command(command, octets, (reply) => this.#taken(transaction, reply));
    if (leg?.beforeAck) this.#afterAck(leg, pass);
    else pass();
    return transaction;
  }

  /** Holds a request of a dialog until the ACK has gone out, but not for ever: its sender may be gone. */
  #afterAck(leg: Leg, pass: () => void): void {
    leg.beforeAck!.push(pass);
    if (leg.beforeAck!.length === 1) this.#options.clock.after(ACK_PATIENCE_MS, () => release(leg));
  }

  /** The ACK to a 2xx: only inside a dialog that the server has. */
  sendStateless(request: SipRequest, hop: NextHop): void {
    const leg = this.#legs.find(request);
    const end = leg && localEndOf(leg.link, hop);
    if (!leg || !end) {
      this.#note('sip.drachtio-ack-dropped', request, 'no such dialog');
      return;
    }
    const outgoing = requestInside(request, end, true);
    if (refusalOf(outgoing)) {
      this.#note('sip.drachtio-ack-dropped', request, 'too large');
      return;
    }
    leg.link.command(`sip||${leg.dialog}`, octetsOf(outgoing), ({ ok, reason }) => {
      if (!ok) this.#note('sip.drachtio-ack-dropped', request, reason);
    });
    release(leg);
  }

  receive(link: AdminLink, event: AdminEvent): void {
    const parsed = parseDatagram(event.message);
    if (parsed.kind === 'response') {
      this.#receiveResponse(event, parsed.message);
      return;
    }
    if (parsed.kind === 'malformed') {
      if (!parsed.request) return;
      this.#note('sip.malformed', parsed.request, parsed.why);
      const answer = makeResponse(parsed.request, parsed.status, randomToken(), parsed.why);
      link.command(`sip|${event.transaction}|`, octetsOf(answer), () => {});
      return;
    }
    this.#receiveRequest(link, event, parsed.message);
  }

  /** A server has connected to us with a new request. */
  called(link: AdminLink): void {
    this.#called.add(link);
  }

  /** The connection to a server is gone, and with it all that it did for us. */
  lost(link: AdminLink): void {
    this.#called.remove(link);
    for (const [id, transaction] of this.#servers) {
      if (transaction.link !== link) continue;
      this.#servers.delete(id);
      transaction.abandon();
    }
    for (const [callId, open] of this.#open)
      if (open.every((one) => one.link === link)) this.#open.delete(callId);
    for (const transaction of [...this.#clients.values(), ...this.#untaken])
      if (transaction.link === link) transaction.fail('transport');
    this.#legs.endAll(link);
  }

  #receiveRequest(link: AdminLink, event: AdminEvent, received: SipRequest): void {
    const source = sourceOf(link, event, received);
    if (received.method === 'CANCEL') {
      this.#servers.get(event.transaction)?.cancelled(received);
      return;
    }
    const request = this.#relays.incoming(received);
    this.#called.received(link, request.callId);
    if (received.method === 'ACK') {
      this.onAck(request, source);
      return;
    }
    if (event.source !== 'network') {
      // the server has sent a BYE of its own in our name: told as the peer's, whose answer goes nowhere
      if (received.method === 'BYE') this.#endedByServer(byeOfPeer(received, 'to', received.get('Reason')));
      return;
    }
    const { clock } = this.#options;
    const transaction = new DrachtioServerTransaction(
      { clock, request, received, source, link, id: event.transaction, dialog: event.dialog },
      this.#relays,
    );
    this.#servers.set(event.transaction, transaction);
    this.#open.set(request.callId, [...(this.#open.get(request.callId) ?? []), transaction]);
    this.onRequest(transaction);
  }

  /** Whoever has the dialog, or its other side, learns that it is over. */
  #endedByServer(bye: SipRequest): void {
    const { callId } = bye;
    this.onRequest(new UnheardTransaction(this.#relays.incoming(bye), () => this.#legs.end(callId)));
  }

  #forget(transaction: DrachtioServerTransaction): void {
    this.#servers.delete(transaction.id);
    const { callId } = transaction.request;
    const left = this.#open.get(callId)?.filter((one) => one !== transaction) ?? [];
    if (left.length > 0) this.#open.set(callId, left);
    else this.#open.delete(callId);
  }

  #receiveResponse(event: AdminEvent, response: SipResponse): void {
    const transaction = this.#clients.get(event.transaction);
    if (!transaction) return;
    if (event.octets === 0) {
      transaction.fail(this.#failureOf(transaction, response.status));
      return;
    }
    const restored = this.#relays.answerOf(transaction, response);
    transaction.responded(restored);
    const { request } = transaction;
    if (response.status < 200) return;
    if (request.method === 'BYE') this.#legs.end(response.callId);
    else if (request.toTag === undefined && response.status >= 300) this.#legs.refused(request);
    else if (endsSubscription(request)) this.#legs.endSubscription(request.callId);
  }

  #failureOf({ hop }: DrachtioClientTransaction, status: number): ClientFailure {
    if (status === 408) return 'timeout';
    if (hop.flow === undefined || hop.protocol === 'udp') return 'transport';
    this.#options.flowFailed(hop.flow);
    return 'flow-failed';
  }

  #taken(transaction: DrachtioClientTransaction, reply: Reply): void {
    this.#untaken.delete(transaction);
    if (!transaction.running) return;
    if (!reply.ok || reply.transaction === '') {
      this.#note('sip.drachtio-request-refused', transaction.request, reply.reason);
      if (/^can not send request to myself/.test(reply.reason)) transaction.refuse(482, 'Loop Detected');
      else transaction.fail(blamesFlow(transaction, reply) ? 'flow-failed' : 'transport');
      return;
    }
    this.#clients.set(reply.transaction, transaction);
    transaction.taken(reply.transaction);
  }

  #answered(transaction: DrachtioServerTransaction): void {
    this.#homes.answered(transaction);
    this.#forget(transaction);
    const { request } = transaction;
    if (request.method === 'BYE') this.#legs.end(request.callId);
    else if (endsSubscription(request)) this.#legs.endSubscription(request.callId);
  }

  /** The server that the request which is being relayed came from. */
  #linkOf(request: SipRequest): AdminLink | undefined {
    return this.#open.get(request.callId)?.[0]?.link;
  }

  /** Where the server is to send: to the peer of a flow, else to the topmost Route; without either it finds the way itself. */
  #nextHop(request: SipRequest, hop: NextHop): string {
    if (hop.flow !== undefined) return hopUri(hop);
    const route = request.headers.list('Route')[0];
    return route === undefined ? '' : parseAddress(route, 'Route').uriText;
  }

  #note(code: string, request: SipRequest, detail: string): void {
    this.#options.trail.record({
      code,
      outcome: 'refused',
      clause: 'RFC 3261 §18',
      trace: request.get('Call-ID'),
      detail,
    });
  }
}

/** The last NOTIFY of a subscription: the server forgets it with that (RFC 6665 §4.4.1). */
function endsSubscription(request: SipRequest): boolean {
  return request.method === 'NOTIFY' && /^\s*terminated/i.test(request.get('Subscription-State') ?? '');
}

/** Whether a command was refused because the connection that its request was for is gone. */
function blamesFlow({ hop }: DrachtioClientTransaction, { heard, reason }: Reply): boolean {
  return heard && hop.flow !== undefined && !/^requested protocol/.test(reason);
}

function release(leg: Leg): void {
  const waiting = leg.beforeAck;
  leg.beforeAck = undefined;
  for (const pass of waiting ?? []) pass();
}

/** What the server cannot carry, with the status that says so. */
function refusalOf(request: SipRequest): Refusal | undefined {
  if (!/^sips?:/i.test(request.uri)) return [416, 'Unsupported URI Scheme'];
  if (request.uri.length > MAX_URI) return [414, 'Request-URI too long for drachtio-server'];
  if (request.body.includes(0)) return [415, 'NUL in a body cannot pass drachtio-server'];
  if (octetsOf(request).length > MAX_FRAME_OCTETS - 500)
    return [513, 'Message too large for drachtio-server'];
  return undefined;
}

function clientSource({ protocol, address, port, flow }: NextHop): Source {
  return { protocol, address, port, localAddress: '', localPort: 0, flow: flow ?? '' };
}
