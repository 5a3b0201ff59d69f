import { ParleyError } from '../../base/errors.js';
import { cpmServiceOf, preferences } from '../../core/cpm-invitation.js';
import { announcedSize, msrpOffer } from '../../cpm/participating/offer.js';
import type { Policies } from '../../cpm/policy/policies.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { hasIcsi, SIP_INSTANCE } from '../../identity/feature-tags.js';
import { takesMessages, type UserId } from '../../imps/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { Phone } from '../devices/phones.js';

/** What a phone may be invited to: one message, or many, with one user or with a group. */
export type InvitationKind = 'large-message' | 'session' | 'group';

export interface AdmissionOptions {
  readonly policies: Policies;
  readonly devices: RegisteredDevices;
  /** Host of the phones' own contacts. */
  readonly host: string;
  /** Octets of one message. */
  readonly messageBytes: number;
  setOf(aor: string): Promise<string | undefined>;
  identityOf(user: UserId): Promise<string | undefined>;
}

/** Which invitations are taken for phones. */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Whether phones of a user register the session service. @param set key of the registration set */
  async offersSessions(set: string): Promise<boolean> {
    return (await this.#options.policies.of(set)).phoneSessions !== 'refuse';
  }

  /**
   * @returns what the invitation is to, when the phone takes it
   * @throws ParleyError `gateway-session-refused`, `gateway-session-elsewhere`, `gateway-phone-away`, `cpm-size-exceeded`
   */
  async admit(request: SipRequest, { session }: Phone): Promise<InvitationKind> {
    const kind = kindOf(request);
    if (!takesMessages(session)) throw new ParleyError('gateway-session-refused');
    const size = announcedSize(msrpOffer(request)?.first) ?? 0;
    if (size > this.#options.messageBytes) throw new ParleyError('cpm-size-exceeded');
    const identity = await this.#options.identityOf(session.user);
    const set = identity === undefined ? undefined : await this.#options.setOf(identity);
    if (identity === undefined || set === undefined) throw new ParleyError('gateway-phone-away');
    const { phoneSessions } = await this.#options.policies.of(set);
    if (kind !== 'large-message' && phoneSessions === 'refuse')
      throw new ParleyError('gateway-session-refused');
    // a group asks the phone, which does not take it from other devices before it has answered
    if (kind === 'group' || namesDevice(request)) return kind;
    if (kind === 'session' && phoneSessions === 'accept') return kind;
    const service = kind === 'session' ? cpmServices.session : cpmServices.largeMessage;
    if (await this.#hasOther(identity, service)) throw new ParleyError('gateway-session-elsewhere');
    return kind;
  }

  /** Whether a device of the user that is no phone of ours has a service. */
  async #hasOther(identity: string, service: string): Promise<boolean> {
    const all = await this.#options.devices.of(identity);
    return all.some(
      ({ contact, features }) => !contact.endsWith(`@${this.#options.host}`) && hasIcsi(features, service),
    );
  }
}

function kindOf(request: SipRequest): InvitationKind {
  const service = cpmServiceOf(request);
  // RFC 3840 §9: the Contact of a focus
  const isFocus = request.contacts.some(({ params }) => params.has('isfocus'));
  if (service === cpmServices.groupSession || isFocus) return 'group';
  const large = service === cpmServices.largeMessage || service === cpmServices.largeMessageToGroup;
  return large ? 'large-message' : 'session';
}

/** Whether the caller means one device: by its GRUU (RFC 7315 §4.2), or as preference (RFC 3841 §7.2.4). */
function namesDevice(request: SipRequest): boolean {
  return (
    /;gr(?:[=;>]|$)/i.test(request.get('P-Called-Party-ID') ?? '') ||
    preferences(request, 'Accept-Contact').some(({ terms }) => terms.some(({ tag }) => tag === SIP_INSTANCE))
  );
}
