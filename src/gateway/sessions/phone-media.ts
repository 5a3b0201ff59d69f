import {
  MsrpNegotiation,
  wholeMessages,
  type MediaProfile,
  type MsrpEndpoint,
  type WholeMessage,
} from '../../msrp/session/index.js';

/** Who takes what comes in the MSRP of a phone. */
export interface MediaListener {
  /** @returns the MSRP status of the message (RFC 4975 §10) */
  message(message: WholeMessage): Promise<number>;
  /** The peer is not connected and will not be. */
  lost(): void;
}

/** Our end of the MSRP session of a phone, whose dialog comes into being later. */
export class PhoneMedia {
  readonly negotiation: MsrpNegotiation;
  /** Resolves true when the peer is connected, false when it was not and will not be. */
  readonly connected: Promise<boolean>;
  #settle: (connected: boolean) => void = () => undefined;
  #listener: MediaListener | undefined;
  #before: Promise<unknown> = Promise.resolve();

  /** @param messageBytes octets of one message. @throws ParleyError `msrp-limit` */
  constructor(
    msrp: MsrpEndpoint,
    options: { readonly subject: string; readonly messageBytes: number; readonly profile: MediaProfile },
  ) {
    const { subject, messageBytes, profile } = options;
    this.connected = new Promise((resolve) => (this.#settle = resolve));
    const session = msrp.createSession({
      subject,
      receiver: wholeMessages(messageBytes, (message) => this.#take(message)),
      events: { bound: () => this.#settle(true), lost: () => this.#lost() },
    });
    this.negotiation = new MsrpNegotiation(session, { ...profile, maxSize: messageBytes });
  }

  listen(listener: MediaListener): void {
    this.#listener = listener;
  }

  /** Sends message/cpim. @returns the status of the peer's answer (RFC 4975 §10), 481 when the session is over */
  async send(octets: Uint8Array): Promise<number> {
    const { session } = this.negotiation;
    return session.isClosed ? 481 : session.send({ contentType: 'message/cpim', content: octets }).sent;
  }

  /** Asks to be called so (RFC 7701 §7). @returns the status of the answer */
  nickname(name: string): Promise<number> {
    // oxlint-disable-next-line no-control-regex
    const plain = name.replace(/[\x00-\x1f\x7f]/g, ' ').replace(/[\\"]/g, '\\$&');
    const octets = Buffer.from(plain, 'utf8').toString('latin1');
    return this.negotiation.session.ask('NICKNAME', `Use-Nickname: "${octets}"\r\n`);
  }

  close(): void {
    this.#settle(false);
    this.negotiation.session.close();
  }

  #lost(): void {
    this.#settle(false);
    this.#listener?.lost();
  }

  /** One after the other, in the order in which they came. */
  #take(message: WholeMessage): Promise<number> {
    const taken = this.#before.then(() => this.#listener?.message(message) ?? 481);
    this.#before = taken.catch(() => undefined);
    return taken;
  }
}
