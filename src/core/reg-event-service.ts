import type { RegEventNotifier } from '../reg-event/notifier.js';
import type { SipRequest } from '../sip/message/message.js';
import type { Watchers } from './reg-event-watchers.js';
import type { Service, ServiceCall, ServiceSubject } from './service.js';

export interface RegEventServiceOptions {
  readonly notifier: RegEventNotifier;
  readonly watchers: Watchers;
  /** Home domains, lower-case. */
  readonly domains: readonly string[];
  /** Event packages that services here are the notifiers of. */
  packages(): readonly string[];
}

/**
 * Gives SUBSCRIBE for the reg event package to the notifier (3GPP TS 24.229 §5.4.2.1.1). Other event packages go to
 * the service that has them, else to the user's devices; when there is none, or no Event, 489 says which there are (RFC 6665 §7.2.1).
 */
export class RegEventService implements Service {
  readonly name = 'reg-event';
  readonly packages = ['reg'];
  readonly #options: RegEventServiceOptions;

  constructor(options: RegEventServiceOptions) {
    this.#options = options;
  }

  /** The S-CSCF is the notifier of its users: an application server that cannot serve reg must not come before it. */
  precedes({ request }: ServiceSubject): boolean {
    if (request.method !== 'SUBSCRIBE' || packageOf(request) !== 'reg') return false;
    const { scheme, host } = request.requestUri;
    return scheme === 'tel' || this.#options.domains.includes(host);
  }

  matches({ request, sessionCase }: ServiceSubject): boolean {
    if (request.method !== 'SUBSCRIBE' || sessionCase === 'originating') return false;
    const event = packageOf(request);
    if (event === 'reg' || event === '') return true;
    return sessionCase === 'terminating-unregistered' && !this.#options.packages().includes(event);
  }

  async handle({ request, response, set }: ServiceCall): Promise<void> {
    if (packageOf(request) !== 'reg') {
      response.send(489, { headers: { 'Allow-Events': this.#options.packages().join(', ') } });
      return;
    }
    const watcher = await this.#options.watchers.judge(request, set);
    await this.#options.notifier.subscribe({ request, response, set, watcher });
  }
}

const packageOf = (request: SipRequest): string =>
  (request.get('Event')?.split(';')[0] ?? '').trim().toLowerCase();
