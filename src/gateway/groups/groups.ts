import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import {
  userPartOf,
  type ImpsServer,
  type MessageRecord,
  type ResourceId,
  type SessionRecord,
  type StatusCode,
  type UserId,
} from '../../imps/index.js';
import { parseCpim } from '../../msrp/cpim/index.js';
import type { WholeMessage } from '../../msrp/session/index.js';
import { SipRequest } from '../../sip/message/message.js';
import { parseReasons } from '../../sip/message/reason.js';
import type { AddressMap } from '../addresses/address-map.js';
import type { Phone } from '../devices/phones.js';
import { cpimOf } from '../messages/cpim.js';
import { contributionId } from '../messages/identifiers.js';
import { readIncoming } from '../messages/incoming.js';
import type { Reports } from '../messages/reports.js';
import type { ToPhone } from '../messages/to-phone.js';
import { msrpStatus, sipStatus } from '../status-map.js';
import type { Traffic } from '../traffic.js';
import type { Entrance } from './entrance.js';
import type { GroupLeg, ShownMember } from './group-leg.js';
import type { GroupLink, GroupLinks } from './group-links.js';
import type { Legs } from './legs.js';
import { readRoster, type Participant } from './roster.js';

export interface GroupsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly traffic: Traffic;
  readonly addresses: AddressMap;
  readonly reports: Reports;
  readonly toPhone: ToPhone;
  readonly links: GroupLinks;
  readonly legs: () => Legs;
  readonly entrance: Entrance;
  readonly imps: () => ImpsServer;
  /** The phone of an IMPS session. @throws ParleyError `gateway-phone-away` */
  phoneOf(user: UserId, session: string): Promise<Phone>;
  identityOf(user: UserId): Promise<string | undefined>;
  /** A participant came in, or will not. */
  settled(group: ResourceId, wv: UserId, came: boolean): Promise<void>;
}

/** Longest wait of a phone that joins for the MSRP of the focus. */
const JOIN_MS = 5_000;

/** CSP statuses of what a focus answers to a message (RFC 4975 §10, RFC 7701 §5.2). */
const ofMsrp: Readonly<Record<number, StatusCode>> = {
  403: 403, 404: 531, 408: 410, 413: 432, 415: 415, 428: 813, 481: 410,
}; // prettier-ignore

/** Groups of the IMPS server that are CPM group sessions: what is said, who is in, who comes and goes. */
export class Groups {
  readonly #options: GroupsOptions;

  constructor(options: GroupsOptions) {
    this.#options = options;
  }

  /** What a phone says in a group: all of it goes through the focus, which has it for everybody or for nobody. */
  async message(
    group: ResourceId,
    message: MessageRecord,
    target: UserId | undefined,
  ): Promise<StatusCode | undefined> {
    const link = await this.#options.links.of(group);
    if (!link) return undefined;
    const sender = message.sender.user!;
    const leg = await this.#legFor(link, sender, message.senderSession);
    if (typeof leg === 'number') return this.#said(group, message, leg, 'no way in');
    const to = target === undefined ? link.focus : await this.#uriOf(leg, target);
    if (to === undefined) return this.#said(group, message, 531, 'nobody');
    const id = contributionId(message.id, target ?? sender);
    // that somebody did not get it after all is always asked for
    await this.#options.reports.expect(id, message, sender, link.focus);
    const octets = cpimOf(message, { id, from: leg.phone.identity, to, asks: 'negative-delivery' });
    const status = await leg.media.send(octets);
    if (status === 200) {
      // the focus has it for everybody; whom it does not reach is told afterwards
      if (message.deliveryReport) await this.#options.imps().reportDelivery(message, sender, 200);
      return this.#said(group, message, 200, 'group');
    }
    await this.#options.reports.forget(id);
    return this.#said(group, message, ofMsrp[status] ?? 500, `group ${status}`);
  }

