import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { readParts } from '../../cpm/controlling/invitation.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { ICSI_REF, referenceValue } from '../../identity/feature-tags.js';
import type { MsrpEndpoint, WholeMessage } from '../../msrp/session/index.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../../sip/stack.js';
import type { AddressMap } from '../addresses/address-map.js';
import type { Phone } from '../devices/phones.js';
import { readIncoming, type Envelope } from '../messages/incoming.js';
import type { ToPhone } from '../messages/to-phone.js';
import { msrpStatus, sipStatus } from '../status-map.js';
import type { InvitationKind } from './admission.js';
import { DIALOG_METHODS, OpenSession, type Peer } from './open-session.js';
import { PhoneMedia } from './phone-media.js';
import { farewell, noteSession } from './session-ends.js';
import type { SessionRecords } from './session-records.js';

export interface SessionsOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly msrp: MsrpEndpoint;
  readonly records: SessionRecords;
  readonly toPhone: ToPhone;
  /** Octets of one message. */
  readonly messageBytes: number;
  /** Milliseconds without a message after which a session ends. */
  readonly idleMs: number;
  readonly perPhone: number;
  /** The phone that a contact stands for. @throws ParleyError `gateway-phone-away` */
  phoneAt(contactUser: string | undefined): Promise<Phone>;
  readonly addresses: AddressMap;
}

const CLAUSE = 'OMA CPM §5.2.3.1.1';

