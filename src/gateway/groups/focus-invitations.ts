import { createHash } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { GROUP_PREFIX } from '../../cpm/controlling/group-addresses.js';
import {
  agreedRequest,
  parseResourceId,
  type ImpsServer,
  type InvitationRecord,
  type ResourceId,
  type SessionRecord,
  type UserId,
} from '../../imps/index.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';
import type { AddressMap } from '../addresses/address-map.js';
import type { Phone } from '../devices/phones.js';
import '../errors.js';
import type { OpenSession } from '../sessions/open-session.js';
import type { Entrance } from './entrance.js';
import type { GroupLeg, Participation } from './group-leg.js';
import { INVITES, type GroupInvitations } from './group-invitations.js';
import { bareUri, focusOf, type GroupLink, type GroupLinks } from './group-links.js';
import type { Legs } from './legs.js';

export interface FocusInvitationsOptions {
  readonly log: Logger;
  readonly addresses: AddressMap;
  readonly links: GroupLinks;
  readonly legs: () => Legs;
  readonly entrance: Entrance;
  readonly invitations: GroupInvitations;
  readonly imps: () => ImpsServer;
  /** Domain of the IMPS users. */
  readonly home: string;
  /** SIP domains of this server. */
  readonly domains: readonly string[];
  /** The conference factory. */
  readonly factory: string;
  setOf(aor: string): Promise<string | undefined>;
  /** The 1-1 session of a phone that an invitation of a user takes the place of. */
  replaced(phone: string, contributionId: string, key: string): OpenSession | undefined;
}

/** What a phone, or what became of it, makes of an invitation that rings. */
type Answer = 'accepted' | 'declined' | 'gone';

interface Inviter {
  /** In whose name the invitation is. */
  readonly wv: UserId;
  readonly key: string;
  /** Who the network says sent it. */
  readonly sender: string;
  /** Whether that is the focus that the Contact names, and no user. */
  readonly isFocus: boolean;
}

/** A phone that is invited to a group, and by whom. */
interface Invited {
  readonly session: SessionRecord;
  readonly phone: Participation;
  readonly link: GroupLink;
  readonly invitation: InvitationRecord;
  readonly inviter: Inviter;
}

/** Invitations of phones into groups by the focus of a group session. */
export class FocusInvitations {
  readonly #options: FocusInvitationsOptions;
  /** What the answers of phones do, by invitation and user, and by session. */
  readonly #ringing = new Map<string, Map<string, (answer: Answer) => void>>();

  constructor(options: FocusInvitationsOptions) {
    this.#options = options;
  }

  /**
   * The phone is asked, unless it is in the group already, or the group takes the place of its session with who invites.
   * @throws ParleyError `gateway-session-refused` by a phone that did not agree on invitations, `gateway-invitation-declined`, `gateway-in-group`, `gateway-phone-away`, `gateway-session-limit`, `msrp-*`
   */
  async invited(request: ServerRequest, response: ServerResponse, { session }: Phone): Promise<void> {
    const phone = await this.#options.entrance.participation(session.user, session.id);
    if (!phone) throw new ParleyError('gateway-phone-away');
    const inviter = await this.#inviterOf(request);
    const { link, added } = await this.#linkFor(request, inviter, session.user);
    const invitation: InvitationRecord = {
      id: `cpm-${mark(`${link.contributionId}\n${request.callId}`)}`,
      type: INVITES,
      inviter: inviter.wv,
      invitee: session.user,
      group: link.group,
    };
    try {
      await this.#answer(request, response, { session, phone, link, invitation, inviter });
    } catch (error) {
      await this.#withdraw(invitation, link, added);
      throw error;
    }
  }

