import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { aorDomain, isTelAor, parseAor } from '../../identity/aor.js';
import type { SipResponse } from '../../sip/message/message.js';
import type { Credentials, SipStack } from '../../sip/stack.js';
import '../errors.js';
import type { PhoneRegistration, Registrations } from './registrations.js';

export interface CoreRegistrationsOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  /** URI of the core. */
  readonly core: string;
  /** SIP domains of the users, the first one the home domain. */
  readonly domains: readonly string[];
  /** Host and port by which the core reaches this server. */
  place(): string;
  /** Key of the registration set of a user whom the core told of. */
  keyOf(aor: string): string | undefined;
  /** What the user proves itself with, where that is known. */
  credentialsOf(identity: string): Promise<Credentials | undefined>;
}

/** Part of a binding's life after which it is refreshed. */
const REFRESH_AFTER = 0.7;
/** Milliseconds before another attempt when the core could not be asked. */
const PAUSE_MS = 30_000;
/** No way to the core now, or it is overloaded; other refusals stand until the phone does something. */
const passing: ReadonlySet<number> = new Set([408, 430, 500, 503, 504]);

interface Running {
  cseq: number;
  timer: Timer | undefined;
}

/**
 * Phones at somebody else's registrar: the gateway sends REGISTER for them (RFC 3261 §10.2) with a Path to itself (RFC 3327), since only
 * the Path leads to the phone's contact, and the Instance ID (RFC 5627 §4.1).
 */
export class CoreRegistrations implements Registrations {
  readonly #options: CoreRegistrationsOptions;
  readonly #running = new Map<string, Running>();

  constructor(options: CoreRegistrationsOptions) {
    this.#options = options;
  }

  /** The core alone knows its users: every address of the domains may be one, and every telephone number. */
  setOf(aor: string): Promise<string | undefined> {
    const known = this.#options.keyOf(aor);
    if (known !== undefined) return Promise.resolve(known);
    const address = parseAor(aor);
    const here = isTelAor(address) || this.#options.domains.includes(aorDomain(address)!);
    return Promise.resolve(here ? aor : undefined);
  }

  /** @throws ParleyError `gateway-core-refused` */
  async register(phone: PhoneRegistration, again: () => void): Promise<void> {
    const asked = phone.contact.expires ?? 0;
    let response = await this.#send(phone, asked);
    const least = response.status === 423 ? response.number('Min-Expires') : undefined;
    if (least !== undefined) response = await this.#send(phone, Math.max(asked, least));
    const { status } = response;
    if (status < 300)
      this.#after(phone, grantedOf(response, phone.contact.uri, asked) * 1000 * REFRESH_AFTER, again);
    else {
      if (passing.has(status)) this.#after(phone, PAUSE_MS, again);
      throw new ParleyError('gateway-core-refused', String(status));
    }
  }

  /** The core knows, and what refreshes the registration in time is of this process. */
  stands(): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** @throws ParleyError `gateway-core-refused` */
  async remove(phone: PhoneRegistration): Promise<void> {
    const { status } = await this.#send(phone, 0);
    this.#running.get(phone.callId)?.timer?.cancel();
    this.#running.delete(phone.callId);
    if (status >= 300) throw new ParleyError('gateway-core-refused', String(status));
  }

  close(): void {
    for (const { timer } of this.#running.values()) timer?.cancel();
    this.#running.clear();
  }

  async #send(
    { identity, contact, callId, userAgent }: PhoneRegistration,
    expires: number,
  ): Promise<SipResponse> {
    const { stack, core, domains } = this.#options;
    const name = contact.deviceName === undefined ? '' : `"${contact.deviceName.replace(/["\\]/g, '')}" `;
    const auth = await this.#options.credentialsOf(identity);
    return stack.request(`sip:${domains[0]!}`, {
      method: 'REGISTER',
      headers: {
        From: `<${identity}>`,
        To: `<${identity}>`,
        'Call-ID': callId,
        CSeq: `${this.#next(callId)} REGISTER`,
        Contact: `${name}<${contact.uri}>${contact.params};expires=${expires}`,
        Path: `<sip:imps-gateway@${this.#options.place()};lr>`,
        Supported: 'path, gruu',
        Require: 'path',
        Expires: expires,
        'User-Agent': userAgent,
      },
      route: [`<${core};lr>`],
      ...(auth ? { auth } : {}),
    });
  }

  /** Rises over restarts too, as the binding outlives the process (RFC 3261 §10.2.4); a challenge takes two numbers. */
  #next(callId: string): number {
    const running = this.#running.get(callId) ?? { cseq: 0, timer: undefined };
    running.cseq = Math.max(running.cseq + 2, Math.floor(this.#options.clock.now() / 1000) % 0x7fff_ffff);
    this.#running.set(callId, running);
    return running.cseq;
  }

  #after({ callId }: PhoneRegistration, ms: number, again: () => void): void {
    const running = this.#running.get(callId);
    if (!running) return;
    running.timer?.cancel();
    running.timer = this.#options.clock.after(ms, again);
  }
}

/** Seconds that the registrar granted (RFC 3261 §10.2.1.1). */
function grantedOf(response: SipResponse, uri: string, asked: number): number {
  const contact = response.contacts.find(({ uriText }) => uriText === uri);
  const granted = Number(contact?.params.get('expires') ?? response.number('Expires') ?? asked);
  return Number.isFinite(granted) && granted > 0 ? granted : asked;
}
