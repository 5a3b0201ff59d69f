import { aorDomain, isTelAor, type Aor } from '../../identity/aor.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { ICSI_REF, referenceValue } from '../../identity/feature-tags.js';
import type {
  Address,
  ImpsServer,
  MessageRecord,
  RouteVerdict,
  StatusCode,
  UserId,
} from '../../imps/index.js';
import { formatCpim, IMDN_NAMESPACE } from '../../msrp/cpim/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import type { SipStack } from '../../sip/stack.js';
import type { AddressMap } from '../addresses/address-map.js';
import type { Clock } from '../../base/clock.js';
import { cspStatus } from '../status-map.js';
import type { Traffic } from '../traffic.js';
import { toMime } from './content.js';
import { contributionId, conversationId } from './identifiers.js';
import type { OpenSession } from '../sessions/open-session.js';
import type { Reports } from './reports.js';

export interface ToCpmOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly addresses: AddressMap;
  readonly devices: RegisteredDevices;
  readonly reports: Reports;
  readonly imps: () => ImpsServer;
  /** SIP domains of this server. */
  readonly domains: readonly string[];
  /** Host of the phones' own contacts. */
  readonly host: string;
  /** Largest body of a pager mode message, in octets. */
  readonly pagerBytes: number;
  /** The open session of a phone with a user. @param key of the user's registration set, else the address */
  session(phone: string, key: string): OpenSession | undefined;
  setOf(aor: string): Promise<string | undefined>;
  /** The identity of an IMPS user on the SIP side, undefined for one that has none. */
  identityOf(user: UserId): Promise<string | undefined>;
  /** Route values of a request for a user. */
  originating(user: { servedUser: string; set: string }): readonly string[];
}

/** What a phone sends to a CPM user, as a CPM standalone message in pager mode. */
export class ToCpm {
  readonly #options: ToCpmOptions;

  constructor(options: ToCpmOptions) {
    this.#options = options;
  }

  /** Decides on a message to a user; resolves `taken` when the SIP side has it or has stored it. */
  async route(recipient: UserId, message: MessageRecord, address: Address): Promise<RouteVerdict> {
    const aor = await this.#destination(recipient, message, address);
    if (aor === undefined) return { kind: 'local' };
    const mime = toMime(message);
    const sender = await this.#sender(message);
    const id = contributionId(message.id, recipient);
    const body = formatCpim({
      from: { name: '', uri: sender.uri },
      to: [{ name: '', uri: aor }],
      dateTime: new Date(message.sentAt).toISOString(),
      namespaces: { imdn: { uri: IMDN_NAMESPACE, fields: imdnFields(id, message) } },
      mime: [['Content-Type', mime.type]],
      content: mime.octets,
    });
    if (message.deliveryReport) await this.#options.reports.expect(id, message, recipient);
    if (await this.#inSession(message, aor, body)) return this.#done(recipient, message, 200, 'session');
    if (body.length > this.#options.pagerBytes) {
      if (message.deliveryReport) await this.#options.reports.forget(id);
      // an IMPS user gets it whole from the server that both share
      if (await this.#options.imps().users.find(recipient)) return { kind: 'local' };
      return this.#done(recipient, message, 432, 'large');
    }
    const { clock, stack } = this.#options;
    const response = await stack.request(aor, {
      method: 'MESSAGE',
      headers: {
        From: `<${sender.uri}>`,
        To: `<${aor}>`,
        'P-Asserted-Identity': `<${sender.uri}>`,
        'P-Asserted-Service': cpmServices.message,
        'Accept-Contact': `*;${ICSI_REF}="${referenceValue([cpmServices.message])}"`,
        'Conversation-ID': conversationId(sender.uri, aor),
        'Contribution-ID': id,
        Date: new Date(message.sentAt).toUTCString(),
        Expires: Math.max(1, Math.floor((message.expiresAt - clock.now()) / 1000)),
        'Content-Type': 'message/cpim',
      },
      body,
      route: this.#options.originating({ servedUser: sender.uri, set: sender.set }),
    });
    const status = cspStatus(response.status);
    if (status !== 200 && message.deliveryReport) await this.#options.reports.forget(id);
    return this.#done(recipient, message, status, String(response.status));
  }

  /** Sends it in the session that the phone has with the user. @returns false when there is none, or the peer does not answer for it */
  async #inSession(message: MessageRecord, aor: Aor, body: Uint8Array): Promise<boolean> {
    const open = await this.#session(message, aor);
    return open !== undefined && (await open.send(body, this.#options.clock.now())) === 200;
  }

  async #session({ senderSession }: MessageRecord, aor: Aor): Promise<OpenSession | undefined> {
    if (senderSession === undefined) return undefined;
    return this.#options.session(senderSession, (await this.#options.setOf(aor)) ?? aor);
  }

  /** True for a user that only the SIP side knows. */
  async knows(user: UserId): Promise<boolean> {
    const aor = await this.#options.addresses.toAor(user);
    return aor !== undefined && (await this.#options.setOf(aor)) !== undefined;
  }

  /**
   * Where a message goes on the SIP side; undefined for what the IMPS server does by itself: a client that is named, a user without
   * SIP identity, and a user all of whose devices are phones of this server, of which its own rules choose.
   */
  async #destination(recipient: UserId, message: MessageRecord, address: Address): Promise<Aor | undefined> {
    const { addresses, imps, domains, devices, host } = this.#options;
    if (message.sender.user === undefined || message.sender.group !== undefined) return undefined;
    if (address.client !== undefined || address.applicationId !== undefined) return undefined;
    const aor = await addresses.toAor(recipient);
    if (aor === undefined || (await this.#session(message, aor))) return aor;
    if ((await this.#options.setOf(aor)) === undefined) {
      const foreign = !isTelAor(aor) && !domains.includes(aorDomain(aor)!);
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

  #done(recipient: UserId, message: MessageRecord, status: StatusCode, reason: string): RouteVerdict {
    this.#options.traffic.note({
      direction: 'message-to-cpm',
      outcome: status === 200 ? 'accepted' : 'refused',
      clause: 'CSP SendMessage, RFC 3428',
      subject: recipient,
      trace: message.id,
      reason,
    });
    return status === 200 ? { kind: 'taken' } : { kind: 'refused', status };
  }
}

function imdnFields(id: string, message: MessageRecord): readonly [string, string][] {
  const fields: [string, string][] = [['Message-ID', id]];
  if (message.deliveryReport)
    fields.push(['Disposition-Notification', 'positive-delivery, negative-delivery']);
  return fields;
}
