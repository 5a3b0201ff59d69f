import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { CONFERENCE_INFO_TYPE } from '../../cpm/controlling/conference-info.js';
import { readParts } from '../../cpm/controlling/invitation.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { ICSI_REF, referenceValue } from '../../identity/feature-tags.js';
import type { ResourceId, UserId } from '../../imps/index.js';
import type { MsrpEndpoint } from '../../msrp/session/index.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../sip/message/message.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../../sip/stack.js';
import { answerInDialog, DIALOG_METHODS } from '../sessions/open-session.js';
import { PhoneMedia, type MediaListener } from '../sessions/phone-media.js';
import { farewell, noteSession } from '../sessions/session-ends.js';
import type { SessionRecords } from '../sessions/session-records.js';
import { GroupLeg, type Participation } from './group-leg.js';
import type { GroupLink } from './group-links.js';

export interface LegsOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly msrp: MsrpEndpoint;
  readonly records: SessionRecords;
  /** Octets of one message. */
  readonly messageBytes: number;
  readonly perPhone: number;
  originating(user: { servedUser: string; set: string }): readonly string[];
}

/** What happens to legs. */
export interface LegEvents {
  opened(leg: GroupLeg): Promise<void>;
  message(leg: GroupLeg, message: Parameters<MediaListener['message']>[0]): Promise<number>;
  /** A NOTIFY of the conference event package. */
  roster(leg: GroupLeg, document: Uint8Array): Promise<void>;
  /** It is over. @param cause the BYE, or why */
  ended(leg: GroupLeg, cause: SipRequest | string): Promise<void>;
}

/** How a focus, or the factory, is invited. */
export interface LegInvitation {
  readonly group: ResourceId;
  readonly headers: HeaderMap;
  /** Makes the body around our description. */
  parts(description: string): { readonly contentType: string; readonly body: string | Uint8Array };
  /** Of the answer, which names the focus. */
  link(response: SipResponse): GroupLink;
  onStarted?(cancel: (reason?: string) => void): void;
}

const ICSI = `${ICSI_REF}="${referenceValue([cpmServices.session])}"`;
/** How long somebody who asked to be let in waits for the invitation. */
const WAIT_MS = 20_000;

/** The legs of phones into CPM groups: made, kept, told. */
export class Legs {
  readonly #options: LegsOptions;
  readonly #events: LegEvents;
  readonly #legs = new Map<string, GroupLeg>();
  readonly #bySession = new Map<string, Set<GroupLeg>>();
  readonly #byGroup = new Map<ResourceId, Set<GroupLeg>>();
  readonly #awaited = new Map<string, (leg: GroupLeg) => void>();
  /** Phones that are coming in, by themselves or as invited. */
  readonly #coming = new Map<string, { readonly group: ResourceId; readonly user: UserId }>();

  constructor(options: LegsOptions, events: LegEvents) {
    this.#options = options;
    this.#events = events;
  }

