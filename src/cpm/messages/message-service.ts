import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { Next, Service, ServiceCall, ServiceSubject, SessionCase } from '../../core/service.js';
import { parseAor } from '../../identity/aor.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { innermostCpim, parseCpim, type CpimMessage } from '../../msrp/cpim/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import { splitList } from '../../sip/message/lexer.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { ProxyResult, SipStack } from '../../sip/stack.js';
import { nameContribution } from '../participating/identifiers.js';
import { refuse } from '../participating/refusal.js';
import { aimAtChosenDevice } from '../policy/chosen-device.js';
import type { Policies } from '../policy/policies.js';
import { away, DeferredDelivery } from './deferred-delivery.js';
import type { DeferredStore } from './deferred-store.js';
import type { DeliveryClaims } from './delivery-claims.js';
import './errors.js';
import { LossNotices } from './loss-notices.js';
import { MessagePolicy } from './message-policy.js';
import { sendAsPager } from './pager-delivery.js';

export interface MessageServiceOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly devices: RegisteredDevices;
  readonly deferred: DeferredStore;
  readonly policies: Policies;
  /** The domain, which warns. */
  readonly agent: string;
  /** Agreement with other nodes on the same store; undefined when there are none. */
  readonly claims: DeliveryClaims | undefined;
  /** Times that a device came back and a message failed, after which it lets those behind it pass. */
  readonly attempts: number;
  /** Whether each device of a user gets each message once, instead of the user. */
  readonly perDevice: boolean;
  /** Largest body of a pager mode message, in octets (RFC 3428 §8). */
  readonly largest: number;
  /** Seconds that a deferred message waits at most, and when its sender names no time. */
  readonly longestWait: number;
  /** Called after a message was stored for a user, of whom perhaps no device is there. */
  onDeferred?(set: string): Promise<void> | undefined;
  /** Route values that lead from this service to the devices of a user. */
  onward(sessionCase: SessionCase, user: { servedUser: string; set: string }): readonly string[];
}

/** Header fields that the recipient's device gets as they came; the others are of one hop or of one attempt. */
const kept = [
  'From', 'To', 'P-Asserted-Identity', 'Privacy', 'Accept-Contact', 'Reject-Contact', 'Conversation-ID',
  'Contribution-ID', 'InReplyTo-Contribution-ID', 'Subject', 'Date', 'Content-Type', 'Content-Disposition',
  'Content-Encoding', 'Content-Language', 'MIME-Version', 'User-Agent',
]; // prettier-ignore

const SWEEP_MS = 1_000;

/**
 * CPM standalone messages in pager mode, at both participating functions: the caller's side checks and names the message, the
 * callee's side keeps it while no device is there and delivers it, in the order sent, when one registers.
 */