  /** Asks the phone where it has to be asked, and answers for it. */
  async #answer(
    request: ServerRequest,
    response: ServerResponse,
    { session, phone, link, invitation, inviter }: Invited,
  ): Promise<void> {
    const { legs, imps } = this.#options;
    const replaced = this.#options.replaced(session.id, request.get('Session-Replaces') ?? '', inviter.key);
    const joined = (await imps().groups.find(link.group))?.joined ?? [];
    const isAwaited = legs().isAwaited(link.group, session.id);
    const hasJoined = joined.some(({ sessions }) => sessions.includes(session.id));
    // of the phones that have joined one takes the invitation of their user, and the others come in by themselves
    const isTaken = hasJoined && !isAwaited && legs().hasUser(link.group, session.user);
    if (isTaken || legs().has(link.group, session.id)) throw new ParleyError('gateway-in-group');
    const isIn = isAwaited || hasJoined;
    // it would ring for nobody
    if (!isIn && session.functions && !agreedRequest(session, 'InviteUser-Request'))
      throw new ParleyError('gateway-session-refused', 'no invitations agreed');
    if (!isIn && !replaced)
      await this.#ask(request, response, { invitation, session: session.id }, link.subject);
    // its peer hears of the end when the group has the phone
    const onAck = (): void => this.#end(replaced?.end('SIP;cause=200;text="Session replaced"'));
    const leg = await legs().accept(request, response, link, phone, onAck);
    if (replaced) await this.#tell(leg, invitation);
  }

  /** The phone does not come: an invitation that nobody takes leaves no group behind. */
  async #withdraw(
    { id, invitee }: InvitationRecord,
    link: GroupLink,
    added: readonly UserId[],
  ): Promise<void> {
    const { imps, links } = this.#options;
    if (added.length === 0 || this.#ringing.has(keyOf(id, invitee))) return;
    if (await imps().groups.withdraw(link.group, added)) await links.remove(link);
  }

  /** A phone answered: the session that did is in; who declines does so for all phones of the user. */
  answered({ id, invitee }: InvitationRecord, session: string, accepted: boolean): void {
    const ringing = this.#ringing.get(keyOf(id, invitee));
    if (!ringing) return;
    const own = ringing.get(session) ?? [...ringing.values()][0];
    for (const answer of ringing.values()) answer(accepted && answer === own ? 'accepted' : 'declined');
  }

  /** A phone has gone: it does not ring any more. */
  phoneEnded(session: string): void {
    for (const ringing of [...this.#ringing.values()]) ringing.get(session)?.('gone');
  }

  /** Asks the phone. @throws ParleyError when it declines or goes, or the focus does not wait */
  async #ask(
    request: ServerRequest,
    response: ServerResponse,
    { invitation, session }: { readonly invitation: InvitationRecord; readonly session: string },
    note: string | undefined,
  ): Promise<void> {
    const { imps, log } = this.#options;
    response.send(180);
    const first = !this.#ringing.has(keyOf(invitation.id, invitation.invitee));
    const answered = new Promise<Answer>((resolve) => {
      this.#ring(invitation, session, resolve);
      request.onCancel(() => resolve('gone'));
    });
    try {
      // one invitation reaches all phones of the user
      if (first) await imps().groups.invite(invitation, note);
      const answer = await answered;
      if (answer === 'gone') throw new ParleyError('gateway-phone-away');
      if (answer === 'declined') throw new ParleyError('gateway-invitation-declined');
    } finally {
      // who has answered is asked no more; the others are not either when nobody waits for them
      if (this.#ended(invitation, session))
        await imps()
          .groups.cancel(invitation)
          .catch((error: unknown) => log.error({ err: error }, 'a phone goes on ringing'));
    }
  }

  #ring({ id, invitee }: InvitationRecord, session: string, answer: (answer: Answer) => void): void {
    const key = keyOf(id, invitee);
    const all = this.#ringing.get(key) ?? new Map<string, (answer: Answer) => void>();
    this.#ringing.set(key, all.set(session, answer));
  }

  /** It rings no more for a session. @returns true when that was the last one */
  #ended({ id, invitee }: InvitationRecord, session: string): boolean {
    const all = this.#ringing.get(keyOf(id, invitee));
    all?.delete(session);
    if (all?.size !== 0) return false;
    this.#ringing.delete(keyOf(id, invitee));
    return true;
  }

  /** The group took the place of a session (OMA CPM, Session-Replaces): the phone is told which one it is in now, and may leave. */
  async #tell(leg: GroupLeg, invitation: InvitationRecord): Promise<void> {
    const { session } = leg.phone;
    this.#ring(invitation, session, (answer) => {
      this.#ended(invitation, session);
      if (answer === 'declined') this.#end(leg.end('SIP;cause=200;text="Call completed"'));
    });
    leg.dialog.onEnd(() => this.#ended(invitation, session));
    await this.#options.imps().groups.invite(invitation, leg.link.subject);
  }

  #end(work: Promise<void> | undefined): void {
    work?.catch((error: unknown) => this.#options.log.info({ err: error }, 'a session did not end well'));
  }

  /** In whose name the invitation is: that is a focus's to say (RFC 3892), of anybody else it is who the network says. */
  async #inviterOf(request: SipRequest): Promise<Inviter> {
    const { addresses } = this.#options;
    const asserted = request.addresses('P-Asserted-Identity')[0];
    const sender = bareUri((asserted ?? request.from).uriText);
    const isFocus = asserted !== undefined && sender === focusOf(request) && !(await this.#isUser(sender));
    const named = (isFocus ? request.addresses('Referred-By')[0] : undefined) ?? asserted ?? request.from;
    const { uriText } = named;
    return { wv: await addresses.toWv(uriText), key: await addresses.keyOf(uriText), sender, isFocus };
  }

  async #isUser(uri: string): Promise<boolean> {
    // where anybody may register, the names of groups are no users' all the same
    return !uri.startsWith(`sip:${GROUP_PREFIX}`) && (await this.#options.setOf(uri)) !== undefined;
  }

  /**
   * The group that the invitation is to: one that is known, when its own focus invites, or another one of this domain in its place after
   * a restart of the group. Whoever else names its Contribution-ID invites to another group.
   * @returns it, and who was made a member of it for this invitation
   */
  async #linkFor(
    request: SipRequest,
    { wv, sender, isFocus }: Inviter,
    invitee: UserId,
  ): Promise<{ readonly link: GroupLink; readonly added: readonly UserId[] }> {
    const { links, imps, home, invitations } = this.#options;
    const contributionId = request.get('Contribution-ID') ?? request.callId;
    const creation = invitations.creating(contributionId);
    const known = await links.byContribution(contributionId);
    const isItsFocus = isFocus && (sender === known?.focus || this.#isOurs(sender));
    const standing = isItsFocus ? (creation ?? known?.group) : undefined;
    const isFirst = isFocus && !known && creation === undefined;
    const link: GroupLink = {
      group: standing ?? cpmGroup(isFirst ? contributionId : `${contributionId}\n${sender}`, home),
      focus: focusOf(request) ?? request.from.uriText,
      contributionId,
      conversationId: request.get('Conversation-ID'),
      subject: request.get('Subject'),
    };
    const added =
      creation === undefined || standing === undefined
        ? await imps().groups.open(link.group, link.subject ?? '', [wv, invitee])
        : [];
    await links.put(link, { byContribution: standing !== undefined || isFirst });
    return { link, added };
  }

  #isOurs(focus: string): boolean {
    const { domains, factory } = this.#options;
    return [...domains, factory.slice(factory.lastIndexOf('@') + 1)].some((domain) =>
      focus.endsWith(`@${domain}`),
    );
  }
}

const keyOf = (one: string, other: string): string => `${one}\t${other}`;
const mark = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
const cpmGroup = (name: string, home: string): ResourceId => parseResourceId(`wv:/cpm.${mark(name)}`, home)!;