  /** A phone joined: it gets its leg, unless it has one, and its nickname. */
  async joined(group: ResourceId, session: SessionRecord, screenName: string): Promise<StatusCode> {
    const link = await this.#options.links.of(group);
    if (!link) return 200;
    const before = this.#options.legs().find(group, session.id);
    const leg =
      before ?? (await this.#options.entrance.enter(link, { user: session.user, session: session.id }));
    if (typeof leg === 'number') return leg;
    if (!(await this.#isConnected(leg))) {
      this.#end(leg);
      return 503;
    }
    if ((await leg.media.nickname(screenName)) !== 425) return 200;
    if (!before) await leg.end('SIP;cause=480;text="The nickname is taken"');
    return 811;
  }

  async left(group: ResourceId, session: SessionRecord, why: 'left' | 'ended'): Promise<void> {
    const leg = this.#options.legs().find(group, session.id);
    // a user who has left for good has left with all devices
    const view = await this.#options.imps().groups.find(group);
    const stays = why === 'ended' || view?.joined.some(({ user }) => user === session.user) === true;
    await leg?.end(stays ? 'SIP;cause=480;text="The phone has gone"' : 'SIP;cause=200;text="Call completed"');
  }

  /** The group was deleted on the IMPS side: its focus closes it, as far as who deleted it may ask that. */
  async dissolved(group: ResourceId): Promise<void> {
    const link = await this.#options.links.of(group);
    if (!link) return;
    const legs = this.#options.legs().ofGroup(group);
    for (const { phone } of legs)
      if ((await this.#options.legs().refer(link, phone, `${link.focus};method=BYE`)) < 300) break;
    await Promise.all(legs.map((leg) => leg.end('SIP;cause=200;text="Call completed"')));
    await this.#options.links.remove(link);
  }

  /** The process that had a phone's leg is gone: the phone comes in again. */
  async comeBack(group: ResourceId, session: string): Promise<void> {
    const link = await this.#options.links.of(group);
    const view = link && (await this.#options.imps().groups.find(group));
    const member = view?.joined.find(({ sessions }) => sessions.includes(session));
    if (!link || !member || this.#options.legs().find(group, session)) return;
    await this.#options.entrance.enter(link, { user: member.user, session });
  }

  /** A phone is at the focus: it is called there as it is here, when it has joined; so are all who have. */
  async opened(leg: GroupLeg): Promise<void> {
    await Promise.all([this.#named(leg), this.#options.entrance.gather(leg.link)]);
  }

  async #named({ link, phone, media }: GroupLeg): Promise<void> {
    if (!(await media.connected)) return;
    const view = await this.#options.imps().groups.find(link.group);
    const own = view?.joined.find(({ sessions }) => sessions.includes(phone.session));
    if (own) await media.nickname(own.screenName);
  }

  /** A message of the focus for one phone. @returns its MSRP status */
  async said(leg: GroupLeg, { contentType, octets, messageId }: WholeMessage): Promise<number> {
    const { toPhone } = this.#options;
    const { link, phone, id } = leg;
    try {
      const there = await this.#options.phoneOf(phone.user, phone.session);
      const incoming = readIncoming(contentType, octets, `${id}\t${messageId}`);
      const control = await toPhone.control(incoming, phone.user, async () => [link.focus]);
      if (control !== undefined) return msrpStatus(control);
      const { head } = parseCpim(octets);
      const from = head.from?.uri ?? link.focus;
      const sender = leg.members.get(from) ?? (await this.#shown(link, from));
      const alone = head.to.length > 0 && !head.to.some(({ uri }) => isEverybody(uri, link));
      const own = alone ? await this.#ownName(leg) : undefined;
      const status = await toPhone.deliver(
        {
          sender: { uri: from, wv: sender.wv },
          trace: leg.dialog.callId,
          session: id,
          group: { id: link.group, screenName: sender.screenName, to: own },
        },
        incoming,
        there,
      );
      return msrpStatus(sipStatus(status));
    } catch (error) {
      if (error instanceof ParleyError) return msrpStatus(error.sip);
      throw error;
    }
  }

  /** Who is in changed: phones see who comes and goes. */
  async roster(leg: GroupLeg, document: Uint8Array): Promise<void> {
    const { full, participants } = readRoster(document);
    const { identity } = leg.phone;
    for (const participant of participants)
      if (participant.uri !== identity) await this.#changed(leg, participant);
    if (!full) return;
    const named = new Set(participants.map(({ uri }) => uri));
    for (const uri of [...leg.members.keys()])
      if (!named.has(uri)) await this.#changed(leg, { uri, name: undefined, state: 'gone' });
  }

  /** A leg ended. When the focus put its user out for good, the phone is out. */
  async ended({ link, phone, members }: GroupLeg, cause: SipRequest | string): Promise<void> {
    const { legs, imps, links } = this.#options;
    const others = legs().ofGroup(link.group);
    if (others.length === 0) for (const { wv } of members.values()) await imps().groups.leave(link.group, wv);
    const reasons = cause instanceof SipRequest ? parseReasons(cause.headers.lines('Reason')) : [];
    const forGood = reasons.some(({ cause: status }) => status === 410);
    if (!forGood || others.some((other) => other.phone.user === phone.user)) return;
    await imps().groups.putOut(link.group, [phone.user], 810);
    if (others.length === 0) await links.remove(link);
  }

  async #changed(leg: GroupLeg, { uri, name, state }: Participant): Promise<void> {
    const { group } = leg.link;
    const { groups } = this.#options.imps();
    const wv = leg.members.get(uri)?.wv ?? (await this.#options.addresses.toWv(uri));
    if (state === 'connected') {
      const screenName = await groups.join(group, wv, name ?? userPartOf(wv));
      leg.members.set(uri, { wv, screenName });
      await this.#options.settled(group, wv, true);
    } else if (state === 'gone') {
      leg.members.delete(uri);
      await groups.leave(group, wv);
      await this.#options.settled(group, wv, false);
    }
  }

  /** Who speaks before the focus has told that it is in: a user of this server is called as in the group here. */
  async #shown({ group }: GroupLink, uri: string): Promise<ShownMember> {
    const wv = await this.#options.addresses.toWv(uri);
    const view = await this.#options.imps().groups.find(group);
    const known = view?.joined.find(({ user }) => user === wv);
    return { wv, screenName: known?.screenName ?? userPartOf(wv) };
  }

  /** Waits for the focus's MSRP no longer than the phone waits for its answer. */
  async #isConnected({ media }: GroupLeg): Promise<boolean> {
    let timer: Timer | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = this.#options.clock.after(JOIN_MS, () => resolve(false));
    });
    const connected = await Promise.race([media.connected, late]);
    timer?.cancel();
    return connected;
  }

  /** Without waiting for a focus that may answer nothing. */
  #end(leg: GroupLeg): void {
    leg
      .end('SIP;cause=480;text="No MSRP connection"')
      .catch((error: unknown) =>
        this.#options.log.info({ err: error }, 'a phone did not leave its group well'),
      );
  }

  async #ownName({ link, phone }: GroupLeg): Promise<string> {
    const view = await this.#options.imps().groups.find(link.group);
    const own = view?.joined.find(({ user }) => user === phone.user);
    return own?.screenName ?? userPartOf(phone.user);
  }

  async #uriOf(leg: GroupLeg, target: UserId): Promise<string | undefined> {
    return leg.uriOf(target) ?? (await this.#options.identityOf(target)) ?? target;
  }

  async #legFor(link: GroupLink, user: UserId, session: string | undefined): Promise<GroupLeg | StatusCode> {
    if (session === undefined) return 808;
    const { legs, entrance } = this.#options;
    return legs().find(link.group, session) ?? entrance.enter(link, { user, session });
  }

  #said(group: ResourceId, message: MessageRecord, status: StatusCode, reason: string): StatusCode {
    this.#options.traffic.note({
      direction: 'message-to-cpm',
      outcome: status === 200 ? 'accepted' : 'refused',
      clause: 'CSP SendMessage, RFC 7701 §5',
      subject: group,
      trace: message.id,
      reason,
    });
    return status;
  }
}

/** RFC 7701 §6, and as RCS clients write it. */
const isEverybody = (uri: string, { focus }: GroupLink): boolean =>
  uri.split(';', 1)[0] === focus || uri === 'sip:anonymous@anonymous.invalid';