/** CPM 1-1 sessions of phones, and large messages to them: the gateway answers for the phone and is the end of their MSRP. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #open = new Map<string, OpenSession>();
  readonly #byPhone = new Map<string, Set<OpenSession>>();
  /** Invitations that are being answered, by IMPS session. */
  readonly #answering = new Map<string, number>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * Answers an invitation that a phone takes.
   * @throws ParleyError `gateway-session-anonymous`, `gateway-session-limit`, `msrp-sdp-*`, `msrp-limit`
   */
  async invited(
    request: ServerRequest,
    response: ServerResponse,
    { session }: Phone,
    kind: InvitationKind,
  ): Promise<void> {
    const peer = await this.#peerOf(request, kind);
    const answering = this.#answering.get(session.id) ?? 0;
    if (this.#of(session.id).length + answering >= this.#options.perPhone)
      throw new ParleyError('gateway-session-limit');
    this.#answering.set(session.id, answering + 1);
    try {
      await this.#answer(request, response, { kind, phone: session.id, peer });
    } finally {
      const left = this.#answering.get(session.id)! - 1;
      if (left > 0) this.#answering.set(session.id, left);
      else this.#answering.delete(session.id);
    }
  }

  /** The latest session of a phone with a user. @param key of {@link Peer} */
  find(phone: string, key: string): OpenSession | undefined {
    return this.#of(phone)
      .reverse()
      .find(({ kind, peer }) => kind === 'session' && peer.key === key);
  }

  /** The session of a phone that an invitation of that user to a group names (Session-Replaces). */
  replaced(phone: string, contributionId: string, key: string): OpenSession | undefined {
    return this.#of(phone).find((open) => open.contributionId === contributionId && open.peer.key === key);
  }

  /** Sends message/cpim in an open session. @returns whether the peer has it */
  async sendIn(id: string, octets: Uint8Array): Promise<boolean> {
    const open = this.#open.get(id);
    return open !== undefined && (await open.send(octets, this.#options.clock.now())) === 200;
  }

  /** The phone has gone: its sessions end. */
  phoneEnded(phone: string): void {
    for (const open of this.#of(phone)) this.#end(open, 'logout', 'SIP;cause=480;text="The phone has gone"');
  }

  /** Ends what nobody has used for long. */
  expire(): void {
    const { clock, idleMs } = this.#options;
    const before = clock.now() - idleMs;
    for (const open of this.#open.values())
      if (open.lastAt < before) this.#end(open, 'idle', 'SIP;cause=200;text="Nothing was said"');
  }

  /** The process stops: tells the other sides, but waits for none that does not answer. */
  async close(): Promise<void> {
    const ends = [...this.#open.values()].map((open) => open.end('SIP;cause=480;text="The server stops"'));
    await farewell(this.#options.clock, ends);
  }

  #of(phone: string): OpenSession[] {
    return [...(this.#byPhone.get(phone) ?? [])];
  }

  async #peerOf(request: ServerRequest, kind: InvitationKind): Promise<Peer> {
    // what the phone sends back to somebody unknown would have to go to one of several
    if (kind === 'session' && !request.has('P-Asserted-Identity'))
      throw new ParleyError('gateway-session-anonymous');
    const { uri, wv } = await this.#options.toPhone.sender(request);
    return { uri, wv, key: await this.#options.addresses.keyOf(uri) };
  }

  async #answer(
    request: ServerRequest,
    response: ServerResponse,
    about: { readonly kind: InvitationKind; readonly phone: string; readonly peer: Peer },
  ): Promise<void> {
    const { stack, msrp, clock, messageBytes, records } = this.#options;
    const { description } = readParts(request);
    const media = new PhoneMedia(msrp, {
      subject: request.uri,
      messageBytes,
      profile: {
        acceptTypes: ['message/cpim', 'text/plain', 'application/im-iscomposing+xml'],
        acceptWrappedTypes: ['*'],
        ...(about.kind === 'large-message' ? { direction: 'recvonly' as const } : {}),
      },
    });
    let dialog: Dialog;
    try {
      const { negotiation } = media;
      const body = description ? negotiation.answer(description) : negotiation.offer();
      dialog = await stack.createUAS(request, response, {
        headers: {
          Contact: `<${request.uri}>;${ICSI_REF}="${referenceValue([serviceOf(about.kind)])}"`,
          Allow: DIALOG_METHODS,
          'Content-Type': 'application/sdp',
        },
        body,
      });
    } catch (error) {
      media.close();
      throw error;
    }
    const open = new OpenSession({ ...about, dialog, media, now: clock.now() });
    media.listen({
      message: (message) => this.#take(open, request, message),
      lost: () => this.#end(open, 'media-lost', 'SIP;cause=480;text="No MSRP connection"'),
    });
    if (!description) this.#awaitAnswer(open, media);
    this.#adopt(open);
    await records.started(dialog);
    // its end may have come before it was on record
    if (dialog.state === 'terminated') await records.ended(dialog);
  }

  /** Our offer went out in the 2xx; the ACK has the answer (RFC 3261 §13.2.1). */
  #awaitAnswer(open: OpenSession, { negotiation }: PhoneMedia): void {
    open.dialog.onAck((ack) => {
      try {
        negotiation.accept(ack.body);
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error;
        this.#end(open, error.code, 'SIP;cause=488;text="Not Acceptable Here"');
      }
    });
  }

  #adopt(open: OpenSession): void {
    this.#open.set(open.id, open);
    const others = this.#byPhone.get(open.phone) ?? new Set();
    this.#byPhone.set(open.phone, others.add(open));
    this.#note('gateway.session-opened', open, open.peer.uri);
    open.dialog.onEnd((cause) => {
      this.#open.delete(open.id);
      others.delete(open);
      if (others.size === 0 && this.#byPhone.get(open.phone) === others) this.#byPhone.delete(open.phone);
      open.close();
      this.#note('gateway.session-ended', open, typeof cause === 'string' ? cause : cause.method);
      this.#background(this.#options.records.ended(open.dialog));
    });
  }

  async #take(open: OpenSession, invite: SipRequest, message: WholeMessage): Promise<number> {
    const { clock, toPhone } = this.#options;
    open.lastAt = clock.now();
    try {
      const phone = await this.#options.phoneAt(invite.requestUri.user);
      const incoming = readIncoming(message.contentType, message.octets, `${open.id}\t${message.messageId}`);
      const envelope: Envelope = {
        sender: open.peer,
        trace: open.dialog.callId,
        conversationId: invite.get('Conversation-ID'),
        // a large message is one way: what became of it goes by itself
        session: open.kind === 'session' ? open.id : undefined,
      };
      const control = await toPhone.control(incoming, phone.session.user, async () => [open.peer.key]);
      return msrpStatus(control ?? sipStatus(await toPhone.deliver(envelope, incoming, phone)));
    } catch (error) {
      if (error instanceof ParleyError) return msrpStatus(error.sip);
      throw error;
    }
  }

  #end(open: OpenSession, why: string, reason: string): void {
    this.#note('gateway.session-ends', open, why);
    this.#background(open.end(reason));
  }

  #note(code: string, { dialog, peer }: OpenSession, detail: string): void {
    noteSession(this.#options.trail, code, { clause: CLAUSE, subject: peer.uri, dialog, detail });
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#options.log.error({ err: error }, 'a session of a phone is not ended well'),
    );
  }
}

const serviceOf = (kind: InvitationKind): string =>
  kind === 'large-message' ? cpmServices.largeMessage : cpmServices.session;
