import { parseNumber, parseParams } from '../message/lexer.js';
import type { SipMessage } from '../message/message.js';

/** The value of Subscription-State (RFC 6665 §8.2.3). */
export interface SubscriptionState {
  /** `active`, `pending`, `terminated` or an extension, lower case. */
  readonly state: string;
  /** Seconds the subscription has left, where the notifier says so. */
  readonly expires: number | undefined;
  readonly reason: string | undefined;
  /** Seconds before the subscriber should come again. */
  readonly retryAfter: number | undefined;
}

/** Reads Subscription-State; undefined when it is absent or cannot be read. */
export function subscriptionState(message: SipMessage): SubscriptionState | undefined {
  const text = message.get('Subscription-State');
  if (text === undefined) return undefined;
  const semicolon = text.indexOf(';');
  const state = (semicolon < 0 ? text : text.slice(0, semicolon)).trim().toLowerCase();
  if (state === '') return undefined;
  const params = semicolon < 0 ? undefined : parseParams(text, semicolon, 'Subscription-State');
  return {
    state,
    expires: parseNumber(params?.get('expires') ?? '', 0xffff_ffff),
    reason: params?.get('reason')?.toLowerCase(),
    retryAfter: parseNumber(params?.get('retry-after') ?? '', 0xffff_ffff),
  };
}

const ending: ReadonlySet<number> = new Set([
  404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604,
]);

/** Responses to SUBSCRIBE and NOTIFY in a dialog after which its subscription is over (RFC 6665 §4.1.2.2, §4.2.2). */
export function endsSubscription(status: number): boolean {
  return ending.has(status);
}
