import type { InboundRequest } from '../embedded/inbound.js';
import type { LocalNames } from '../embedded/local-names.js';
import { parseAddress } from '../message/address.js';
import type { SipRequest } from '../message/message.js';
import { parseUri, type SipUri } from '../message/uri.js';
import type { RecordRoutes } from './record-route.js';

/** What a proxy needs to know itself by. */
export interface Self {
  readonly names: LocalNames;
  readonly recordRoutes: RecordRoutes;
}

/**
 * Route information preprocessing (RFC 3261 §16.4), done once for every request that has a Route, a `maddr` or one of
 * our Record-Route URIs: afterwards the Request-URI is the target and the topmost Route is somebody else's.
 * @throws ParleyError on a Route or Request-URI that cannot be read.
 */
export function preprocessRoutes(request: InboundRequest, self: Self): void {
  let marked = undoStrictRouting(request, self);
  if (request.uri.includes('maddr')) stripOwnMaddr(request, self);
  while (request.headers.has('Route')) {
    const { uri, uriText } = parseAddress(request.headers.list('Route')[0] ?? '', 'Route');
    if (!self.names.has(uri.host, uri.port)) break;
    const mark = self.recordRoutes.read(uri, request.callId);
    // a second own Route is taken off only as the other half of a double Record-Route (RFC 5658 §4)
    if (request.ownRoute !== undefined && !(marked && mark)) break;
    request.headers.shift('Route');
    request.ownRoute = uriText;
    if (!mark) break;
    marked = true;
    noteFlow(request, mark.flow);
  }
  request.recordRouted = marked;
}

/** A strict router put our Record-Route URI into the Request-URI; the target is the last Route. */
function undoStrictRouting(request: InboundRequest, self: Self): boolean {
  if (!request.uri.includes(':rr.') || !request.headers.has('Route')) return false;
  const uri = request.requestUri;
  const mark = self.names.has(uri.host, uri.port) ? self.recordRoutes.read(uri, request.callId) : undefined;
  if (!mark) return false;
  const routes = request.headers.list('Route');
  const last = parseAddress(routes.pop() ?? '', 'Route').uriText;
  if (routes.length > 0) request.headers.set('Route', routes);
  else request.headers.remove('Route');
  request.ownRoute = request.uri;
  request.uri = last;
  noteFlow(request, mark.flow);
  return true;
}

/** The flow that a request came over is the side it leaves, not the one it goes to (RFC 5626 §5.3). */
function noteFlow(request: InboundRequest, flow: string | undefined): void {
  request.routeFlow = flow === request.source.flow ? undefined : flow;
}

function stripOwnMaddr(request: InboundRequest, self: Self): void {
  const uri = request.requestUri;
  const maddr = uri.param('maddr');
  if (maddr === undefined) return;
  const { protocol, localPort } = request.source;
  const transport = uri.param('transport')?.toLowerCase() ?? (uri.scheme === 'sips' ? 'tls' : 'udp');
  const port = uri.port ?? (transport === 'tls' ? 5061 : 5060);
  if (transport !== protocol || port !== localPort || !self.names.has(maddr.toLowerCase(), port)) return;
  const plain = uri.clone();
  plain.params.delete('maddr');
  plain.params.delete('transport');
  plain.port = undefined;
  request.uri = plain.toString();
}

/**
 * Makes a request whose topmost Route is a strict router fit for it: that URI becomes the Request-URI, and the
 * Request-URI the last Route (RFC 3261 §16.6 step 6, §12.2.1.1).
 * @returns the URI whose server the request goes to: its topmost Route says, else its Request-URI.
 */
export function postprocessRoutes(request: SipRequest): SipUri {
  const top = request.headers.has('Route') ? request.headers.list('Route')[0] : undefined;
  if (top === undefined) return request.requestUri;
  const { uri, uriText } = parseAddress(top, 'Route');
  if (uri.params.has('lr')) return uri;
  request.headers.shift('Route');
  request.headers.append('Route', `<${request.uri}>`);
  request.uri = uriText;
  return parseUri(uriText);
}
