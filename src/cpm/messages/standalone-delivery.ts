import type { Clock } from '../../base/clock.js';
import type { SessionCase } from '../../core/service.js';
import { cpmServices } from '../../identity/cpm-services.js';
import type { MsrpEndpoint } from '../../msrp/session/index.js';
import type { RegisteredDevice, RegisteredDevices } from '../../reg-event/devices.js';
import type { SipStack } from '../../sip/stack.js';
import { sendLargeMessage } from '../large-message/index.js';
import type { ContentStore } from './content-store.js';
import { callIdOf, type Addressee } from './deferred-delivery.js';
import { deferredHeaders } from './deferred-headers.js';
import type { DeferredMessage } from './deferred-store.js';
import { modeFor, octetsOf, type MessageMode } from './device-modes.js';

export interface StandaloneDeliveryOptions {
  readonly stack: SipStack;
  readonly endpoint: MsrpEndpoint;
  readonly clock: Clock;
  readonly devices: RegisteredDevices;
  readonly contents: ContentStore;
  /** Octets of a pager mode message at most, for devices that ask for no more (RFC 3428 §8). */
  readonly pagerBytes: number;
  /** Route values that lead from the service of a mode to the devices of a user. */
  onward(
    sessionCase: SessionCase,
    user: { servedUser: string; set: string },
    mode: MessageMode,
  ): readonly string[];
}

/** Sends deferred messages to devices, in the mode that they can take. */
export class StandaloneDelivery {
  readonly #options: StandaloneDeliveryOptions;

  constructor(options: StandaloneDeliveryOptions) {
    this.#options = options;
  }

  /** The mode in which one of the devices can take the message; undefined when none can. */
  modeOf(message: DeferredMessage, devices: readonly RegisteredDevice[]): MessageMode | undefined {
    const came = message.content ? 'large' : 'pager';
    return modeFor(octetsOf(message), came, devices, this.#options.pagerBytes);
  }

  /** @param sequence CSeq of a MESSAGE. @returns the SIP status. */
  async send(message: DeferredMessage, to: Addressee, sequence: number): Promise<number> {
    const devices = to.device ? [to.device] : await this.#options.devices.of(message.set);
    switch (this.modeOf(message, devices)) {
      case 'pager':
        return this.#asPager(message, to, sequence);
      case 'large':
        return this.#asLarge(message, to);
      default:
        return 480;
    }
  }

  /**
   * A MESSAGE (RFC 3428). Call-ID, From tag and CSeq of an attempt whose answer was lost are used again, so that a device that has the
   * message knows it (RFC 3261 §8.2.2.2).
   */
  async #asPager(message: DeferredMessage, to: Addressee, sequence: number): Promise<number> {
    const { stack } = this.#options;
    const { recipient, set } = message;
    const response = await stack.request(to.device?.publicGruu ?? recipient, {
      method: 'MESSAGE',
      headers: {
        ...deferredHeaders(message, to, message.content && cpmServices.message),
        'Call-ID': callIdOf(message),
        CSeq: `${(message.unanswered?.sequence ?? 1) - 1 + sequence} MESSAGE`,
        'P-Asserted-Service': cpmServices.message,
      },
      body: message.content ? Buffer.concat(await this.#read(message)) : message.body,
      route: this.#options.onward('terminating-registered', { servedUser: recipient, set }, 'pager'),
    });
    return response.status;
  }

  async #asLarge(message: DeferredMessage, to: Addressee): Promise<number> {
    const { contents } = this.#options;
    const { recipient, set, content, body } = message;
    const headers = deferredHeaders(message, to, cpmServices.largeMessage);
    const outcome = await sendLargeMessage(
      {
        to: to.device?.publicGruu ?? recipient,
        route: this.#options.onward('terminating-registered', { servedUser: recipient, set }, 'large'),
        // the tag was of the sender's dialog
        headers: { ...headers, From: String(headers['From']).replace(/;tag=[^;]*/i, '') },
        contentType: message.headers.find(([name]) => name === 'Content-Type')?.[1] ?? 'text/plain',
        content: content ? contents.read(set, content) : body,
        size: octetsOf(message),
        messageId: callIdOf(message),
        subject: recipient,
      },
      this.#options,
    );
    // a device that is busy is so for now
    return outcome.by === 'invitation' && outcome.status === 486 ? 480 : outcome.status;
  }

  async #read({ set, content }: DeferredMessage): Promise<Uint8Array[]> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.#options.contents.read(set, content!)) pieces.push(piece);
    return pieces;
  }
}
