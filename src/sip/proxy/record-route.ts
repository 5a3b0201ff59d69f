import { Mac } from '../../base/mac.js';
import { ownUri } from '../embedded/contact.js';
import type { LocalEnd } from '../embedded/wire.js';
import type { SipUri } from '../message/uri.js';

const PREFIX = 'rr.';
const MARK_CHARACTERS = 12;

/** What one of our Record-Route URIs says when it comes back in a Route. */
export interface RouteMark {
  /** The flow to the user agent on that side of the proxy (RFC 5626 §5.3), where it needs one. */
  readonly flow: string | undefined;
}

/**
 * Makes and knows the URIs that this proxy puts into Record-Route. Their user part is signed together with the
 * Call-ID: a request that carries one belongs to a dialog that passed here, and nobody can name a flow of his choice
 * (RFC 5626 §5.2). No state is kept for it (RFC 3261 §16.4).
 */
export class RecordRoutes {
  readonly #mac: Mac;

  /** @param secret the same on every node that may get requests of one dialog. */
  constructor(secret: string | Uint8Array) {
    this.#mac = new Mac(secret, MARK_CHARACTERS);
  }

  /** A Record-Route value (`<sip:…;lr>`) for the side of the proxy that `end` is on. */
  value(end: LocalEnd, secure: boolean, callId: string, flow?: string): string {
    const mark = this.#mac.of(marked(callId, flow));
    const token = flow === undefined ? mark : `${mark}.${Buffer.from(flow).toString('base64url')}`;
    return `<${ownUri(end, PREFIX + token, secure)};lr>`;
  }

  /** Reads a URI that came in a Route or Request-URI; undefined when this proxy did not make it for that Call-ID. */
  read(uri: SipUri, callId: string): RouteMark | undefined {
    if (!uri.user?.startsWith(PREFIX)) return undefined;
    const [given = '', encodedFlow] = uri.user.slice(PREFIX.length).split('.');
    const flow = encodedFlow === undefined ? undefined : Buffer.from(encodedFlow, 'base64url').toString();
    return this.#mac.isOf(marked(callId, flow), given) ? { flow } : undefined;
  }
}

const marked = (callId: string, flow = ''): string => `${callId}\n${flow}`;
