import type { Clock, Timer } from '../../base/clock.js';
import { buildResponse } from '../embedded/respond.js';
import { randomToken } from '../embedded/tokens.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Source } from '../stack.js';
import type { ClientFailure, ClientTransaction, ClientUser, NextHop } from '../transaction/layer.js';
import type { AdminLink } from './admin-link.js';

/** A CANCEL without a final response: the server forgets the INVITE after 32 seconds. */
const CANCELLED_MS = 33_000;

/** The server gives up after 32 seconds, and after a provisional response it may say nothing more. */
const UNANSWERED_MS = 40_000;

export interface ClientParts {
  readonly request: SipRequest;
  readonly hop: NextHop;
  readonly link: AdminLink;
  readonly source: Source;
  readonly user: ClientUser;
  readonly clock: Clock;
  /** Called once, when its final response has come or it has failed. */
  readonly onDone: (transaction: DrachtioClientTransaction) => void;
}

/** A request that a server sends for us. */
export class DrachtioClientTransaction implements ClientTransaction {
  readonly request: SipRequest;
  readonly hop: NextHop;
  readonly link: AdminLink;
  state: ClientTransaction['state'];
  /** The server's name for it, once it has taken the request. */
  id: string | undefined;
  readonly #parts: ClientParts;
  #patience: Timer | undefined;
  /** A CANCEL that waits for the server to take the request. */
  #cancel: { readonly reason: string | undefined } | undefined;

  constructor(parts: ClientParts) {
    this.request = parts.request;
    this.hop = parts.hop;
    this.link = parts.link;
    this.#parts = parts;
    this.state = parts.request.method === 'INVITE' ? 'calling' : 'trying';
    this.id = undefined;
    if (this.state === 'trying')
      this.#patience = parts.clock.after(UNANSWERED_MS, () => this.fail('timeout'));
  }

  get running(): boolean {
    return this.state === 'calling' || this.state === 'trying' || this.state === 'proceeding';
  }

  /** The server has taken the request. */
  taken(id: string): void {
    this.id = id;
    if (this.#cancel) this.#sendCancel(this.#cancel.reason);
  }

  cancel(reason?: string): void {
    if (!this.running || this.#cancel || this.request.method !== 'INVITE') return;
    this.#cancel = { reason };
    this.#patience = this.#parts.clock.after(CANCELLED_MS, () => this.fail('timeout'));
    if (this.id !== undefined) this.#sendCancel(reason);
  }

  responded(response: SipResponse): void {
    if (!this.running) {
      if (response.status >= 200 && response.status < 300)
        this.#parts.user.onResponse(response, this.#parts.source);
      return;
    }
    if (response.status < 200) this.state = 'proceeding';
    else this.#end(response.status < 300 && this.request.method === 'INVITE' ? 'accepted' : 'completed');
    this.#parts.user.onResponse(response, this.#parts.source);
  }

  /** A final response that nobody sent: the server cannot carry the request. */
  refuse(status: number, reason: string): void {
    this.responded(buildResponse(this.request, status, randomToken(), { reason }));
  }

  fail(failure: ClientFailure): void {
    if (!this.running) return;
    this.#end('terminated');
    this.#parts.user.onFailure(failure);
  }

  #end(state: ClientTransaction['state']): void {
    this.state = state;
    this.#patience?.cancel();
    this.#parts.onDone(this);
  }

  #sendCancel(reason: string | undefined): void {
    const { uri } = this.request;
    const field = reason === undefined ? '' : `Reason: ${reason}\r\n`;
    this.link.command(`sip|${this.id!}|`, Buffer.from(`CANCEL ${uri} SIP/2.0\r\n${field}\r\n`), () => {});
  }
}
