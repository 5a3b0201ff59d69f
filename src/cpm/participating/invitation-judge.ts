import { orNone, ParleyError } from '../../base/errors.js';
import { cpmServiceOf, invitedService } from '../../core/cpm-invitation.js';
import type { ServiceCall } from '../../core/service.js';
import { cpmServices, type CpmService } from '../../identity/cpm-services.js';
import { parseGruu } from '../../identity/gruu.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { MsrpMedia } from '../../msrp/sdp/index.js';
import { unquote } from '../../sip/message/lexer.js';
import type { SipRequest } from '../../sip/message/message.js';
import '../messages/errors.js';
import { blockedCode, isBlocked } from '../policy/policies.js';
import type { MinuteRate } from '../policy/rate.js';
import type { Entitlement, UserPolicy } from '../policy/user-policy.js';
import { announcedSize } from './offer.js';
import type { SessionRecords } from './session-records.js';

const entitlementFor: ReadonlyMap<CpmService, Entitlement> = new Map([
  [cpmServices.session, 'sessions'],
  [cpmServices.largeMessage, 'large-messages'],
  [cpmServices.fileTransfer, 'file-transfer'],
]);

/** Whether an invitation may go on, by the rights, preferences and policy of its caller and its callee (OMA CPM §5.2.3.1.1). */
export class InvitationJudge {
  readonly #records: Pick<SessionRecords, 'count'>;
  readonly #largeBytes: number;
  readonly #rate: MinuteRate;

  /**
   * @param largeBytes octets of a message in large message mode.
   * @param rate counts the messages of users, those in pager mode too.
   */
  constructor(records: Pick<SessionRecords, 'count'>, largeBytes: number, rate: MinuteRate) {
    this.#records = records;
    this.#rate = rate;
    this.#largeBytes = largeBytes;
  }

  /** What the caller's function asks, in the order of the reference. @returns the code of a refusal. */
  async ofCaller(
    { request, set, device }: ServiceCall,
    policy: UserPolicy,
    ringing: number,
  ): Promise<string | undefined> {
    if (!request.has('P-Asserted-Identity')) return 'cpm-no-identity';
    const wanted = entitlementOf(request);
    if (!policy.services.includes(wanted)) return 'cpm-not-entitled';
    if (isForged(request, device)) return 'cpm-forged-instance';
    if (isBlocked(policy, [request.uri])) return 'cpm-blocked-by-sender';
    if (await this.#isFull(set, policy, ringing)) return 'cpm-too-many-sessions';
    const { messagesPerMinute } = policy;
    if (
      wanted === 'large-messages' &&
      messagesPerMinute !== undefined &&
      !this.#rate.take(set, messagesPerMinute)
    )
      return 'cpm-too-many-messages';
    return undefined;
  }

  /** @param ringing undefined where the session will take the place of one that the callee has. */
  async ofCallee(
    { request, set }: ServiceCall,
    policy: UserPolicy,
    ringing: number | undefined,
  ): Promise<string | undefined> {
    const wanted = entitlementOf(request);
    if (!policy.services.includes(wanted)) return 'cpm-not-entitled';
    const senders = [...request.addresses('P-Asserted-Identity'), request.from].map(({ uriText }) => uriText);
    if (isBlocked(policy, senders)) return blockedCode(policy);
    // a message waits instead
    if (policy.doNotDisturb && wanted !== 'large-messages') return 'cpm-do-not-disturb';
    if (ringing !== undefined && (await this.#isFull(set, policy, ringing))) return 'cpm-too-many-sessions';
    return undefined;
  }

  /**
   * What is offered, at either function, with the invitation and later: the service that was named may not hide a file (RFC 5547 §6;
   * in large message mode a selector only tells the size). @returns the code of a refusal.
   */
  ofOffer(wanted: Entitlement, offers: readonly MsrpMedia[], policy: UserPolicy): string | undefined {
    const isFile = wanted !== 'large-messages' && offers.some(({ file }) => file !== undefined);
    if (isFile && !policy.services.includes('file-transfer')) return 'cpm-not-entitled';
    const largest = this.largest(wanted, policy);
    return offers.some((offer) => (announcedSize(offer) ?? 0) > largest) ? 'cpm-size-exceeded' : undefined;
  }

  async #isFull(set: string, { maxSessions }: UserPolicy, ringing: number): Promise<boolean> {
    if (maxSessions === undefined) return false;
    return ringing + (await this.#records.count(set, maxSessions + 1)) >= maxSessions;
  }

  /** Octets of a message or file. */
  largest(wanted: Entitlement, { maxBytes = Infinity }: UserPolicy): number {
    return wanted === 'large-messages' ? Math.min(this.#largeBytes, maxBytes) : maxBytes;
  }
}

/** The right that an invitation needs. */
export function entitlementOf(request: SipRequest): Entitlement {
  if (cpmServiceOf(request) === cpmServices.groupSession) return 'groups';
  return entitlementTo(invitedService(request));
}

/** The right that a service needs: that of sessions unless it is another. */
export function entitlementTo(service: string | undefined): Entitlement {
  return entitlementFor.get(service as CpmService) ?? 'sessions';
}

/** Whether Contact names another device than the one that sent the request (OMA CPM §5.1.1.3). */
function isForged(request: SipRequest, device: ServiceCall['device']): boolean {
  const contact = request.contacts[0];
  const claimed = contact?.params.get('+sip.instance');
  if (!device || contact === undefined) return false;
  const { instanceKey, grs } = device;
  const gruu = orNone(() => parseGruu(contact.uriText));
  if (gruu?.kind === 'public' && grs.length > 0 && !grs.some((gr) => sameGr(gr, gruu.gr))) return true;
  if (!claimed) return false;
  try {
    const instance = InstanceId.parse(unquote(claimed));
    return instance.key !== instanceKey && !grs.includes(instance.urn);
  } catch (error) {
    if (error instanceof ParleyError) return true;
    throw error;
  }
}

const sameGr = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
