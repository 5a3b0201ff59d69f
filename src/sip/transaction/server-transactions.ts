import { TransientMap } from '../../base/transient-map.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { reasonPhrase } from '../message/reason-phrases.js';
import { MessageWriting, serialize } from '../message/serialize.js';
import { MAGIC_COOKIE, type Via } from '../message/via.js';
import type { Source } from '../stack.js';
import { stampVia } from '../transport/stamp.js';
import type { Way } from '../transport/way.js';
import { AnsweredRequests } from './answered.js';
import { makeResponse } from './derived.js';
import { longTime, type Environment } from './environment.js';
import { serverKey } from './keys.js';
import type { ServerTransaction } from './layer.js';
import type { TransactionLimits } from './limits.js';
import { InviteServer, type InviteServerOwner } from './server-invite.js';
import { NonInviteServer, type NonInviteServerOwner } from './server-non-invite.js';
import type { StatelessServer } from './stateless.js';

/** Who hears of new requests. */
export interface ServerUser {
  onRequest(transaction: ServerTransaction): void;
  onAck(ack: SipRequest, source: Source): void;
  /** Whether a request comes from this server itself. */
  isOwn(request: SipRequest): boolean;
}

/** Milliseconds between two looks at requests that nobody answers. */
const SWEEP_MS = 1_000;

/** All server transactions of a layer (RFC 3261 §17.2). */
export class ServerTransactions implements InviteServerOwner, NonInviteServerOwner {
  readonly clock: Environment['clock'];
  readonly timers: Environment['timers'];
  readonly transports: Environment['transports'];
  readonly sent: Environment['sent'];
  readonly #note: Environment['note'];
  readonly #limits: TransactionLimits;
  readonly #stateless: StatelessServer;
  readonly #user: ServerUser;
  readonly #invites = new TransientMap<InviteServer>();
  readonly #requests = new TransientMap<NonInviteServer>();
  readonly #answered: AnsweredRequests;
  #sweeping = false;

  constructor(
    environment: Environment,
    limits: TransactionLimits,
    stateless: StatelessServer,
    user: ServerUser,
  ) {
    this.clock = environment.clock;
    this.timers = environment.timers;
    this.transports = environment.transports;
    this.sent = environment.sent;
    this.#note = environment.note;
    this.#limits = limits;
    this.#stateless = stateless;
    this.#user = user;
    this.#answered = new AnsweredRequests(this.clock, longTime(this.timers), {
      count: limits.answeredCount,
      bytes: limits.answeredBytes,
    });
  }

  /** Those without a final response. */
  get running(): number {
    let invites = 0;
    for (const invite of this.#invites.values()) if (invite.finalStatus === undefined) invites++;
    return invites + this.#requests.size;
  }

  receive(request: SipRequest, way: Way): void {
    const { via, method } = request;
    const key = serverKey(request, via);
    if (method === 'ACK') this.#acknowledge(request, way, via, key);
    else if (this.#isRetransmission(method, key, via, way)) return;
    else if (method === 'CANCEL') this.#cancel(request, way, via, key);
    else if (!this.#isRefused(request, way)) {
      stampVia(request, via, way);
      this.#hand(
        method === 'INVITE'
          ? this.#openInvite(request, way, via, key)
          : this.#openNonInvite(request, way, via, key),
      );
    }
  }

  inviteEnded(key: string): void {
    this.#invites.delete(key);
  }

  answered({ key, source }: NonInviteServer, response: SipResponse): Buffer {
    const octets =
      source.protocol === 'udp' ? this.#answered.add(key, new MessageWriting(response)) : serialize(response);
    this.#requests.delete(key);
    return octets;
  }

  #isRetransmission(method: string, key: string, via: Via, way: Way): boolean {
    const answer = method === 'INVITE' ? undefined : this.#answered.find(key);
    if (answer) {
      way.reply(answer, via, this.sent);
      return true;
    }
    const known = method === 'INVITE' ? this.#invites.get(key) : this.#requests.get(key);
    known?.retransmitted(way);
    return known !== undefined;
  }

  #isRefused(request: SipRequest, way: Way): boolean {
    if (this.#stateless.answeredWith(request.toTag)) {
      // some clients end with a BYE what was refused without a transaction: there is no such dialog
      this.#stateless.answer(request, way, 481, reasonPhrase(481));
      return true;
    }
    // what a role sends to another one here belongs to work that was let in before
    if (this.#user.isOwn(request)) return false;
    if (this.#stateless.refusesOverload(request, way)) return true;
    if (this.#requests.size + this.#invites.size < this.#limits.running) return false;
    this.#note('sip.too-many-transactions', 'RFC 3261 §21.5.4', request);
    this.#stateless.answer(request, way, 503, 'Too Many Transactions');
    return true;
  }

  #openInvite(request: SipRequest, way: Way, via: Via, key: string): InviteServer {
    const transaction = new InviteServer(request, way, via, key, this);
    this.#invites.set(key, transaction);
    return transaction;
  }

  #openNonInvite(request: SipRequest, way: Way, via: Via, key: string): NonInviteServer {
    const transaction = new NonInviteServer(request, way, via, key, this.clock.now(), this);
    this.#requests.set(key, transaction);
    if (!this.#sweeping) this.#sweepAfter(longTime(this.timers));
    return transaction;
  }

  /** A user that throws has not answered: the request gets 500, the others go on. */
  #hand(transaction: ServerTransaction): void {
    try {
      this.#user.onRequest(transaction);
    } catch (error) {
      const { request } = transaction;
      this.#note('sip.internal-error', 'RFC 3261 §21.5.1', request, request.method, error);
      transaction.respond(makeResponse(request, 500, this.#stateless.toTag(request)));
    }
  }

  #acknowledge(ack: SipRequest, way: Way, via: Via, key: string): void {
    const byBranch = via.params.get('branch')?.startsWith(MAGIC_COOKIE) ?? false;
    if (this.#invites.get(key)?.acknowledged(ack, byBranch)) return;
    if (this.#stateless.answeredWith(ack.toTag)) return;
    this.#user.onAck(ack, way);
  }

  /** RFC 3261 §9.2: the CANCEL is answered by itself, the INVITE by its user. */
  #cancel(cancel: SipRequest, way: Way, via: Via, key: string): void {
    const invite = this.#invites.get(serverKey(cancel, via, 'INVITE'));
    stampVia(cancel, via, way);
    const transaction = this.#openNonInvite(cancel, way, via, key);
    const toTag = this.#stateless.toTag(cancel);
    if (!invite) {
      this.#note('sip.cancel-unmatched', 'RFC 3261 §9.2', cancel);
      transaction.respond(makeResponse(cancel, 481, toTag));
      return;
    }
    transaction.respond(makeResponse(cancel, 200, invite.toTag ?? toTag));
    if (invite.finalStatus === undefined) invite.onCancel?.(cancel);
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
    if (this.#requests.size > 0) this.#sweepAfter(SWEEP_MS);
  }

  #sweepAfter(ms: number): void {
    this.#sweeping = true;
    this.clock.after(ms, () => this.#dropUnanswered());
  }
}
