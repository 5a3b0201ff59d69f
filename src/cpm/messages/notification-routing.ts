import { ParleyError } from '../../base/errors.js';
import type { ServiceCall } from '../../core/service.js';
import type { CpimHead, CpimMessage } from '../../msrp/cpim/index.js';
import { imdnRequestOf, type Imdn } from '../../msrp/imdn.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import type { SipRequest } from '../../sip/message/message.js';
import { aimAtChosenDevice } from '../policy/chosen-device.js';
import { imdnsIn } from './imdns.js';
import type { MessageOrigin, MessageOrigins } from './message-origins.js';

export interface NotificationRoutingOptions {
  readonly devices: RegisteredDevices;
  readonly origins: MessageOrigins;
  /** Key of the registration set of a user here, undefined for anybody else. */
  setOf(aor: string): Promise<string | undefined>;
}

/** A notification on its way to the device that asked for it. */
export interface RoutedNotification {
  /** What is new in it: one, or some of those that a list server put together (RFC 5438 §8.3). */
  readonly imdns: readonly Imdn[];
  readonly from: string;
  /** Undefined when the message is not known here. */
  readonly origin: MessageOrigin | undefined;
}

/** Brings disposition notifications (RFC 5438) back to the device that sent the message, once each. */
export class NotificationRouting {
  readonly #options: NotificationRoutingOptions;

  constructor(options: NotificationRoutingOptions) {
    this.#options = options;
  }

  /**
   * Notes which device sends a message, where that asks for notifications: the one of the binding that it came from, else that whose
   * GRUU is its Contact, which a MESSAGE rarely has (RFC 3428 §4).
   */
  async sent(call: ServiceCall, head: CpimHead): Promise<void> {
    const messageId = askedFor(head);
    if (messageId !== undefined) await this.#note(call, messageId);
  }

  /** The same for one in large message mode, which goes past the server: it is known by its Contribution-ID alone. */
  async invited(call: ServiceCall): Promise<void> {
    const contributionId = call.request.get('Contribution-ID');
    if (contributionId !== undefined) await this.#note(call, contributionId);
  }

  async #note({ device: caller, set, request }: ServiceCall, id: string): Promise<void> {
    const device = hasInstance(caller) ? caller : await this.#byContact(set, request);
    if (device) await this.#options.origins.note(set, id, device);
  }

  /** The same at the recipient's side, for a message that came over MSRP in a session. @param sender identity. */
  async arrived(request: SipRequest, sender: string, head: CpimHead): Promise<void> {
    const messageId = askedFor(head);
    const set = messageId === undefined ? undefined : await this.#options.setOf(sender);
    const device = set === undefined ? undefined : await this.#byContact(set, request);
    if (device) await this.#options.origins.note(set!, messageId!, device);
  }

  /**
   * A message for a user, who may have asked for it.
   * @returns undefined when it is no notification; `repeated` for one that says what one before said.
   */
  async route(
    { request, set }: ServiceCall,
    message: CpimMessage,
  ): Promise<RoutedNotification | 'repeated' | undefined> {
    const imdns = read(message);
    if (imdns.length === 0) return undefined;
    const { origins } = this.#options;
    const from = (request.addresses('P-Asserted-Identity')[0] ?? request.from).uriText;
    const answered = request.get('InReplyTo-Contribution-ID');
    const origin =
      (await origins.of(set, imdns[0]!.messageId)) ??
      (answered === undefined ? undefined : await origins.of(set, answered));
    if (!origin) return { imdns, from, origin };
    const fresh = await origins.take(set, imdns, from);
    if (fresh.length === 0) return 'repeated';
    aimAtChosenDevice(request, { deliverTo: origin.instance });
    return { imdns: fresh, from, origin };
  }

  /** @param arrived whether the notification is with the device or stored: one that is not may come again. */
  async settled(set: string, { imdns, from, origin }: RoutedNotification, arrived: boolean): Promise<void> {
    if (origin) await this.#options.origins.settle(set, imdns, from, arrived);
  }

  /** The device whose GRUU, or address, is the Contact of a request. */
  async #byContact(set: string, { contacts }: SipRequest): Promise<MessageOrigin | undefined> {
    const uri = contacts[0]?.uriText;
    if (uri === undefined) return undefined;
    const { devices } = this.#options;
    const found =
      (await devices.at(uri, set)) ?? (await devices.of(set)).find(({ contact }) => contact === uri);
    return hasInstance(found) ? found : undefined;
  }
}

const hasInstance = <T extends { instance?: string | undefined; instanceKey?: string | undefined }>(
  device: T | undefined,
): device is T & MessageOrigin => device?.instance !== undefined && device.instanceKey !== undefined;

/** The Message-ID of a message that asks for notifications. */
function askedFor(head: CpimHead): string | undefined {
  const asked = imdnRequestOf(head);
  return asked && (asked.positiveDelivery || asked.negativeDelivery || asked.processing || asked.display)
    ? asked.messageId
    : undefined;
}

/** None for what is no notification, or cannot be read: it is passed on as it came. */
function read({ head, content }: CpimMessage): Imdn[] {
  try {
    return imdnsIn(head, content);
  } catch (error) {
    if (error instanceof ParleyError) return [];
    throw error;
  }
}