export class MessageService implements Service {
  readonly name = 'cpm-messages';
  readonly #options: MessageServiceOptions;
  readonly #delivery: DeferredDelivery;
  readonly #losses: LossNotices;
  readonly #policy: MessagePolicy;
  readonly #unlisten: () => void;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: MessageServiceOptions) {
    this.#options = options;
    this.#policy = new MessagePolicy(options.clock);
    this.#losses = new LossNotices(options);
    this.#delivery = new DeferredDelivery({
      ...options,
      isQuiet: async (set) => (await options.policies.of(set)).doNotDisturb,
      send: (message, to, sequence) => sendAsPager(message, to, sequence, options),
      lost: (message) => this.#losses.tell(message),
    });
    this.#unlisten = options.devices.onChange(({ set, event }) => {
      if (event === 'registered' || event === 'created' || event === 'refreshed')
        this.#delivery.start(set, 'returned');
    });
    this.#scheduleSweep();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#unlisten();
    this.#delivery.close();
  }

  matches({ request }: ServiceSubject): boolean {
    return request.method === 'MESSAGE' && isPagerMessage(request);
  }

  async handle(call: ServiceCall, next: Next): Promise<void> {
    if (call.sessionCase === 'originating') await this.#originate(call, next);
    else await this.#terminate(call, next);
  }

  /** Hands out what was kept when this process, or another node, ended; called when messages can be sent. */
  resume(): Promise<void> {
    return this.#delivery.resume();
  }

  /** Removes a message that waits, and tells its sender. @returns whether it was there. */
  async discard(set: string, id: string): Promise<boolean> {
    const { deferred } = this.#options;
    const message = await deferred.get({ set, id });
    if (!message) return false;
    if (!(await this.#losses.tell(message)))
      this.#options.log.warn({ id }, 'the sender of a removed message was not told');
    return deferred.remove(message);
  }

  async #originate(call: ServiceCall, next: Next): Promise<void> {
    const { request, servedUser, set } = call;
    const { largest, policies } = this.#options;
    const refusal = this.#policy.ofSender(call, await policies.of(set));
    if (refusal !== undefined) {
      refuse(call, refusal, this.#options);
      return;
    }
    if (request.body.length > largest) throw this.#refused('cpm-message-too-large', request, servedUser);
    this.#cpim(request, servedUser);
    // they are the message's from here on, also when it is stored instead of sent
    const { headers } = request;
    nameContribution(headers, servedUser, request.to.uriText);
    headers.remove('P-Preferred-Service');
    headers.set('P-Asserted-Service', cpmServices.message);
    await next();
  }

  async #terminate(call: ServiceCall, next: Next): Promise<void> {
    const { request, response, sessionCase, servedUser, set } = call;
    const policy = await this.#options.policies.of(set);
    const refusal = this.#policy.ofRecipient(call, policy);
    if (refusal !== undefined) {
      if (refusal === 'silent') this.#swallow(call);
      else refuse(call, refusal, this.#options);
      return;
    }
    this.#cpim(request, servedUser);
    // a message for one device is for no other (RFC 5627 §3.3)
    if (request.requestUri.isSip && request.requestUri.params.has('gr')) {
      await next();
      return;
    }
    aimAtChosenDevice(request, policy);
    const seen = await this.#registered(set);
    // a message does not overtake those that wait
    const waits = (await this.#options.deferred.waiting(set)) > 0;
    const { perDevice } = this.#options;
    let mustDefer = sessionCase === 'terminating-unregistered' || waits || policy.doNotDisturb || perDevice;
    if (!mustDefer) await next({ takesOver: ({ status }: ProxyResult) => (mustDefer = away.has(status)) });
    if (!mustDefer) return;
    await this.#defer(request, servedUser, set);
    response.send(202);
    this.#options
      .onDeferred?.(set)
      ?.catch((error: unknown) =>
        this.#options.log.error({ err: error, set }, 'nobody was told of a stored message'),
      );
    // a device may have registered while the message was under way or being stored; behind others it is their next try
    if (waits || perDevice || (await this.#registered(set)) !== seen) this.#delivery.start(set, 'more');
  }

  /** The recipient wants to get nothing of this sender, and the sender to know nothing of that. */
  #swallow({ request, response, servedUser }: ServiceCall): void {
    this.#options.trail.record({
      code: 'cpm.message-swallowed',
      outcome: 'refused',
      clause: 'OMA CPM user preferences',
      subject: servedUser,
      trace: request.callId,
    });
    response.send(200);
  }

  /** Which devices are there and until when, to be compared. */
  async #registered(set: string): Promise<string> {
    const devices = await this.#options.devices.of(set);
    return devices.map(({ id, expiresAt }) => `${id} ${expiresAt}`).join();
  }

  /** The parsed body where it is a message/cpim. @throws ParleyError `cpm-message-malformed` */
  #cpim(request: SipRequest, subject: string): CpimMessage | undefined {
    if (!isCpim(request)) return undefined;
    try {
      const message = parseCpim(request.body);
      innermostCpim(request.body);
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

  /** Resolves when the message is committed. */
  async #defer(request: SipRequest, recipient: string, set: string): Promise<void> {
    const { clock, deferred, longestWait, trail } = this.#options;
    const now = clock.now();
    const wait = Math.min(request.number('Expires') ?? longestWait, longestWait);
    const headers: [string, string][] = [];
    for (const name of kept) for (const line of request.headers.lines(name)) headers.push([name, line]);
    if (!request.has('Date')) headers.push(['Date', new Date(now).toUTCString()]);
    await deferred.add({
      set,
      recipient,
      sender: senderOf(request),
      headers,
      body: Uint8Array.from(request.body),
      receivedAt: now,
      expiresAt: now + wait * 1000,
    });
    trail.record({
      code: 'cpm.message-deferred',
      outcome: 'accepted',
      clause: 'RFC 3428 §7',
      subject: recipient,
      trace: request.callId,
    });
  }

  #scheduleSweep(): void {
    this.#timer = this.#options.clock.after(SWEEP_MS, () => {
      void this.#delivery
        .sweep()
        .catch((error: unknown) =>
          this.#options.log.error({ err: error }, 'expired messages stay; it is tried again'),
        )
        .finally(() => {
          if (!this.#closed) this.#scheduleSweep();
        });
    });
  }
}

/** Marked as a CPM message, or a message/cpim that nobody marked (`sessions.md` §1: order of the marks). */
function isPagerMessage(request: SipRequest): boolean {
  for (const field of ['P-Asserted-Service', 'P-Preferred-Service']) {
    const services = request.headers.lines(field).flatMap(splitList);
    if (services.length > 0)
      return services.some((service) => service.trim().toLowerCase() === cpmServices.message);
  }
  return isCpim(request);
}

const isCpim = (request: SipRequest): boolean =>
  /^\s*message\/cpim\s*(?:;|$)/i.test(request.get('Content-Type') ?? '');

/** The asserted identity, else the From, canonical where it can be. */
function senderOf(request: SipRequest): string {
  const uri = (request.addresses('P-Asserted-Identity')[0] ?? request.from).uriText;
  try {
    return parseAor(uri);
  } catch (error) {
    if (error instanceof ParleyError) return uri;
    throw error;
  }
}
