import { ParleyError } from '../../base/errors.js';
import type { Outcome } from '../../base/trail.js';
import { aorDomain, isTelAor, type Aor } from '../../identity/aor.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { ICSI_REF, referenceValue } from '../../identity/feature-tags.js';
import {
  type Address,
  type ImpsServer,
  type MessageRecord,
  type RouteVerdict,
  type StatusCode,
  type UserId,
} from '../../imps/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import type { SipStack } from '../../sip/stack.js';
import type { AddressMap } from '../addresses/address-map.js';
import { cspStatus } from '../status-map.js';
import type { Traffic } from '../traffic.js';
import { toMime } from './content.js';
import type { Conversations } from './conversations.js';
import { cpimOf } from './cpim.js';
import { contributionId } from './identifiers.js';
import { InFlight, type InFlightOptions, type Outgoing } from './in-flight.js';
import type { LargeMessages } from '../sessions/large-messages.js';
import type { OpenSession } from '../sessions/open-session.js';
import type { Reports } from './reports.js';

export interface ToCpmOptions extends Omit<InFlightOptions, 'attempt' | 'failed'> {
  readonly stack: SipStack;
  readonly traffic: Traffic;
  readonly addresses: AddressMap;
  readonly devices: RegisteredDevices;
  readonly reports: Reports;
  readonly conversations: Conversations;
  readonly imps: () => ImpsServer;
  /** SIP domains of this server. */
  readonly domains: readonly string[];
  /** Whether an interworking function takes messages for a telephone number of nobody here. */
  interworks(number: string): Promise<boolean>;
  /** Anybody may be any user of the domain. */
  readonly openDomain: boolean;
  /** Host of the phones' own contacts. */
  readonly host: string;
  /** Largest body of a pager mode message, in octets. */
  readonly pagerBytes: number;
  readonly large: LargeMessages;
  /** GRUU of the device that an IMPS session is. */
  gruuOf(user: UserId, session: string): Promise<string | undefined>;
  /** The open session of a phone with a user. @param key of the user's registration set, else the address */
  session(phone: string, key: string): OpenSession | undefined;
  setOf(aor: string): Promise<string | undefined>;
  /** The identity of an IMPS user on the SIP side, undefined for one that has none. */
  identityOf(user: UserId): Promise<string | undefined>;
  /** Route values of a request for a user. */
  originating(user: { servedUser: string; set: string }): readonly string[];
}

/** A message as it goes to a CPM user. */
interface Letter extends Outgoing {
  /** Identity and registration set of the sender. */
  readonly from: { readonly uri: string; readonly set: string };
  /** Contribution-ID and Message-ID. */
  readonly id: string;
  readonly conversationId: string;
  /** message/cpim. */
  readonly body: Buffer;
}

/** No device could be reached. */
const away: ReadonlySet<number> = new Set([408, 430, 480, 503, 504]);

/** What a phone sends to a CPM user: in their open session, or as a CPM standalone message in pager or large message mode. */
export class ToCpm {
  readonly #options: ToCpmOptions;
  readonly #inFlight: InFlight;

