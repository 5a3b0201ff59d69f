import { bad, parseParams, quote, skipToken, unquote, writeParams, type Params } from './lexer.js';
import { TOKEN } from './names.js';
import { deltaSeconds } from './times.js';

/** An Event value (RFC 6665 §8.2.1). */
export interface EventPackage {
  /** Package with its templates, `presence.winfo`; compared with case. */
  readonly type: string;
  readonly id: string | undefined;
  readonly params: Params;
}

/** @throws ParleyError `sip-bad-header` */
export function parseEvent(text: string): EventPackage {
  const end = skipToken(text, 0);
  if (end === 0) throw bad('Event', 'no event type');
  const params = parseParams(text, end, 'Event');
  return { type: text.slice(0, end), id: params.get('id') ?? undefined, params };
}

/** Whether two Event values name the same subscription inside a dialog: package and `id` (RFC 6665 §4.5.1, §8.2.1). */
export function sameEvent(a: EventPackage, b: EventPackage): boolean {
  return a.type === b.type && a.id === b.id;
}

/** A Subscription-State value (RFC 6665 §8.2.3). */
export interface SubscriptionState {
  /** `active`, `pending`, `terminated`, or a state to be treated as active; lower case. */
  readonly state: string;
  /** Seconds left. */
  readonly expires: number | undefined;
  /** `deactivated`, `probation`, `rejected`, `timeout`, `giveup`, `noresource`, `invariant`; lower case. */
  readonly reason: string | undefined;
  /** Seconds to wait before another subscription. */
  readonly retryAfter: number | undefined;
}

/** @throws ParleyError `sip-bad-header` */
export function parseSubscriptionState(text: string): SubscriptionState {
  const end = skipToken(text, 0);
  if (end === 0) throw bad('Subscription-State', 'no state');
  const params = parseParams(text, end, 'Subscription-State');
  const reason = params.get('reason');
  return {
    state: text.slice(0, end).toLowerCase(),
    expires: seconds(params, 'expires'),
    reason: reason ? unquote(reason).toLowerCase() : undefined,
    retryAfter: seconds(params, 'retry-after'),
  };
}

export function writeSubscriptionState({ state, expires, reason, retryAfter }: SubscriptionState): string {
  const params: Params = new Map();
  if (expires !== undefined) params.set('expires', String(expires));
  if (reason !== undefined) params.set('reason', TOKEN.test(reason) ? reason : quote(reason));
  if (retryAfter !== undefined) params.set('retry-after', String(retryAfter));
  return state + writeParams(params);
}

function seconds(params: Params, name: string): number | undefined {
  const text = params.get(name);
  if (text === undefined) return undefined;
  const value = deltaSeconds(text ?? '');
  if (value === undefined) throw bad('Subscription-State', `${name} is not a number of seconds`);
  return value;
}
