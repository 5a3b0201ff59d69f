import { needsFlow } from '../embedded/contact.js';
import type { InboundRequest } from '../embedded/inbound.js';
import { hostOf } from '../embedded/local-names.js';
import type { LocalEnd } from '../embedded/wire.js';
import type { SipRequest } from '../message/message.js';
import { parseUri } from '../message/uri.js';
import type { NextHop } from '../transaction/layer.js';
import type { ProxyEnvironment } from './environment.js';

/** The caller's side of a record-routed request. */
export interface Legs {
  readonly end: LocalEnd;
  /** Set when the caller is a user agent that only its own flow reaches. */
  readonly flow: string | undefined;
}

/** Looks at the side that a request came from. */
export function callerLeg(request: InboundRequest, environment: ProxyEnvironment): Legs {
  const { source } = request;
  const end = environment.wire.localEnd({
    protocol: source.protocol,
    address: source.address,
    port: source.port,
    flow: source.flow,
  });
  return { end, flow: needsFlow(request) ? source.flow : undefined };
}

/**
 * Puts this proxy into the route set of the dialog that may come of the request: once, or once for each side when they
 * differ in transport, address or port, or when a side is reached by its flow only (RFC 3261 §16.6 step 4, RFC 5658 §4).
 */
export function recordRoute(
  request: SipRequest,
  hop: NextHop,
  caller: Legs,
  environment: ProxyEnvironment,
): void {
  const { recordRoutes, wire } = environment;
  const { callId } = request;
  const secure = /^sips:/i.test(request.uri) || /^\s*<sips:/i.test(request.get('Route') ?? '');
  const end = wire.localEnd(hop);
  const flow = hop.flow !== undefined && calleeNeedsFlow(request, hop) ? hop.flow : undefined;
  const same =
    end.protocol === caller.end.protocol && end.host === caller.end.host && end.port === caller.end.port;
  if (same && flow === undefined && caller.flow === undefined) {
    request.headers.prepend('Record-Route', recordRoutes.value(end, secure, callId));
    return;
  }
  request.headers.prepend('Record-Route', [
    recordRoutes.value(end, secure, callId, flow),
    recordRoutes.value(caller.end, secure, callId, caller.flow),
  ]);
}

function calleeNeedsFlow(request: SipRequest, hop: NextHop): boolean {
  if (hop.protocol !== 'udp') return true;
  return parseUri(request.uri).host !== hostOf(hop.address);
}
