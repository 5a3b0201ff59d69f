import { TransientMap } from '../../base/transient-map.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import type { SipRequest } from '../message/message.js';
import type { Dialog } from '../stack.js';
import { dialogKey } from './state.js';

/** A dialog as the stack sees it. */
export interface DialogUser {
  /** A request of the peer inside the dialog, other than ACK and CANCEL. */
  receive(request: InboundRequest, response: InboundResponse): void;
  receiveAck(ack: SipRequest): void;
  /** The stack is closing: the dialog ends here, without a word to the peer. */
  close(): void;
}

/** A client that waits for the dialogs its request makes: for a NOTIFY that comes before the 2xx (RFC 6665 §4.4.1). */
export interface Expectation {
  /** @returns false when the request makes no dialog of this client's. */
  receiveFirst(request: InboundRequest, response: InboundResponse): boolean;
}

/** All dialogs whose user agent is in this process, by their identifier (RFC 3261 §12). */
export class DialogTable {
  readonly #dialogs = new TransientMap<DialogUser>();
  /** By Call-ID and local tag. */
  readonly #expectations = new Map<string, Expectation>();
  /** Call-ID, From tag and CSeq of INVITEs that a UAS here has taken (RFC 3261 §8.2.2.2). */
  readonly #taken = new Set<string>();
  readonly #listeners: ((dialog: Dialog) => void)[] = [];

  get size(): number {
    return this.#dialogs.size;
  }

  add(key: string, dialog: DialogUser): void {
    this.#dialogs.set(key, dialog);
  }

  remove(key: string, dialog: DialogUser): void {
    if (this.#dialogs.get(key) === dialog) this.#dialogs.delete(key);
  }

  /** The dialog that a request of the peer belongs to. */
  find(request: SipRequest): DialogUser | undefined {
    if (this.#dialogs.size === 0) return undefined;
    return this.#dialogs.get(dialogKey(request.callId, request.toTag ?? '', request.fromTag ?? ''));
  }

  onConfirmed(listener: (dialog: Dialog) => void): void {
    this.#listeners.push(listener);
  }

  /** A dialog by INVITE has its 2xx. */
  confirmed(dialog: Dialog): void {
    for (const listener of this.#listeners) listener(dialog);
  }

  close(): void {
    for (const dialog of [...this.#dialogs.values()]) dialog.close();
  }

  expect(callId: string, localTag: string, expectation: Expectation): void {
    this.#expectations.set(`${callId}\n${localTag}`, expectation);
  }

  unexpect(callId: string, localTag: string): void {
    this.#expectations.delete(`${callId}\n${localTag}`);
  }

  expectation(request: SipRequest): Expectation | undefined {
    if (this.#expectations.size === 0) return undefined;
    return this.#expectations.get(`${request.callId}\n${request.toTag ?? ''}`);
  }

  /** Notes that a UAS takes that request. @returns false when it took it already, by another way: a merged request. */
  take(request: SipRequest): boolean {
    const key = mergeKey(request);
    if (this.#taken.has(key)) return false;
    this.#taken.add(key);
    return true;
  }

  release(request: SipRequest): void {
    this.#taken.delete(mergeKey(request));
  }
}

const mergeKey = (request: SipRequest): string =>
  `${request.callId}\n${request.fromTag ?? ''}\n${request.cseq.number}`;
