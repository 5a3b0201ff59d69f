import { TransientMap } from '../../base/transient-map.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Source } from '../stack.js';
import { AcceptedInvite, InviteClient, type InviteClientOwner } from './client-invite.js';
import { CompletedClient, NonInviteClient } from './client-non-invite.js';
import { makeCancel } from './derived.js';
import { longTime, type Environment } from './environment.js';
import { clientKey, newBranch } from './keys.js';
import type { ClientTransaction, ClientUser, NextHop } from './layer.js';
import { Outbound } from './outbound.js';

/** Nobody hears what becomes of a CANCEL: the response to its INVITE tells (RFC 3261 §9.1). */
const unheard: ClientUser = { onResponse: () => {}, onFailure: () => {} };

/** All client transactions of a layer (RFC 3261 §17.1). */
export class ClientTransactions implements InviteClientOwner {
  readonly clock: Environment['clock'];
  readonly timers: Environment['timers'];
  readonly transports: Environment['transports'];
  readonly notSent: Environment['notSent'];
  readonly #transactions = new TransientMap<
    InviteClient | NonInviteClient | AcceptedInvite | CompletedClient
  >();
  #waiting = 0;

  constructor({ clock, timers, transports, notSent }: Environment) {
    this.clock = clock;
    this.timers = timers;
    this.transports = transports;
    this.notSent = notSent;
  }

  /** Those that wait for a final response. */
  get running(): number {
    return this.#waiting;
  }

  send(request: SipRequest, hop: NextHop, user: ClientUser, branch = newBranch()): ClientTransaction {
    return this.#start(Outbound.start(this.transports, request, hop, branch), user);
  }

  sendStateless(request: SipRequest, hop: NextHop): void {
    Outbound.start(this.transports, request, hop, newBranch()).send((error) => {
      if (error) this.notSent(error, request, hop, false);
    });
  }

  /** The CANCEL of an INVITE is a transaction of its own, over the same hop, with the same Via (RFC 3261 §9.1). */
  sendCancel(outbound: Outbound, reason: string | undefined): void {
    this.#start(outbound.along(makeCancel(outbound.request, reason)), unheard);
  }

  clientEnded(key: string): void {
    this.#transactions.delete(key);
  }

  settled(): void {
    this.#waiting--;
  }

  completed(key: string): CompletedClient {
    return this.#leave(key, new CompletedClient(), this.timers.t4);
  }

  accepted(key: string, user: ClientUser): AcceptedInvite {
    return this.#leave(key, new AcceptedInvite(user), longTime(this.timers));
  }

  /** Puts what is left of a transaction in its place, for so many milliseconds. */
  #leave<T extends AcceptedInvite | CompletedClient>(key: string, rest: T, ms: number): T {
    this.#transactions.set(key, rest);
    this.clock.after(ms, () => {
      rest.state = 'terminated';
      this.clientEnded(key);
    });
    return rest;
  }

  /** Whether a request that has arrived is one that we send: it went from this server to itself. Nobody else can know its branch. */
  sends({ via, method }: SipRequest): boolean {
    return this.#transactions.has(clientKey(via.params.get('branch') ?? '', method));
  }

  /** @returns whether the response belongs to one of them (RFC 3261 §17.1.3). */
  receive(response: SipResponse, source: Source): boolean {
    const branch = response.via.params.get('branch') ?? '';
    const transaction = this.#transactions.get(clientKey(branch, response.cseq.method));
    transaction?.received(response, source);
    return transaction !== undefined;
  }

  #start(outbound: Outbound, user: ClientUser): ClientTransaction {
    const { method } = outbound.request;
    const key = clientKey(outbound.branch, method);
    const Kind = method === 'INVITE' ? InviteClient : NonInviteClient;
    const transaction = new Kind(key, outbound, user, this);
    this.#transactions.set(key, transaction);
    this.#waiting++;
    return transaction;
  }
}
