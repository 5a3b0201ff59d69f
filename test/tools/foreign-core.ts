import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import { startParley, type RunningParley } from './parley.js';
import { Phone } from './phone.js';
import type { SipPeer } from './sip-peer.js';

const NAME = 'scscf';

/** An S-CSCF of somebody else, played by a test, with the Parley that stands behind it as its application server. */
export class ForeignCore {
  readonly parley: RunningParley;
  readonly #phone: Phone;
  #notified = 100;

  private constructor(parley: RunningParley, phone: Phone) {
    this.parley = parley;
    this.#phone = phone;
  }

  /** @param settings of the Parley. */
  static async start(settings: Record<string, unknown> = {}): Promise<ForeignCore> {
    // the core's port is known before Parley starts, and Parley's before the core sends
    const phone = await Phone.open(NAME, 0);
    try {
      return await ForeignCore.#before(phone, settings);
    } catch (error) {
      phone.close();
      throw error;
    }
  }

  static async #before(phone: Phone, settings: Record<string, unknown>): Promise<ForeignCore> {
    const parley = await startParley({
      roles: ['participating', 'controlling'],
      foreignCore: { uri: `sip:127.0.0.1:${phone.peer.port}` },
      ...settings,
    });
    return new ForeignCore(parley, phone.towards(parley.port));
  }

  /** The same core before another node of the Parley; to be closed is only that. */
  another(settings: Record<string, unknown>): Promise<ForeignCore> {
    return ForeignCore.#before(this.#phone, settings);
  }

  get peer(): SipPeer {
    return this.#phone.peer;
  }

  get port(): number {
    return this.#phone.peer.port;
  }

  /** A Route value of the core, with an original dialog identifier of its own. */
  get route(): string {
    return `<sip:dialog-7@127.0.0.1:${this.port};lr>`;
  }

  /** A Route value of the Parley. */
  get server(): string {
    return `<sip:127.0.0.1:${this.parley.port};lr>`;
  }

  close(): Promise<void> {
    this.#phone.close();
    return this.parley.stop();
  }

  /** Third-party REGISTER. */
  async register(user: string, expires: number, headers: HeaderMap = {}, body = ''): Promise<number> {
    const callId = this.#phone.send(
      'REGISTER',
      `sip:127.0.0.1:${this.parley.port}`,
      { To: `<sip:${user}@ims.test>`, Expires: expires, ...headers },
      body,
    );
    // the SUBSCRIBE that follows may overtake its 200
    return (await this.#phone.peer.finalTo(callId)).status;
  }

  send(method: string, uri: string, headers: HeaderMap = {}, body = ''): string {
    return this.#phone.send(method, uri, headers, body);
  }

  response(): Promise<SipResponse> {
    return this.#phone.peer.response(200);
  }

  /** The next request of a method, answered. */
  answer(method: string, status = 200, headers: HeaderMap = {}): Promise<SipRequest> {
    return this.#phone.answer(method, status, headers);
  }

  /** The next request of a method; its answer is left to who asks. */
  unanswered(method: string): Promise<SipRequest> {
    return this.#phone.peer.request(method);
  }

  /** Sends a request on as a proxy does, with other header fields. */
  forward(request: SipRequest, headers: HeaderMap): void {
    const copy = request.clone();
    copy.headers.prepend('Via', [`SIP/2.0/UDP 127.0.0.1:${this.port};branch=z9hG4bKproxy${request.callId}`]);
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) copy.headers.set(name, value);
    this.#phone.peer.send(copy, this.parley.port);
  }

  get unread(): readonly string[] {
    return this.#phone.peer.unread.map((message) =>
      'method' in message ? String(message.method) : 'response',
    );
  }

  /** NOTIFY inside a subscription. @returns the status it is answered with. */
  async notify(subscribe: SipRequest, body: string, state = 'active;expires=600'): Promise<number> {
    this.#phone.send(
      'NOTIFY',
      subscribe.contacts[0]!.uriText,
      {
        From: `${subscribe.get('To')};tag=tag-${NAME}`,
        To: subscribe.get('From'),
        'Call-ID': subscribe.callId,
        CSeq: `${++this.#notified} NOTIFY`,
        Event: 'reg',
        'Subscription-State': state,
        ...(body !== '' && { 'Content-Type': 'application/reginfo+xml' }),
      },
      body,
    );
    return (await this.#phone.peer.finalTo(subscribe.callId)).status;
  }

  /** Registers a user and takes the SUBSCRIBE that follows. */
  async subscribed(user = 'alice', expires = 600): Promise<SipRequest> {
    expect(await this.register(user, expires)).toBe(200);
    return this.answer('SUBSCRIBE', 200, { Expires: '600' });
  }

  /** Contacts of all users as the API lists them. */
  async contacts(): Promise<readonly string[]> {
    return (await this.devices()).map(({ contact }) => contact);
  }

  /** The same with all that is known of each. */
  async devices(): Promise<readonly { readonly contact: string }[]> {
    const { registrations } = (await (await fetch(`${this.parley.api}/api/v1/registrations`)).json()) as {
      registrations: { bindings: { contact: string }[] }[];
    };
    return registrations.flatMap(({ bindings }) => bindings);
  }
}

/** A document with contacts `sip:alice@127.0.0.1:PORT`; a port below zero is one that went. */
export function reginfoOf(version: number, state: 'full' | 'partial', ...ports: number[]): string {
  const contacts = ports.map(
    (port) =>
      `<contact id="c${Math.abs(port)}" state="${port > 0 ? 'active' : 'terminated'}" event="${port > 0 ? 'registered' : 'expired'}">` +
      `<uri>sip:alice@127.0.0.1:${Math.abs(port)}</uri></contact>`,
  );
  const life = ports.some((port) => port > 0) || state === 'partial' ? 'active' : 'terminated';
  return (
    `<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="${version}" state="${state}">` +
    `<registration aor="sip:alice@ims.test" id="a" state="${life}">${contacts.join('')}</registration></reginfo>`
  );
}

export const reginfoFixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/reginfo/${name}.xml`, import.meta.url), 'utf8');
