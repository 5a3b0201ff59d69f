import type { SipResponse } from '../message/message.js';

/** Answers of class 4xx that tell the caller how to try again come first (RFC 3261 §16.7 step 6). */
const informative = [401, 407, 415, 420, 484];
/** Then what a user decided; last what only says that a device was not there. */
const uninformative = [480, 487, 408, 430];

/**
 * Orders final responses of failed branches, the best first: 6xx before all others, then the lowest class, then
 * within 4xx by {@link informative} and {@link uninformative}, else by code; a 503 after all other 5xx (RFC 3261 §16.7 step 6).
 * @returns a negative number when `a` is to be preferred.
 */
export function compareFinal(a: number, b: number): number {
  return rank(a) - rank(b);
}

function rank(status: number): number {
  const statusClass = Math.trunc(status / 100);
  if (statusClass === 6) return status - 600;
  const base = statusClass * 10_000;
  const first = informative.indexOf(status);
  if (first >= 0) return base + first;
  const last = uninformative.indexOf(status);
  if (last >= 0) return base + 9_000 + last;
  return status === 503 ? base + 9_000 : base + status;
}

/** One final response kept in the response context. */
export interface Candidate<T> {
  readonly response: SipResponse;
  readonly target: T;
}

/** The best of the candidates; of equals the one that came first. */
export function bestOf<T>(candidates: readonly Candidate<T>[]): Candidate<T> | undefined {
  let best: Candidate<T> | undefined;
  for (const candidate of candidates)
    if (!best || compareFinal(candidate.response.status, best.response.status) < 0) best = candidate;
  return best;
}

/**
 * A 401 or 407 goes upstream with the challenges of all other branches (RFC 3261 §16.7 step 7).
 * Changes `best`, which is already this proxy's own copy.
 */
export function aggregateChallenges(best: SipResponse, all: readonly SipResponse[]): void {
  if (best.status !== 401 && best.status !== 407) return;
  for (const response of all) {
    if (response === best || (response.status !== 401 && response.status !== 407)) continue;
    best.headers.copyFrom(response.headers, 'WWW-Authenticate');
    best.headers.copyFrom(response.headers, 'Proxy-Authenticate');
  }
}
