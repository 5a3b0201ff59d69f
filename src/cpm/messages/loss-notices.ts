import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { SessionCase } from '../../core/service.js';
import { cpmServices } from '../../identity/cpm-services.js';
import type { SipStack } from '../../sip/stack.js';
import { away } from './deferred-delivery.js';
import type { DeferredMessage } from './deferred-store.js';
import { lossNotification } from './notification.js';

export interface LossNoticesOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly log: Logger;
  /** Route values that lead from the messages' service on. */
  onward(sessionCase: SessionCase, user: { servedUser: string; set: string }): readonly string[];
}

/** Tells senders that a message which was acknowledged will not arrive, by a negative delivery notification (RFC 5438 §7.2.1.2). */
export class LossNotices {
  readonly #options: LossNoticesOptions;

  constructor(options: LossNoticesOptions) {
    this.#options = options;
  }

  /** @returns false when nobody could be told now and it is worth trying again. */
  async tell(message: DeferredMessage): Promise<boolean> {
    const { stack, clock, log } = this.#options;
    const notice = lossNotification(message, clock.now());
    if (notice === undefined) return true;
    const { recipient, sender, set } = message;
    const response = await stack.request(sender, {
      method: 'MESSAGE',
      headers: {
        From: `<${recipient}>`,
        To: `<${sender}>`,
        'P-Asserted-Identity': `<${recipient}>`,
        'P-Asserted-Service': cpmServices.message,
        'Content-Type': 'message/cpim',
        ...notice.headers,
      },
      body: notice.body,
      route: this.#options.onward('originating', { servedUser: recipient, set }),
    });
    if (response.status < 300) return true;
    log.warn({ id: message.id, status: response.status }, 'a sender could not be told of a lost message');
    return !away.has(response.status);
  }
}
