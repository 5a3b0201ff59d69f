import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Parsed } from '../message/parse.js';
import { serialize } from '../message/serialize.js';
import { MAGIC_COOKIE, type Via } from '../message/via.js';
import type { Source } from '../stack.js';
import { stampVia } from '../transport/stamp.js';
import type { Way, Wire } from '../transport/way.js';
import { AnsweredRequests } from './answered.js';
import { InviteClient } from './client-invite.js';
import { NonInviteClient } from './client-non-invite.js';
import { makeCancel, makeResponse } from './derived.js';
import { longTime } from './environment.js';
import { clientKey, newBranch, serverKey } from './keys.js';
import {
  defaultTimers,
  type ClientTransaction,
  type ClientUser,
  type NextHop,
  type ServerTransaction,
  type TransactionLayer,
  type TransactionTimers,
} from './layer.js';
import { Outbound } from './outbound.js';
import { InviteServer } from './server-invite.js';
import { NonInviteServer } from './server-non-invite.js';
import { Overload, type OverloadLimits } from './overload.js';
import { fingerprint, StatelessTags } from './stateless.js';

/** Characters of a reason phrase that repeats what the parser said. */
const MAX_REASON = 160;

export interface TransactionLimits {
  /** Server transactions without a final response at once; beyond them new requests get 503. */
  readonly running: number;
  /** Answered non-INVITE requests over UDP that are remembered for Timer J. */
  readonly answeredCount: number;
  /** Octets of those. */
  readonly answeredBytes: number;
}

export const defaultTransactionLimits: TransactionLimits = {
  running: 100_000,
  answeredCount: 1 << 20,
  answeredBytes: 512 << 20,
};

export interface TransactionLayerOptions {
  readonly transports: Wire;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  readonly timers?: TransactionTimers;
  readonly limits?: Partial<TransactionLimits>;
  readonly overload?: Partial<OverloadLimits>;
}

/** Makes the layer and takes over what `transports` receive. */
export function createTransactionLayer(options: TransactionLayerOptions): Transactions {
  return new Transactions(options);
}

/** RFC 3261 §17: every transaction of one stack. */
export class Transactions implements TransactionLayer {
  onRequest: (transaction: ServerTransaction) => void = () => {};
  onAck: (ack: SipRequest, source: Source) => void = () => {};
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  readonly transports: Wire;
  readonly #log: Logger;
  readonly #trail: Trail;
  readonly #limits: TransactionLimits;
  readonly #invites = new Map<string, InviteServer>();
  readonly #requests = new Map<string, NonInviteServer>();
  readonly #answered: AnsweredRequests;
  readonly #clients = new Map<string, InviteClient | NonInviteClient>();
  readonly #tags = new StatelessTags();
  readonly #overload: Overload;
  #waitingClients = 0;
  #sweeping = false;

