import { parseNumber } from './lexer.js';

const MOST_SECONDS = 0xffff_ffff;

/** `delta-seconds` (RFC 3261 §25.1) from 0 to 2**32 - 1, or undefined. */
export function deltaSeconds(text: string): number | undefined {
  return parseNumber(text.trim(), MOST_SECONDS);
}

/** An Expires value or `expires` parameter in seconds; a malformed one counts as 3600 (RFC 3261 §10.2.1.1, §20.10). */
export function parseExpires(text: string): number {
  return deltaSeconds(text) ?? 3600;
}

const RETRY_AFTER = /^\d{1,20}/;

/** The seconds of a Retry-After value, comment and parameters left aside (RFC 3261 §20.33); undefined when it has none. */
export function retryAfterSeconds(text: string): number | undefined {
  const digits = RETRY_AFTER.exec(text)?.[0];
  if (digits === undefined || /^[0-9]/.test(text.slice(digits.length))) return undefined;
  return deltaSeconds(digits);
}
