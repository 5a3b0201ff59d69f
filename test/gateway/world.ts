import { Phone as ImpsPhone, type PhoneOptions } from '../imps/tools/phone.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone as SipPhone } from '../tools/phone.js';

/** Subscribers with a `wv:` address beside their SIP one. */
export const subscribers = ['alice', 'bob', 'carol'].map((name, index) => ({
  privateId: `${name}@ims.test`,
  password: `${name}-secret`,
  identities: [`sip:${name}@ims.test`, `tel:+1555010000${index + 1}`],
  imps: `wv:${name}@ims.test`,
}));

/** A whole server with both sides, and the phones of a test; all closed at its end. */
export class GatewayWorld {
  readonly parley: RunningParley;
  readonly #open: SipPhone[] = [];

  private constructor(parley: RunningParley) {
    this.parley = parley;
  }

  static async start(settings: Record<string, unknown> = {}): Promise<GatewayWorld> {
    const { sip, ...others } = settings;
    const calm = { overloadDelay: 60_000, ...(sip as object | undefined) };
    return new GatewayWorld(await startParley({ auth: 'none', subscribers, ...others, sip: calm }));
  }

  /** A SIP device, registered. */
  async sip(user: string, contactParams = ''): Promise<SipPhone> {
    const phone = await SipPhone.registered(user, this.parley.port, contactParams);
    this.#open.push(phone);
    return phone;
  }

  /** The same, not registered: a peer that speaks for the user. */
  async peer(user: string): Promise<SipPhone> {
    const phone = await SipPhone.open(user, this.parley.port);
    this.#open.push(phone);
    return phone;
  }

  /** An IMPS phone that has not logged in. */
  imps(name: string, options: Partial<PhoneOptions> = {}): ImpsPhone {
    const url = this.parley.app.imps!.csp.replace(/\/csp$/, '');
    return new ImpsPhone({ url, user: `wv:${name}@ims.test`, password: `${name}-secret`, ...options });
  }

  /** An IMPS phone that is logged in and a device. */
  async loggedIn(name: string, options: Partial<PhoneOptions> = {}): Promise<ImpsPhone> {
    const phone = await this.imps(name, options).start();
    await this.settled();
    return phone;
  }

  /** What sessions asked of the registrar is done. */
  settled(): Promise<void> {
    return this.parley.app.gateway!.phones.settled();
  }

  async registrations(user: string): Promise<readonly Record<string, unknown>[]> {
    const response = await fetch(
      `${this.parley.api}/api/v1/registrations/${encodeURIComponent(`sip:${user}@ims.test`)}`,
    );
    const body = (await response.json()) as { bindings?: Record<string, unknown>[] };
    return body.bindings ?? [];
  }

  async close(): Promise<void> {
    for (const phone of this.#open.splice(0)) phone.close();
    await this.parley.stop();
  }
}

/** Calls until it gives something, at most 30 seconds. */
export async function until<T>(what: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const end = Date.now() + 30_000;
  for (;;) {
    const found = await what();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error('it did not come within 30 seconds');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
