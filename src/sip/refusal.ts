import type { ParleyError } from '../base/errors.js';
import { shortReason } from './message/reason-phrases.js';
import type { SendOptions } from './stack.js';

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
