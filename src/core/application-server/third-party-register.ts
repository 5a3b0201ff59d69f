import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import { parseAor } from '../../identity/aor.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';
import type { ToldContacts } from '../../reg-event/told-contacts.js';
import '../errors.js';
import { contactsTold } from './register-bodies.js';

/** Who wants to know which users are registered. */
export interface RegistrationWatcher {
  /** @param contacts that were told along, with their Instance IDs and GRUUs. */
  registered(aor: string, seconds: number, contacts: ToldContacts | undefined): Promise<void>;
  deregistered(aor: string): Promise<void>;
}

export interface ThirdPartyRegistrationsOptions {
  readonly trail: Trail;
  /** IP addresses of the core's nodes. */
  readonly trusted: ReadonlySet<string>;
  readonly watcher: RegistrationWatcher;
}

/** RFC 3261 §10.2.1.1: without Expires. */
const STANDARD_EXPIRES = 3_600;
const MAX_EXPIRES = 0xffff_ffff;

/**
 * Takes the REGISTER by which an S-CSCF tells its application server that a user is registered, still, or no longer
 * (3GPP TS 24.229 §5.7.1.1): To names the user, Expires how long.
 */
export class ThirdPartyRegistrations {
  readonly #options: ThirdPartyRegistrationsOptions;

  constructor(options: ThirdPartyRegistrationsOptions) {
    this.#options = options;
  }

  /** Answers when what it says is committed. @throws ParleyError `core-not-a-peer`, `aor-*`, `reg-event-too-many` */
  async handle(request: ServerRequest, response: ServerResponse): Promise<void> {
    const { trail, trusted, watcher } = this.#options;
    if (!trusted.has(request.source.address)) throw new ParleyError('core-not-a-peer');
    const aor = parseAor(request.to.uriText);
    const seconds = expiresOf(request);
    if (seconds > 0) await watcher.registered(aor, seconds, contactsTold(request));
    else await watcher.deregistered(aor);
    response.send(200, { headers: { Contact: request.headers.lines('Contact'), Expires: seconds } });
    trail.record({
      code: seconds > 0 ? 'core.user-registered' : 'core.user-deregistered',
      outcome: 'accepted',
      clause: '3GPP TS 24.229 §5.7.1.1',
      subject: aor,
      trace: request.callId,
    });
  }
}

function expiresOf(request: ServerRequest): number {
  const contact = request.headers.lines('Contact').includes('*') ? undefined : request.contacts[0];
  const own = contact?.params.get('expires');
  const text = own ?? request.get('Expires')?.trim();
  if (text === undefined || !/^\d{1,10}$/.test(text)) return STANDARD_EXPIRES;
  return Math.min(Number(text), MAX_EXPIRES);
}
