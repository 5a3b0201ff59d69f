import { bracketed } from '../base/endpoint.js';
import type { LocalEnd } from '../sip/embedded/wire.js';
import type { Listener, Source } from '../sip/stack.js';

/**
 * Where this server is reached, as the host and port of a SIP URI with `transport` where it is not UDP. UDP before TCP: a way back that
 * needs no connection, whose end would be the end of a dialog.
 * @param near the peer's side, if known.
 */
export function ownPlace(listeners: readonly Listener[], near?: Source): string {
  const found = (['udp', 'tcp', 'tls'] as const)
    .map((protocol) => listeners.find((listener) => listener.protocol === protocol))
    .find((listener) => listener !== undefined);
  if (!found) return 'localhost';
  const { protocol, port } = found;
  const address = concrete(found.address, near);
  return placeOf({ protocol, port, host: bracketed(address) });
}

export const placeOf = ({ protocol, host, port }: LocalEnd): string =>
  `${host}:${port}${protocol === 'udp' ? '' : `;transport=${protocol}`}`;

const wildcards = ['0.0.0.0', '::'];

/** A listener on all addresses is named by the one that the peer reached, else by loopback. */
function concrete(address: string, near: Source | undefined): string {
  if (!wildcards.includes(address)) return address;
  if (near && !wildcards.includes(near.localAddress)) return near.localAddress;
  return address === '::' ? '::1' : '127.0.0.1';
}
