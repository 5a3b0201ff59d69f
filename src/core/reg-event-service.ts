import { ParleyError } from '../base/errors.js';
import { parseAor } from '../identity/aor.js';
import type { RegEventNotifier } from '../reg-event/notifier.js';
import type { Registrar } from '../registrar/registrar.js';
import type { SipRequest } from '../sip/message/message.js';
import './errors.js';
import type { Service, ServiceCall, ServiceSubject } from './service.js';

export interface RegEventServiceOptions {
  readonly notifier: RegEventNotifier;
  readonly registrar: Registrar;
  /** IP addresses of nodes of the trust domain: P-CSCFs and application servers. */
  readonly trusted: ReadonlySet<string>;
}

/**
 * Gives SUBSCRIBE for the reg event package to the notifier (3GPP TS 24.229 §5.4.2.1.1). Other event packages go to the user's devices;
 * when there is none, or no Event, 489 says which package there is (RFC 6665 §7.2.1).
 */
export class RegEventService implements Service {
  readonly name = 'reg-event';
  readonly #options: RegEventServiceOptions;

  constructor(options: RegEventServiceOptions) {
    this.#options = options;
  }

  matches({ request, sessionCase }: ServiceSubject): boolean {
    if (request.method !== 'SUBSCRIBE' || sessionCase === 'originating') return false;
    const event = packageOf(request);
    return event === 'reg' || event === '' || sessionCase === 'terminating-unregistered';
  }

  async handle({ request, response, set }: ServiceCall): Promise<void> {
    if (packageOf(request) !== 'reg') {
      response.send(489, { headers: { 'Allow-Events': 'reg' } });
      return;
    }
    const watcher = (await this.#isUser(request, set))
      ? 'user'
      : this.#options.trusted.has(request.source.address)
        ? 'network'
        : 'stranger';
    await this.#options.notifier.subscribe({ request, response, set, watcher });
  }

  /** Whether an identity that the network asserts is one of the set that is watched. */
  async #isUser(request: SipRequest, set: string): Promise<boolean> {
    for (const { uriText } of request.addresses('P-Asserted-Identity')) {
      try {
        if ((await this.#options.registrar.setOf(parseAor(uriText))) === set) return true;
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error; // the URI of a server, say
      }
    }
    return false;
  }
}

const packageOf = (request: SipRequest): string =>
  (request.get('Event')?.split(';')[0] ?? '').trim().toLowerCase();
