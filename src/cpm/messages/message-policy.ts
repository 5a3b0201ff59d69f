import type { ServiceCall } from '../../core/service.js';
import { blockedCode, isBlocked } from '../policy/policies.js';
import type { MinuteRate } from '../policy/rate.js';
import type { UserPolicy } from '../policy/user-policy.js';
import '../participating/errors.js';
import './errors.js';

/** Judges pager mode messages by preferences and policy of a user. */
export class MessagePolicy {
  readonly #rate: MinuteRate;

  /** @param rate counts the messages of users, those in large message mode too. */
  constructor(rate: MinuteRate) {
    this.#rate = rate;
  }

  /** At the sender's function. @returns the code of a refusal. */
  ofSender({ request, set }: ServiceCall, policy: UserPolicy): string | undefined {
    if (!request.has('P-Asserted-Identity')) return 'cpm-no-identity';
    if (!policy.services.includes('messages')) return 'cpm-not-entitled';
    if (isBlocked(policy, [request.uri])) return 'cpm-blocked-by-sender';
    if (isTooLarge(request.body, policy)) return 'cpm-size-exceeded';
    const { messagesPerMinute } = policy;
    if (messagesPerMinute !== undefined && !this.#rate.take(set, messagesPerMinute))
      return 'cpm-too-many-messages';
    return undefined;
  }

  /** At the recipient's function. @returns the code of a refusal, or `silent` for a message that ends here untold. */
  ofRecipient({ request }: ServiceCall, policy: UserPolicy): string | undefined {
    if (!policy.services.includes('messages')) return 'cpm-not-entitled';
    const senders = [...request.addresses('P-Asserted-Identity'), request.from].map(({ uriText }) => uriText);
    if (isBlocked(policy, senders)) return policy.blockedAnswer === 'silent' ? 'silent' : blockedCode(policy);
    return isTooLarge(request.body, policy) ? 'cpm-size-exceeded' : undefined;
  }
}

const isTooLarge = (body: Uint8Array, { maxBytes }: UserPolicy): boolean =>
  maxBytes !== undefined && body.length > maxBytes;
