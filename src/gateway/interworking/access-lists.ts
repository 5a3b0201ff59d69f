import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import type { Next, Service, ServiceCall, ServiceSubject } from '../../core/service.js';
import { refuse, swallow } from '../../cpm/participating/refusal.js';
import { blockedCode, type Policies } from '../../cpm/policy/policies.js';
import type { ImpsServer, UserId } from '../../imps/index.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { AddressMap } from '../addresses/address-map.js';

export interface AccessListsOptions {
  readonly trail: Trail;
  readonly policies: Policies;
  readonly addresses: AddressMap;
  readonly imps: () => ImpsServer;
  /** SIP domains of this server, the first one its name. */
  readonly domains: readonly string[];
}

/**
 * Block and grant lists of IMPS users hold for all their devices: whom they keep from the phones reaches no SIP device of the user
 * either. The answer is that of the user's block list as a CPM user.
 */
export class AccessLists implements Service {
  readonly name = 'imps-access';
  readonly #options: AccessListsOptions;

  constructor(options: AccessListsOptions) {
    this.#options = options;
  }

  matches({ request: { method }, sessionCase }: ServiceSubject): boolean {
    return sessionCase !== 'originating' && (method === 'MESSAGE' || method === 'INVITE');
  }

  async handle(call: ServiceCall, next: Next): Promise<void> {
    if (await this.#takes(call)) {
      await next();
      return;
    }
    const { trail, policies, domains } = this.#options;
    const policy = await policies.of(call.set);
    if (policy.blockedAnswer === 'silent' && call.request.method === 'MESSAGE')
      swallow(call, 'cpm.message-swallowed', trail);
    else refuse(call, blockedCode(policy), { trail, agent: domains[0]! });
  }

  async #takes({ request, set }: ServiceCall): Promise<boolean> {
    const { addresses, imps } = this.#options;
    const owner = await addresses.findWv(set);
    const takes = owner && (await imps().accessOf(owner));
    if (!takes) return true;
    const senders = await Promise.all(sendersOf(request).map((uri) => this.#wvOf(uri)));
    return takes(senders.filter((one) => one !== undefined));
  }

  /** Undefined for an address that no list can have. */
  async #wvOf(uri: string): Promise<UserId | undefined> {
    try {
      return await this.#options.addresses.findWv(uri);
    } catch (error) {
      if (error instanceof ParleyError) return undefined;
      throw error;
    }
  }
}

/** In whose name it comes: what the network asserts and From, and of a focus who had it invite (RFC 3892). */
function sendersOf(request: SipRequest): readonly string[] {
  const isFocus = request.contacts.some(({ params }) => params.has('isfocus'));
  const named = isFocus ? request.addresses('Referred-By') : [];
  return [...request.addresses('P-Asserted-Identity'), request.from, ...named].map(({ uriText }) => uriText);
}
