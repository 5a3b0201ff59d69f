import { ParleyError } from '../../base/errors.js';
import { invitedService } from '../../core/cpm-invitation.js';
import type { Next, Service, ServiceCall, ServiceSubject } from '../../core/service.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { hasIcsi } from '../../identity/feature-tags.js';
import { readCpimHead, type CpimHead } from '../../msrp/cpim/index.js';
import type { MsrpEndpoint } from '../../msrp/session/index.js';
import type { Trail } from '../../base/trail.js';
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import type { ProxyResult, SipStack } from '../../sip/stack.js';
import { announcedOctets, receiveLargeMessage } from '../large-message/index.js';
import { refuse } from '../participating/refusal.js';
import { aimAt, deviceNamedBy, takeAimOff } from '../policy/chosen-device.js';
import type { Policies } from '../policy/policies.js';
import type { ContentStore } from './content-store.js';
import type { Deferral } from './deferral.js';
import { away } from './deferred-delivery.js';
import { senderOf } from './deferred-headers.js';
import './errors.js';
import type { NotificationRouting } from './notification-routing.js';

export interface LargeMessageServiceOptions {
  readonly stack: SipStack;
  readonly endpoint: MsrpEndpoint;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly devices: RegisteredDevices;
  readonly policies: Policies;
  readonly deferral: Deferral;
  readonly contents: ContentStore;
  readonly notifications: NotificationRouting;
  /** The domain, which warns. */
  readonly agent: string;
  /** Octets of a message in large message mode at most. */
  readonly largest: number;
}

/** Octets in which the header sections of a message/cpim must end. */
const HEAD_OCTETS = 16_384;

/**
 * CPM standalone messages in large message mode at the recipient's participating function, behind the sessions' service: they go to a
 * device that can take them as any session does; where none is there the server takes the message itself and keeps it.
 */
export class LargeMessageService implements Service {
  readonly name = 'cpm-large-messages';
  readonly #options: LargeMessageServiceOptions;

  constructor(options: LargeMessageServiceOptions) {
    this.#options = options;
  }

  matches({ request, sessionCase }: ServiceSubject): boolean {
    return sessionCase !== 'originating' && invitedService(request) === cpmServices.largeMessage;
  }

  async handle(call: ServiceCall, next: Next): Promise<void> {
    const { request, set } = call;
    const { devices, policies, deferral } = this.#options;
    const here = await devices.of(set);
    const { doNotDisturb } = await policies.of(set);
    // a message for one device is for no other (RFC 5627 §3.3)
    if (request.requestUri.isSip && request.requestUri.params.has('gr')) {
      const device = doNotDisturb ? await devices.at(request.uri, set) : undefined;
      if (device?.instance === undefined) {
        await next();
        return;
      }
      aimAt(request, device.instance);
    }
    let mustTake =
      deferral.perDevice ||
      !here.some(({ features }) => hasIcsi(features, cpmServices.largeMessage)) ||
      doNotDisturb ||
      (await deferral.waits(set));
    if (!mustTake) await next({ takesOver: ({ status }: ProxyResult) => (mustTake = away.has(status)) });
    if (mustTake) await this.#take(call);
  }

  /** @throws ParleyError `large-message-*`, `msrp-limit` */
  async #take(call: ServiceCall): Promise<void> {
    const { request, response, set, servedUser } = call;
    const { deferral, policies, largest, log } = this.#options;
    const { maxBytes = Infinity } = await policies.of(set);
    const limit = Math.min(largest, maxBytes);
    if ((announcedOctets(request) ?? 0) > limit) {
      refuse(call, 'cpm-size-exceeded', this.#options);
      return;
    }
    const expiresAt = deferral.endOf(request);
    const status = await receiveLargeMessage(
      request,
      response,
      { ...this.#options, limit, subject: servedUser },
      ({ contentType }, octets) => this.#keep(call, contentType, octets, expiresAt),
    );
    if (status !== 200)
      log.info({ status, callId: request.callId }, 'a large message did not arrive, and its sender knows');
  }

  /** @returns the MSRP status: 200 when it is committed. */
  async #keep(
    { request, set, servedUser }: ServiceCall,
    contentType: string,
    octets: AsyncIterable<Buffer>,
    expiresAt: number,
  ): Promise<number> {
    const { contents, deferral, notifications, trail } = this.#options;
    const beginning = new Beginning(octets);
    const content = await contents.keep(set, beginning, expiresAt);
    try {
      const head = /^\s*message\/cpim/i.test(contentType) ? headOf(beginning.octets) : undefined;
      const body = beginning.octets.subarray(0, head?.length ?? 0);
      if (head) await notifications.arrived(request, senderOf(request), head);
      takeAimOff(request);
      const device = deviceNamedBy(request);
      await deferral.keep(request, {
        recipient: servedUser,
        set,
        contentType,
        body,
        content,
        device,
        expiresAt,
      });
      deferral.announce(set);
      deferral.start(set, 'more');
      return 200;
    } catch (error) {
      await contents.remove(set, content);
      if (!(error instanceof ParleyError)) throw error;
      trail.record({
        code: 'cpm.message-refused',
        outcome: 'refused',
        clause: 'OMA CPM conversation functions',
        subject: servedUser,
        trace: request.callId,
        detail: error.code,
      });
      return error.sip === 400 ? 400 : error.code === 'cpm-mailbox-full' ? 413 : 500;
    }
  }
}

/** Passes octets on and keeps the first ones. */
class Beginning implements AsyncIterable<Buffer> {
  readonly #source: AsyncIterable<Buffer>;
  readonly #kept: Buffer[] = [];
  #length = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source;
  }

  get octets(): Buffer {
    return Buffer.concat(this.#kept);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for await (const piece of this.#source) {
      if (this.#length < HEAD_OCTETS) {
        const part = piece.subarray(0, HEAD_OCTETS - this.#length);
        this.#kept.push(Buffer.from(part));
        this.#length += part.length;
      }
      yield piece;
    }
  }
}

/** The header sections, for notifications. @throws ParleyError `cpm-message-malformed` */
function headOf(beginning: Buffer): CpimHead {
  try {
    const head = readCpimHead(beginning);
    if (!head) throw new ParleyError('cpm-message-malformed', 'a header section does not end');
    return head;
  } catch (error) {
    if (!(error instanceof ParleyError) || error.code === 'cpm-message-malformed') throw error;
    throw new ParleyError('cpm-message-malformed', error.message);
  }
}
