import type { ParleyError } from '../base/errors.js';
import type { Trail } from '../base/trail.js';
import { shortReason } from './message/reason-phrases.js';
import type { SendOptions, ServerRequest } from './stack.js';

/**
 * What an error says in the response that it turns into, beside its status: the reason phrase, and when to come again
 * (RFC 3261 §20.33) where the cause passes. Callers that met it together are spread over twice the time.
 */
export function refusalOf({ message, retryAfter }: ParleyError): SendOptions {
  const reason = shortReason(message);
  if (retryAfter === undefined) return { reason };
  const seconds = retryAfter + Math.trunc(Math.random() * (retryAfter + 1));
  return { reason, headers: { 'Retry-After': seconds } };
}

/** Says in the trail why a request is refused. */
export function recordRefusal(trail: Trail, request: ServerRequest, error: ParleyError): void {
  trail.record({
    code: error.code,
    outcome: 'refused',
    clause: error.clause ?? 'RFC 3261 §8.2',
    subject: askerOf(request),
    trace: request.callId,
    detail: `${request.method}: ${error.message}`,
  });
}

/** Whom a refusal is about: the identity to be registered, else who asks. */
export function askerOf(request: ServerRequest): string | undefined {
  try {
    const { uri } = request.method === 'REGISTER' ? request.to : request.from;
    return uri.isSip && uri.user !== undefined ? `sip:${uri.user}@${uri.host}` : undefined;
  } catch {
    return undefined; // a field that cannot be read may be why the request was refused
  }
}