  constructor(options: ToCpmOptions) {
    this.#options = options;
    this.#inFlight = new InFlight({
      ...options,
      attempt: (outgoing) => this.#send(outgoing),
      failed: ({ message, recipient }, status) => options.reports.failed(message, recipient, status),
    });
  }

  /** Decides on a message to a user; resolves `taken` when the SIP side has it, or it is committed until the SIP side answers. */
  async route(recipient: UserId, message: MessageRecord, address: Address): Promise<RouteVerdict> {
    const aor = await this.#destination(recipient, message, address);
    if (aor === undefined) return { kind: 'local' };
    const outgoing = { message, recipient, aor };
    try {
      toMime(message);
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      this.#note(outgoing, 'refused', error.code);
      return { kind: 'refused', status: cspStatus(error.sip) };
    }
    const status = await this.#inFlight.send(outgoing);
    if (status === undefined) this.#note(outgoing, 'noted', 'accepted');
    return status === undefined || status === 200 ? { kind: 'taken' } : { kind: 'refused', status };
  }

  /** Sends again what a process that ended had accepted. @param alone whether no other process works on the store */
  resume(limit: number, alone = false): Promise<void> {
    return this.#inFlight.resume(limit, alone);
  }

  close(): void {
    this.#inFlight.close();
  }

  /** One attempt. @returns what the phone hears of it */
  async #send(outgoing: Outgoing): Promise<StatusCode> {
    const { message, recipient } = outgoing;
    const { addresses, reports, clock } = this.#options;
    if (message.expiresAt <= clock.now()) return this.#done(outgoing, 542, 'expired');
    const letter = await this.#compose(outgoing);
    if (message.deliveryReport)
      await reports.expect(letter.id, message, recipient, await addresses.keyOf(outgoing.aor));
    const status = await this.#deliver(letter);
    if (status !== undefined && status !== 200 && message.deliveryReport) await reports.forget(letter.id);
    if (status !== undefined) return status;
    // the reports of the IMPS server are its own
    if (message.deliveryReport) await reports.forget(letter.id);
    return this.#done(outgoing, await this.#options.imps().keep(recipient, message), 'kept');
  }

  async #compose(outgoing: Outgoing): Promise<Letter> {
    const { message, recipient, aor } = outgoing;
    const from = await this.#sender(message);
    const id = contributionId(message.id, recipient);
    const body = cpimOf(message, {
      id,
      from: from.uri,
      to: aor,
      asks: message.deliveryReport ? 'positive-delivery, negative-delivery' : undefined,
    });
    const conversation = await this.#options.conversations.of(message.sender.user!, from.uri, aor);
    return { ...outgoing, from, id, conversationId: conversation, body };
  }

  /** In the open session, else in pager mode while it fits, else in large message mode. @returns undefined when it is for the IMPS server */
  async #deliver(letter: Letter): Promise<StatusCode | undefined> {
    const { body, message, aor } = letter;
    if (await this.#inSession(message, aor, body)) return this.#done(letter, 200, 'session');
    if (body.length > this.#options.pagerBytes) return this.#large(letter);
    const status = await this.#pager(letter);
    // it waits there: who asked for nothing still hears when it is lost (RFC 3428 §8)
    if (status === 202 && !message.deliveryReport) {
      const { addresses, reports } = this.#options;
      await reports.expect(letter.id, message, letter.recipient, await addresses.keyOf(aor));
    }
    return this.#done(letter, cspStatus(status), String(status));
  }

  async #pager({ message, from, aor, id, conversationId, body }: Letter): Promise<number> {
    const { clock, stack } = this.#options;
    const { status } = await stack.request(aor, {
      method: 'MESSAGE',
      headers: {
        From: `<${from.uri}>`,
        To: `<${aor}>`,
        'P-Asserted-Identity': `<${from.uri}>`,
        'P-Asserted-Service': cpmServices.message,
        'Accept-Contact': `*;${ICSI_REF}="${referenceValue([cpmServices.message])}"`,
        'Conversation-ID': conversationId,
        'Contribution-ID': id,
        Date: new Date(message.sentAt).toUTCString(),
        Expires: Math.max(1, Math.floor((message.expiresAt - clock.now()) / 1000)),
        'Content-Type': 'message/cpim',
      },
      body,
      route: this.#options.originating({ servedUser: from.uri, set: from.set }),
    });
    return status;
  }

  /** For a user who is away it waits in CPM, where whichever device comes first gets it; in the IMPS server where CPM keeps nothing. */
  async #large(letter: Letter): Promise<StatusCode | undefined> {
    const { recipient, message, from, aor, id, conversationId, body } = letter;
    const shared = (await this.#options.imps().users.find(recipient)) !== undefined;
    const gruu =
      message.senderSession && (await this.#options.gruuOf(message.sender.user!, message.senderSession));
    const status = await this.#options.large.send({
      from: { ...from, gruu },
      to: aor,
      contributionId: id,
      conversationId,
      octets: body,
    });
    // a refusal stands
    return shared && away.has(status) ? undefined : this.#done(letter, cspStatus(status), `large ${status}`);
  }

  /** Sends it in the session that the phone has with the user. @returns false when there is none, or the peer does not answer for it */
  async #inSession(message: MessageRecord, aor: Aor, body: Uint8Array): Promise<boolean> {
    const open = await this.#session(message, aor);
    return open !== undefined && (await open.send(body, this.#options.clock.now())) === 200;
  }

  async #session({ senderSession }: MessageRecord, aor: Aor): Promise<OpenSession | undefined> {
    if (senderSession === undefined) return undefined;
    return this.#options.session(senderSession, await this.#options.addresses.keyOf(aor));
  }

  /** True for a user that only the SIP side knows. */
  async knows(user: UserId): Promise<boolean> {
    const aor = await this.#options.addresses.toAor(user);
    return aor !== undefined && (await this.#options.setOf(aor)) !== undefined;
  }

  /** True for an address of another domain. */
  async mayKnow(user: UserId): Promise<boolean> {
    const aor = await this.#options.addresses.toAor(user);
    return aor !== undefined && this.#isForeign(aor);
  }

  #isForeign(aor: Aor): boolean {
    return !isTelAor(aor) && !this.#options.domains.includes(aorDomain(aor)!);
  }

  /** True for an address that is, by pair or rule, a SIP user's who shows nothing: not even the telephone number is his. */
  async claims(user: UserId, msisdn: string | undefined): Promise<boolean> {
    const { addresses, openDomain } = this.#options;
    const aor = openDomain ? undefined : await addresses.toAor(user);
    const set = aor === undefined ? undefined : await this.#options.setOf(aor);
    return set !== undefined && (msisdn === undefined || (await addresses.keyOf(`tel:${msisdn}`)) !== set);
  }

  /**
   * Where a message goes on the SIP side; undefined for what the IMPS server does by itself: a client that is named, a user without
   * SIP identity, and a user all of whose devices are phones of this server, of which its own rules choose.
   */
  async #destination(recipient: UserId, message: MessageRecord, address: Address): Promise<Aor | undefined> {
    const { addresses, imps, devices, host } = this.#options;
    if (message.sender.user === undefined || message.sender.group !== undefined) return undefined;
    if (address.client !== undefined || address.applicationId !== undefined) return undefined;
    const aor = await addresses.toAor(recipient);
    if (aor === undefined || (await this.#session(message, aor))) return aor;
    if ((await this.#options.setOf(aor)) === undefined) {
      const foreign = isTelAor(aor) ? await this.#options.interworks(aor) : this.#isForeign(aor);
      return foreign && !(await imps().users.find(recipient)) ? aor : undefined;
    }
    const registered = await devices.of(aor);
    const onlyPhones = registered.every(({ contact }) => contact.endsWith(`@${host}`));
    return registered.length > 0 && onlyPhones ? undefined : aor;
  }

  /** A user without SIP identity is a non-CPM principal, whose address is a `wv` URI (document 003 §5.1.1.2). */
  async #sender({ sender }: MessageRecord): Promise<{ uri: string; set: string }> {
    const user = sender.user!;
    const identity = await this.#options.identityOf(user);
    const set = identity === undefined ? undefined : await this.#options.setOf(identity);
    return identity === undefined || set === undefined ? { uri: user, set: user } : { uri: identity, set };
  }

  #done(outgoing: Outgoing, status: StatusCode, reason: string): StatusCode {
    this.#note(outgoing, status === 200 ? 'accepted' : 'refused', reason);
    return status;
  }

  #note({ message, recipient }: Outgoing, outcome: Outcome, reason: string): void {
    this.#options.traffic.note({
      direction: 'message-to-cpm',
      outcome,
      clause: 'CSP SendMessage, RFC 3428',
      subject: recipient,
      trace: message.id,
      reason,
    });
  }
}
