import { ParleyError } from '../../base/errors.js';
import { locate } from '../embedded/outgoing.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import { postprocessRoutes } from './route.js';
import type { ProxyOptions, ProxyResult, ProxyTarget } from '../stack.js';
import { ResponseContext } from './context.js';
import type { ProxyEnvironment } from './environment.js';
import { loopHash, validateForProxy } from './validate.js';

/**
 * Forwards a request statefully (RFC 3261 §16). Its routes have been preprocessed.
 * A request that may not be forwarded is answered here, and the result says so.
 */
export function proxyRequest(
  environment: ProxyEnvironment,
  request: InboundRequest,
  response: InboundResponse,
  options: ProxyOptions,
): Promise<ProxyResult> {
  if (request.method === 'ACK') return forwardAck(environment, request, options.groups[0]?.[0]);
  if (response.finalStatus !== undefined) throw new ParleyError('sip-already-answered');
  const hash = loopHash(request);
  const refusal = validateForProxy(request, environment.names, hash);
  if (refusal) {
    const { status, code, clause } = refusal;
    environment.trail.record({ code, outcome: 'refused', clause, trace: request.callId });
    response.send(status, refusal.options);
    return Promise.resolve({ status, target: undefined, response: undefined });
  }
  return new Promise((resolve) => {
    new ResponseContext(environment, request, response, options, hash, resolve).start();
  });
}

/**
 * Forwards the ACK to a 2xx by its Route set; it has no transaction and no answer (RFC 3261 §13.2.2.4, §16.11).
 * @returns a result with status 0.
 */
function forwardAck(
  environment: ProxyEnvironment,
  ack: InboundRequest,
  target: ProxyTarget | undefined,
): Promise<ProxyResult> {
  const result = Promise.resolve({ status: 0, target, response: undefined });
  const left = ack.number('Max-Forwards', 255) ?? 71;
  if (left === 0 || !target) return result;
  const copy = ack.clone();
  copy.uri = target.uri;
  copy.headers.set('Max-Forwards', left - 1);
  if (target.route && target.route.length > 0) copy.headers.prepend('Route', target.route);
  target.edit?.(copy.headers);
  const uri = postprocessRoutes(copy);
  locate(environment, copy, uri, target.flow, (hops) => {
    const hop = typeof hops === 'string' ? undefined : hops[0];
    if (hop) environment.wire.transactions.sendStateless(copy, hop);
    else environment.log.info({ callId: ack.callId }, 'nowhere to send an ACK to');
  });
  return result;
}
