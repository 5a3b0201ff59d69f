import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { isCpim, isPagerMessage } from '../../core/cpm-invitation.js';
import type { Next, Service, ServiceCall, ServiceSubject } from '../../core/service.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { parseCpim, unwrapCpim, type CpimMessage } from '../../msrp/cpim/index.js';
import { IS_COMPOSING_TYPE } from '../../msrp/is-composing.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import { parseMediaType } from '../../sip/message/content.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { ProxyResult } from '../../sip/stack.js';
import type { InterworkingFunction } from '../interworking/function.js';
import type { InterworkingSelection } from '../interworking/selection.js';
import { nameContribution } from '../participating/identifiers.js';
import { refuse, swallow } from '../participating/refusal.js';
import { aimAt, aimAtChosenDevice, deviceNamedBy, takeAimOff } from '../policy/chosen-device.js';
import type { Policies } from '../policy/policies.js';
import type { UserPolicy } from '../policy/user-policy.js';
import type { Deferral } from './deferral.js';
import { away } from './deferred-delivery.js';
import type { DeferredMessage } from './deferred-store.js';
import { modeFor } from './device-modes.js';
import './errors.js';
import type { MessagePolicy } from './message-policy.js';
import type { NotificationRouting, RoutedNotification } from './notification-routing.js';

export interface MessageServiceOptions {
  readonly trail: Trail;
  readonly log: Logger;
  readonly devices: RegisteredDevices;
  readonly policies: Policies;
  readonly policy: MessagePolicy;
  readonly deferral: Deferral;
  readonly notifications: NotificationRouting;
  readonly interworking: InterworkingSelection;
  /** The domain, which warns. */
  readonly agent: string;
  /** Largest body of a pager mode message, in octets (RFC 3428 §8). */
  readonly pagerBytes: number;
}

/**
 * CPM standalone messages in pager mode, at both participating functions: the caller's side checks and names the message, the
 * callee's side keeps it while no device is there and delivers it, in the order sent, when one registers.
 */
export class MessageService implements Service {
  readonly name = 'cpm-messages';
  readonly #options: MessageServiceOptions;
  /** Bodies that the caller's side has read, for the callee's. */
  readonly #read = new WeakMap<Uint8Array, CpimMessage>();

  constructor(options: MessageServiceOptions) {
    this.#options = options;
  }

  matches({ request }: ServiceSubject): boolean {
    return isPagerMessage(request);
  }

  async handle(call: ServiceCall, next: Next): Promise<void> {
    if (call.sessionCase === 'originating') await this.#originate(call, next);
    else await this.#terminate(call, next);
  }

  async #originate(call: ServiceCall, next: Next): Promise<void> {
    const { request, servedUser, set } = call;
    const { pagerBytes, policies, policy, notifications } = this.#options;
    const refusal = policy.ofSender(call, await policies.of(set));
    if (refusal !== undefined) {
      refuse(call, refusal, this.#options);
      return;
    }
    if (request.body.length > pagerBytes) throw this.#refused('cpm-message-too-large', request, servedUser);
    const message = this.#cpim(request, servedUser);
    if (message) await notifications.sent(call, message.head);
    // they are the message's from here on, also when it is stored instead of sent
    const { headers } = request;
    nameContribution(headers, servedUser, request.to.uriText);
    headers.remove('P-Preferred-Service');
    headers.set('P-Asserted-Service', cpmServices.message);
    await next();
  }