  find(group: ResourceId, session: string): GroupLeg | undefined {
    return [...(this.#bySession.get(session) ?? [])].find(({ link }) => link.group === group);
  }

  get(id: string): GroupLeg | undefined {
    return this.#legs.get(id);
  }

  ofGroup(group: ResourceId): readonly GroupLeg[] {
    return [...(this.#byGroup.get(group) ?? [])];
  }

  /** Whether a phone is in a group by this process, or on its way. */
  has(group: ResourceId, session: string): boolean {
    return this.#coming.has(keyOf(group, session)) || this.find(group, session) !== undefined;
  }

  /** Whether some phone of a user is. */
  hasUser(group: ResourceId, user: UserId): boolean {
    return (
      [...this.#coming.values()].some((one) => one.group === group && one.user === user) ||
      this.ofGroup(group).some(({ phone }) => phone.user === user)
    );
  }

  /** The phones that are in a group by any process that lives. @returns their Session-IDs */
  async phonesIn(group: ResourceId): Promise<ReadonlySet<string>> {
    return this.#options.records.phonesIn(group);
  }

  /** Whether a phone waits to be invited into a group that it joins. */
  isAwaited(group: ResourceId, session: string): boolean {
    return this.#awaited.has(keyOf(group, session));
  }

  /** Accepts the invitation of a focus. @param onAck called when the focus knows. @throws ParleyError `msrp-*`, `gateway-session-limit` */
  accept(
    request: ServerRequest,
    response: ServerResponse,
    link: GroupLink,
    phone: Participation,
    onAck?: () => void,
  ): Promise<GroupLeg> {
    return this.#whileComing(link.group, phone, () => this.#accept(request, response, link, phone, onAck));
  }

  async #accept(
    request: ServerRequest,
    response: ServerResponse,
    link: GroupLink,
    phone: Participation,
    onAck: (() => void) | undefined,
  ): Promise<GroupLeg> {
    const media = this.#media(phone);
    try {
      const { description } = readParts(request);
      if (!description) throw new ParleyError('gateway-session-refused', 'no offer');
      const body = media.negotiation.answer(description);
      const dialog = await this.#options.stack.createUAS(request, response, {
        headers: {
          Contact: `<${request.uri}>;${ICSI}`,
          Allow: DIALOG_METHODS,
          'Content-Type': 'application/sdp',
        },
        body,
      });
      if (onAck) dialog.onAck(onAck);
      return this.#adopt(new GroupLeg({ link, phone, dialog, media }));
    } catch (error) {
      media.close();
      throw error;
    }
  }

  /**
   * Invites a focus, or the factory, for a phone.
   * @throws FinalResponseError, ParleyError `msrp-*`, `gateway-session-limit`
   */
  invite(to: string, phone: Participation, more: LegInvitation): Promise<GroupLeg> {
    return this.#whileComing(more.group, phone, () => this.#invite(to, phone, more));
  }

  async #invite(to: string, phone: Participation, more: LegInvitation): Promise<GroupLeg> {
    const media = this.#media(phone);
    let dialog: Dialog | undefined;
    try {
      const { contentType, body } = more.parts(media.negotiation.offer());
      dialog = await this.#options.stack.createUAC(to, {
        method: 'INVITE',
        headers: {
          ...more.headers,
          ...this.#from(phone, to),
          'Accept-Contact': `*;${ICSI}`,
          'Content-Type': contentType,
        },
        body,
        route: this.#route(phone),
        onStarted: (cancel) => more.onStarted?.(cancel),
      });
      const answer = dialog.response!;
      media.negotiation.accept(answer.body);
      return await this.#adopt(new GroupLeg({ link: more.link(answer), phone, dialog, media }));
    } catch (error) {
      media.close();
      if (dialog && dialog.state !== 'terminated') await dialog.destroy();
      throw error;
    }
  }

  /** Has the focus invite or remove somebody, in a phone's name (RFC 4579 §5.5, §5.11). @returns the status */
  async refer(link: GroupLink, phone: Participation, target: string): Promise<number> {
    const { status } = await this.#options.stack.request(link.focus, {
      method: 'REFER',
      headers: {
        ...this.#from(phone, link.focus),
        'Refer-To': `<${target}>`,
        'Refer-Sub': 'false',
        Supported: 'norefersub',
        'Contribution-ID': link.contributionId,
        'Conversation-ID': link.conversationId,
      },
      route: this.#route(phone),
    });
    return status;
  }

  /** Waits for the invitation that `work` has the focus send to a phone. @returns undefined when none came */
  async awaitInvitation(
    group: ResourceId,
    session: string,
    work: () => Promise<boolean>,
  ): Promise<GroupLeg | undefined> {
    const key = keyOf(group, session);
    const leg = new Promise<GroupLeg | undefined>((resolve) => {
      this.#awaited.set(key, resolve);
      this.#options.clock.after(WAIT_MS, () => resolve(undefined));
    });
    try {
      return (await work()) ? await leg : undefined;
    } finally {
      this.#awaited.delete(key);
    }
  }

  /** The phone has gone. */
  phoneEnded(session: string): void {
    for (const leg of this.#bySession.get(session) ?? [])
      this.#background(leg.end('SIP;cause=480;text="The phone has gone"'));
  }

  /** The process stops: tells the focuses, but waits for none that does not answer. */
  async close(): Promise<void> {
    const ends = [...this.#legs.values()].map((leg) => leg.end('SIP;cause=480;text="The server stops"'));
    await farewell(this.#options.clock, ends);
  }

  async #whileComing<T>(
    group: ResourceId,
    { session, user }: Participation,
    work: () => Promise<T>,
  ): Promise<T> {
    const key = keyOf(group, session);
    this.#coming.set(key, { group, user });
    try {
      return await work();
    } finally {
      this.#coming.delete(key);
    }
  }

  #media(phone: Participation): PhoneMedia {
    const { msrp, messageBytes, perPhone } = this.#options;
    if ((this.#bySession.get(phone.session)?.size ?? 0) >= perPhone)
      throw new ParleyError('gateway-session-limit');
    return new PhoneMedia(msrp, {
      subject: phone.identity,
      messageBytes,
      profile: {
        acceptTypes: ['message/cpim'],
        acceptWrappedTypes: ['*'],
        chatroom: ['nickname', 'private-messages'],
        behindNat: true,
      },
    });
  }

  #from({ identity }: Participation, to: string): HeaderMap {
    return {
      From: `<${identity}>`,
      To: `<${to}>`,
      'P-Asserted-Identity': `<${identity}>`,
      'P-Asserted-Service': cpmServices.groupSession,
    };
  }

  #route({ identity, set }: Participation): readonly string[] {
    return this.#options.originating({ servedUser: identity, set });
  }

  async #adopt(leg: GroupLeg): Promise<GroupLeg> {
    const { dialog, media, phone, link } = leg;
    this.#legs.set(leg.id, leg);
    addTo(this.#bySession, phone.session, leg);
    addTo(this.#byGroup, link.group, leg);
    media.listen({
      message: (message) => this.#events.message(leg, message),
      lost: () => this.#background(leg.end('SIP;cause=480;text="No MSRP connection"')),
    });
    dialog.onRequest((request, response) => answerInDialog(media, request, response));
    dialog.onEnd((cause) => this.#background(this.#ended(leg, cause)));
    this.#note('gateway.group-joined', leg, link.group);
    await this.#options.records.started(dialog, leg.member);
    if (dialog.state === 'terminated') await this.#options.records.ended(dialog, leg.member);
    else this.#background(Promise.all([this.#subscribe(leg), this.#events.opened(leg)]));
    this.#awaited.get(keyOf(link.group, phone.session))?.(leg);
    return leg;
  }

  async #ended(leg: GroupLeg, cause: SipRequest | string): Promise<void> {
    const { phone, dialog, link } = leg;
    this.#legs.delete(leg.id);
    removeFrom(this.#bySession, phone.session, leg);
    removeFrom(this.#byGroup, link.group, leg);
    leg.close();
    this.#note('gateway.group-left', leg, typeof cause === 'string' ? cause : cause.method);
    if (leg.subscription && leg.subscription.state !== 'terminated')
      this.#background(leg.subscription.destroy());
    await this.#options.records.ended(dialog, leg.member);
    await this.#events.ended(leg, cause);
  }

  async #subscribe(leg: GroupLeg): Promise<void> {
    const { link, phone } = leg;
    const dialog = await this.#options.stack.createUAC(link.focus, {
      method: 'SUBSCRIBE',
      headers: {
        ...this.#from(phone, link.focus),
        Event: 'conference',
        Accept: CONFERENCE_INFO_TYPE,
        Expires: 3600,
      },
      route: this.#route(phone),
    });
    leg.subscription = dialog;
    // in order: a later state must not be overtaken
    let before: Promise<unknown> = Promise.resolve();
    dialog.onRequest((request, response) => {
      response.send(200);
      if (request.method !== 'NOTIFY' || request.body.length === 0) return;
      before = before
        .then(() => this.#events.roster(leg, request.body))
        .catch((error: unknown) => this.#options.log.info({ err: error }, 'a conference state was not used'));
    });
    if (leg.dialog.state === 'terminated') await dialog.destroy();
  }

  #note(code: string, { dialog, phone }: GroupLeg, detail: string): void {
    noteSession(this.#options.trail, code, { clause: 'RFC 4353 §5', subject: phone.user, dialog, detail });
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      this.#options.log.info({ err: error }, 'something of a group of phones failed'),
    );
  }
}

const keyOf = (group: ResourceId, session: string): string => `${group}\t${session}`;

function addTo<K>(map: Map<K, Set<GroupLeg>>, key: K, leg: GroupLeg): void {
  const all = map.get(key) ?? new Set();
  map.set(key, all.add(leg));
}

function removeFrom<K>(map: Map<K, Set<GroupLeg>>, key: K, leg: GroupLeg): void {
  const all = map.get(key);
  all?.delete(leg);
  if (all?.size === 0) map.delete(key);
}
