import type { SipMessage } from '../message/message.js';

/** A session description with its Content-Type. */
export interface Description {
  readonly body: Uint8Array;
  readonly type: string;
}

/** The session descriptions that either side has given last, and what the peer says it takes. */
export class Descriptions {
  local: Description | undefined;
  #remote: Description | undefined;
  #allow = '';

  /** A message that we send. */
  said(message: SipMessage): void {
    this.local = descriptionOf(message) ?? this.local;
  }

  /** A message of the peer. */
  heard(message: SipMessage): void {
    this.#remote = descriptionOf(message) ?? this.#remote;
    if (message.has('Allow')) this.#allow = message.headers.list('Allow').join(',').toUpperCase();
  }

  /** True when that message of the peer carries no other description than the one before it. */
  isUnchanged(message: SipMessage): boolean {
    if (message.body.length === 0) return true;
    return this.#remote !== undefined && Buffer.compare(message.body, this.#remote.body) === 0;
  }

  peerAllows(method: string): boolean {
    return this.#allow.split(',').includes(method);
  }
}

function descriptionOf(message: SipMessage): Description | undefined {
  const type = message.get('Content-Type');
  // a copy: what arrived may be a small part of a large buffer, which would live as long as the dialog
  return message.body.length > 0 && type !== undefined
    ? { body: Uint8Array.from(message.body), type }
    : undefined;
}