  async #terminate(call: ServiceCall, next: Next): Promise<void> {
    const { request, servedUser, set } = call;
    const { policies } = this.#options;
    const policy = await policies.of(set);
    const refusal = this.#options.policy.ofRecipient(call, policy);
    if (refusal !== undefined) {
      if (refusal === 'silent') swallow(call, 'cpm.message-swallowed', this.#options.trail);
      else refuse(call, refusal, this.#options);
      return;
    }
    const message = this.#cpim(request, servedUser);
    // a message for one device is for no other (RFC 5627 §3.3)
    if (request.requestUri.isSip && request.requestUri.params.has('gr')) {
      const device = policy.doNotDisturb ? await this.#options.devices.at(request.uri, set) : undefined;
      if (device?.instance === undefined) {
        await next();
        return;
      }
      aimAt(request, device.instance);
    }
    const notification = message && (await this.#options.notifications.route(call, message));
    if (notification === 'repeated') {
      swallow(call, 'cpm.notification-repeated', this.#options.trail);
      return;
    }
    aimAtChosenDevice(request, policy);
    if (tellsOfComposing(request, message)) {
      // worth nothing later, and no message whose loss anybody has to be told of (RFC 3994)
      if (policy.doNotDisturb) refuse(call, 'cpm-do-not-disturb', this.#options);
      else await next();
      return;
    }
    try {
      await this.#deliver(call, next, policy, notification);
    } finally {
      const { finalStatus = 500 } = call.response;
      if (notification) await this.#options.notifications.settled(set, notification, finalStatus < 300);
    }
  }

  /** To the devices, or into the store. */
  async #deliver(
    call: ServiceCall,
    next: Next,
    policy: UserPolicy,
    notification: RoutedNotification | undefined,
  ): Promise<void> {
    const { request, response, sessionCase, servedUser, set } = call;
    const { devices, deferral, interworking, pagerBytes } = this.#options;
    const here = await devices.of(set);
    // a message does not overtake those that wait
    const waits = await deferral.waits(set);
    const converts = modeFor(request.body.length, 'pager', here, pagerBytes) === 'large';
    let mustDefer =
      sessionCase === 'terminating-unregistered' ||
      waits ||
      policy.doNotDisturb ||
      deferral.perDevice ||
      converts;
    let instead: InterworkingFunction | undefined;
    let unanswered: DeferredMessage['unanswered'];
    if (!mustDefer)
      await next({
        takesOver: async ({ status }: ProxyResult) => {
          if (status === 408) unanswered = { callId: request.callId, sequence: request.cseq.number };
          instead = await interworking.afterRefusal(call, status, here);
          return instead !== undefined || (mustDefer = away.has(status));
        },
      });
    if (instead) await interworking.retry(instead, call);
    if (!mustDefer) return;
    if (!notification?.origin) takeAimOff(request);
    await deferral.keep(request, {
      recipient: servedUser,
      set,
      body: request.body,
      device: notification?.origin?.instanceKey ?? deviceNamedBy(request),
      unanswered,
      expiresAt: deferral.endOf(request),
    });
    response.send(202);
    deferral.announce(set);
    // a device may have registered while the message was under way or being stored; behind others it is their next try
    if (waits || deferral.perDevice || converts || seen(await devices.of(set)) !== seen(here))
      deferral.start(set, 'more');
  }

  /** The parsed body where it is a message/cpim. @throws ParleyError `cpm-message-malformed` */
  #cpim(request: SipRequest, subject: string): CpimMessage | undefined {
    if (!isCpim(request)) return undefined;
    const { body } = request;
    const known = this.#read.get(body);
    if (known) return known;
    try {
      const message = parseCpim(body);
      unwrapCpim(message);
      this.#read.set(body, message);
      return message;
    } catch (error) {
      if (error instanceof ParleyError)
        throw this.#refused('cpm-message-malformed', request, subject, error.message);
      throw error;
    }
  }

  #refused(code: string, request: SipRequest, subject: string, detail?: string): ParleyError {
    this.#options.trail.record({
      code: 'cpm.message-refused',
      outcome: 'refused',
      clause: 'OMA CPM conversation functions',
      subject,
      trace: request.callId,
      detail: code,
    });
    return new ParleyError(code, detail);
  }
}

/** Whether a message only says that its sender is composing one (RFC 3994), bare or as message/cpim. */
const tellsOfComposing = (request: SipRequest, message: CpimMessage | undefined): boolean =>
  (message ? message.head.mediaType : parseMediaType(request.get('Content-Type') ?? 'text/plain').type) ===
  IS_COMPOSING_TYPE;

/** Which devices are there and until when, to be compared. */
const seen = (devices: readonly { readonly id: string; readonly expiresAt?: number }[]): string =>
  devices.map(({ id, expiresAt }) => `${id} ${expiresAt}`).join();
