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
  if (message.body.length === 0 || type === undefined) return undefined;
  // A copy, for the message too: its body may be a small part of a large buffer, a datagram or a slab of Node's pool, which would live as
  // long as the dialog that keeps the message.
  const body = Buffer.allocUnsafeSlow(message.body.length);
  body.set(message.body);
  message.body = body;
  return { body, type };
}
