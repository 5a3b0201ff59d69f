import { isIPv6 } from 'node:net';
import { bracketed, endpoint } from '../../base/endpoint.js';
import type { LocalEnd } from '../embedded/wire.js';
import type { SipRequest } from '../message/message.js';
import type { Protocol, Source } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import type { AdminEvent } from './admin-event.js';
import type { AdminLink } from './admin-link.js';

const HOST_PORT = String.raw`(?:\[([^\]]+)\]|([^:|[\]]+)):(\d{1,5})`;
const FLOW = new RegExp(String.raw`^(udp|tcp|tls|ws|wss)\|drachtio/([^|]+)\|${HOST_PORT}$`);

/**
 * Where a request came from. The flow names the server and the peer's address there: drachtio-server uses the connection
 * from that address as long as it is open.
 */
export function sourceOf(link: AdminLink, event: AdminEvent, request: SipRequest): Source {
  const protocol = protocolOf(event, request);
  const end = localEndOf(link, { protocol, address: event.address, port: event.port });
  const { address, port } = event;
  return {
    protocol,
    address,
    port,
    localAddress: event.localAddress ?? end?.host.replace(/^\[|\]$/g, '') ?? '',
    localPort: event.localPort ?? end?.port ?? 0,
    flow: `${protocol}|drachtio/${link.name}|${endpoint(address, port)}`,
  };
}

/** WebSocket shows as TCP and an ACK has no protocol at all: the topmost Via, which the server has compared with the transport, says which. */
function protocolOf({ protocol }: AdminEvent, request: SipRequest): Protocol {
  const said = /^SIP\/2\.0\/(UDP|TCP|TLS|WSS|WS)/i.exec(request.get('Via') ?? '')?.[1]?.toLowerCase() as
    Protocol | undefined;
  if (said === 'ws' || said === 'wss') return said;
  return protocol === 'udp' || protocol === 'tcp' || protocol === 'tls' ? protocol : (said ?? 'udp');
}

/** The hop that a flow names and the name of its server; undefined for a flow of another stack. */
export function readFlow(flow: string): (NextHop & { readonly server: string }) | undefined {
  const match = FLOW.exec(flow);
  if (!match) return undefined;
  return {
    protocol: match[1] as Protocol,
    server: match[2]!,
    address: match[3] ?? match[4]!,
    port: Number(match[5]),
    flow,
  };
}

/** The listener of the server that peers behind that hop know: same protocol, same family, loopback for loopback. */
export function localEndOf(link: AdminLink, hop: NextHop): LocalEnd | undefined {
  const near = isNear(hop.address);
  const score = ({ protocol, address }: AdminLink['listeners'][number]): number =>
    (protocol === hop.protocol ? 4 : 0) +
    (isIPv6(address) === isIPv6(hop.address) ? 2 : 0) +
    (isNear(address) === near ? 1 : 0);
  let best = link.listeners[0];
  for (const listener of link.listeners) if (best && score(listener) > score(best)) best = listener;
  return best && { protocol: best.protocol, host: bracketed(best.address), port: best.port };
}

/** The URI that makes the server send there: field 5 of a `sip` command. */
export function hopUri({ protocol, address, port }: NextHop): string {
  return `sip:${port === 0 ? bracketed(address) : endpoint(address, port)};transport=${protocol}`;
}

const isNear = (address: string): boolean => address.startsWith('127.') || address === '::1';
