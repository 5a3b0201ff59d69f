import type { SipRequest } from '../message/message.js';
import type { NextHop } from '../transaction/layer.js';
import { hopUri } from './flows.js';
import type { DrachtioServerTransaction } from './server-transaction.js';

/** Methods whose requests the server sends over the connection that it remembers for user and host of the Request-URI. */
const remembered: ReadonlySet<string> = new Set(['INVITE', 'OPTIONS', 'NOTIFY', 'MESSAGE']);
const MAX_HOMES = 200_000;

/**
 * A server remembers one connection for each `user@host` of a Contact that registered or subscribed over it, and prefers it
 * to the connection that we name. Behind one address (two phones of a home, two homes with one private network) the device
 * that registered last would get everything.
 */
export class ContactHomes {
  /** The flow of the last one, by user and host. */
  readonly #last = new Map<string, string>();

  /** A request was answered. */
  answered({ request, source, finalStatus }: DrachtioServerTransaction): void {
    if (source.protocol === 'udp' || finalStatus === undefined || finalStatus >= 300) return;
    if (request.method !== 'REGISTER' && request.method !== 'SUBSCRIBE') return;
    const contact = request.contacts[0]?.uri;
    if (!contact?.isSip) return;
    const key = `${contact.user ?? ''}@${contact.host}`;
    this.#last.delete(key);
    this.#last.set(key, source.flow);
    if (this.#last.size > MAX_HOMES) this.#last.delete(this.#last.keys().next().value ?? '');
  }

  /**
   * Where the server would take the wrong connection, the request with the address in its URI that the device has for the
   * server, as a proxy in front of a NAT writes it; the user part stays.
   */
  readdressed(request: SipRequest, hop: NextHop): SipRequest {
    if (!remembered.has(request.method)) return request;
    const { user, host, isSip } = request.requestUri;
    const last = isSip ? this.#last.get(`${user ?? ''}@${host}`) : undefined;
    if (last === undefined || last === hop.flow) return request;
    const copy = request.clone();
    copy.uri = hopUri(hop).replace('sip:', user === undefined ? 'sip:' : `sip:${user}@`);
    return copy;
  }
}