  constructor(options: TransactionLayerOptions) {
    this.clock = options.clock;
    this.timers = options.timers ?? defaultTimers;
    this.transports = options.transports;
    this.#log = options.log;
    this.#trail = options.trail;
    this.#limits = { ...defaultTransactionLimits, ...options.limits };
    this.#answered = new AnsweredRequests(this.clock, longTime(this.timers), {
      count: this.#limits.answeredCount,
      bytes: this.#limits.answeredBytes,
    });
    this.#overload = new Overload(options.overload ?? {}, options.trail);
    this.transports.onDelay = (delay) => this.#overload.reading(delay);
    this.transports.onMessage = (parsed, way) => this.#receive(parsed, way);
  }

  /** Requests refused because of overload since start, and the last reading of the queueing delay in milliseconds. */
  get load(): { readonly refused: number; readonly delay: number } {
    return { refused: this.#overload.refused, delay: this.#overload.delay };
  }

  get running(): number {
    let invites = 0;
    for (const invite of this.#invites.values()) if (invite.finalStatus === undefined) invites++;
    return invites + this.#requests.size + this.#waitingClients;
  }

  send(request: SipRequest, hop: NextHop, user: ClientUser, branch = newBranch()): ClientTransaction {
    const outbound = Outbound.start(this.transports, request, hop, branch);
    const key = clientKey(branch, request.method);
    const transaction =
      request.method === 'INVITE'
        ? new InviteClient(key, outbound, user, this)
        : new NonInviteClient(key, outbound, user, this);
    this.#clients.set(key, transaction);
    this.#waitingClients++;
    return transaction;
  }

  sendStateless(request: SipRequest, hop: NextHop): void {
    Outbound.start(this.transports, request, hop, newBranch()).send(this.sent);
  }

  /** Sends the CANCEL of an INVITE as a transaction of its own, over the same hop, with the same Via (RFC 3261 §9.1). */
  sendCancel(outbound: Outbound, reason: string | undefined): void {
    const cancel = makeCancel(outbound.request, reason);
    const key = clientKey(outbound.branch, 'CANCEL');
    const unheard: ClientUser = { onResponse: () => {}, onFailure: () => {} };
    this.#clients.set(key, new NonInviteClient(key, outbound.along(cancel), unheard, this));
    this.#waitingClients++;
  }

  inviteEnded(key: string): void {
    this.#invites.delete(key);
  }

  clientEnded(key: string): void {
    this.#clients.delete(key);
  }

  settled(): void {
    this.#waitingClients--;
  }

  answered(transaction: NonInviteServer, octets: Buffer): void {
    this.#requests.delete(transaction.key);
    if (transaction.source.protocol === 'udp') this.#answered.add(transaction.key, octets);
  }

  readonly sent = (error?: Error | null): void => {
    if (error) this.#note('sip.send-failed', 'RFC 3261 §18.4', undefined, error.message);
  };

  #receive(parsed: Parsed, way: Way): void {
    try {
      if (parsed.kind === 'request') this.#onRequest(parsed.message, way);
      else if (parsed.kind === 'response') this.#onResponse(parsed.message, way);
      else this.#onMalformed(parsed.why, parsed.status, parsed.request, way);
    } catch (error) {
      // one message must not stop the others
      this.#log.error({ err: error }, 'a SIP message was not handled');
      this.#note('sip.internal-error', 'RFC 3261 §21.5.1');
    }
  }

  #onMalformed(why: string, status: number, request: SipRequest | undefined, way: Way): void {
    this.#note('sip.malformed', 'RFC 3261 §16.3', request, why);
    if (request && request.method !== 'ACK') this.#answerStateless(request, way, status, why);
  }

  #onRequest(request: SipRequest, way: Way): void {
    const { via } = request;
    const key = serverKey(request, via);
    const { method } = request;
    if (method === 'ACK') {
      this.#onAck(request, way, via, key);
      return;
    }
    if (method === 'INVITE') {
      const known = this.#invites.get(key);
      if (known) {
        known.retransmitted(way);
        return;
      }
    } else {
      const answer = this.#answered.find(key);
      if (answer) {
        way.reply(answer, via, this.sent);
        return;
      }
      const known = this.#requests.get(key);
      if (known) {
        known.retransmitted(way);
        return;
      }
    }
    if (method === 'CANCEL') {
      this.#onCancel(request, way, via, key);
      return;
    }
    if (this.#overload.refuses(request)) {
      this.#refuseForNow(request, way, via);
      return;
    }
    if (this.#requests.size + this.#invites.size >= this.#limits.running) {
      this.#note('sip.too-many-transactions', 'RFC 3261 §21.5.4', request);
      this.#answerStateless(request, way, 503, 'Too Many Transactions');
      return;
    }
    stampVia(request, via, way);
    if (method === 'INVITE') {
      const transaction = new InviteServer(request, way, via, key, this);
      this.#invites.set(key, transaction);
      this.#hand(transaction);
    } else this.#hand(this.#openNonInvite(request, way, via, key));
  }

  #openNonInvite(request: SipRequest, way: Way, via: Via, key: string): NonInviteServer {
    const transaction = new NonInviteServer(request, way, via, key, this.clock.now(), this);
    this.#requests.set(key, transaction);
    if (!this.#sweeping) this.#sweepAfter(longTime(this.timers));
    return transaction;
  }

  /** Requests that nobody answered in 64·T1, oldest first: their clients have given up (Timer F), so the answer must not come any more. */
  #dropUnanswered(): void {
    const dead = this.clock.now() - longTime(this.timers);
    for (const transaction of this.#requests.values()) {
      if (transaction.since > dead) break;
      transaction.expire();
      this.#requests.delete(transaction.key);
      this.#note('sip.unanswered', 'RFC 4320 §4.2', transaction.request, transaction.request.method);
    }
    this.#sweeping = false;
    if (this.#requests.size > 0) this.#sweepAfter(1_000);
  }

  #sweepAfter(ms: number): void {
    this.#sweeping = true;
    this.clock.after(ms, () => this.#dropUnanswered());
  }

  /** A user that throws has not answered: the request gets 500, the others go on. */
  #hand(transaction: ServerTransaction): void {
    try {
      this.onRequest(transaction);
    } catch (error) {
      this.#log.error({ err: error, method: transaction.request.method }, 'a request was not handled');
      this.#note('sip.internal-error', 'RFC 3261 §21.5.1', transaction.request);
      transaction.respond(makeResponse(transaction.request, 500, this.#tags.make(transaction.request)));
    }
  }

  #onAck(ack: SipRequest, way: Way, via: Via, key: string): void {
    const byBranch = via.params.get('branch')?.startsWith(MAGIC_COOKIE) ?? false;
    if (this.#invites.get(key)?.acknowledged(ack, byBranch)) return;
    if (this.#tags.isOurs(ack.toTag)) return; // it ends what was answered without a transaction
    this.onAck(ack, way);
  }

  /** RFC 3261 §9.2: the CANCEL is answered by itself, the INVITE by its user. */
  #onCancel(cancel: SipRequest, way: Way, via: Via, key: string): void {
    const invite = this.#invites.get(serverKey(cancel, via, 'INVITE'));
    stampVia(cancel, via, way);
    const transaction = this.#openNonInvite(cancel, way, via, key);
    const toTag = this.#tags.make(cancel);
    if (!invite) {
      this.#note('sip.cancel-unmatched', 'RFC 3261 §9.2', cancel);
      transaction.respond(makeResponse(cancel, 481, toTag));
      return;
    }
    transaction.respond(makeResponse(cancel, 200, invite.toTag ?? toTag));
    if (invite.finalStatus === undefined) invite.onCancel?.(cancel);
  }

  #onResponse(response: SipResponse, way: Way): void {
    const branch = response.via.params.get('branch') ?? '';
    const client = this.#clients.get(clientKey(branch, response.cseq.method));
    if (client) client.received(response, way);
    else this.#note('sip.response-unmatched', 'RFC 3261 §18.1.2', response);
  }

  /** No transaction is made, and no trail event: this has to cost less than what it spares. */
  #refuseForNow(request: SipRequest, way: Way, via: Via): void {
    const response = this.#stateless(request, way, 503, 'Service Unavailable');
    const wait = this.#overload.retryAfter(fingerprint(request) / 2 ** 32);
    response.headers.push('retry-after', 'Retry-After', String(wait));
    way.reply(serialize(response), via, this.sent);
  }

  #answerStateless(request: SipRequest, way: Way, status: number, reason: string): void {
    const via = viaOf(request);
    const octets = serialize(this.#stateless(request, way, status, reason));
    // without a readable Via the only way back is the one it came
    if (via) way.reply(octets, via, this.sent);
    else way.send(octets, this.sent);
  }

  #stateless(request: SipRequest, way: Way, status: number, reason: string): SipResponse {
    const tag = this.#tags.make(request);
    const via = viaOf(request);
    if (via) stampVia(request, via, way);
    return makeResponse(request, status, tag, reason.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_REASON));
  }

  #note(code: string, clause: string, message?: SipRequest | SipResponse, detail?: string): void {
    this.#trail.record({ code, outcome: 'refused', clause, trace: message?.get('Call-ID'), detail });
  }
}

/** The topmost Via of a malformed request, if that at least can be read. */
function viaOf(request: SipRequest): Via | undefined {
  try {
    return request.via;
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}
