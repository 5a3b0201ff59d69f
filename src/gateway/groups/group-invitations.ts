import { createHash, randomUUID } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { formatRecipientHistory, RESOURCE_LISTS_TYPE } from '../../cpm/controlling/recipient-list.js';
import { aorDomain, isTelAor, type Aor } from '../../identity/aor.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { hasIcsi } from '../../identity/feature-tags.js';
import {
  parseResourceId,
  type ImpsServer,
  type InvitationRecord,
  type ResourceId,
  type SessionRecord,
  type StatusCode,
  type UserId,
} from '../../imps/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import { buildMultipart } from '../../sip/message/multipart.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';
import type { AddressMap } from '../addresses/address-map.js';
import type { Phone } from '../devices/phones.js';
import type { OpenSession } from '../sessions/open-session.js';
import { cspStatus } from '../status-map.js';
import type { GroupLeg, Participation } from './group-leg.js';
import type { GroupLink, GroupLinks } from './group-links.js';
import type { Groups } from './groups.js';
import type { Legs } from './legs.js';

export interface GroupInvitationsOptions {
  readonly log: Logger;
  readonly addresses: AddressMap;
  readonly devices: RegisteredDevices;
  readonly links: GroupLinks;
  readonly legs: () => Legs;
  readonly groups: () => Groups;
  readonly imps: () => ImpsServer;
  /** Domain of the IMPS users. */
  readonly home: string;
  /** SIP domains of this server. */
  readonly domains: readonly string[];
  /** Host of the phones' own contacts. */
  readonly host: string;
  /** The conference factory. */
  readonly factory: string;
  setOf(aor: string): Promise<string | undefined>;
  identityOf(user: UserId): Promise<string | undefined>;
  /** The 1-1 session of a phone that an invitation of a user takes the place of. */
  replaced(phone: string, contributionId: string, key: string): OpenSession | undefined;
}

/** A group session that is being made for a group of the IMPS server. */
interface Creation {
  readonly group: ResourceId;
  readonly contributionId: string;
  cancel(): void;
  /** Resolves when it is there, or is not. */
  readonly done: Promise<void>;
}

const INVITES = 'GR';

/** Invitations into groups: of CPM users by phones, and of phones by the focus of a group session. */
export class GroupInvitations {
  readonly #options: GroupInvitationsOptions;
  /** Invitations of CPM users without an answer, by group and user. */
  readonly #sent = new Map<string, InvitationRecord>();
  /** What the answers of phones do, by invitation and user. */
  readonly #ringing = new Map<string, (accepted: boolean) => void>();
  readonly #creations = new Map<string, Creation>();

  constructor(options: GroupInvitationsOptions) {
    this.#options = options;
  }

  /**
   * A phone invites users to a group. Those who have a CPM device are invited by the focus, which comes into being with the first.
   * @returns the status for each of them; the others are the IMPS server's to invite
   */
  async invite(
    invitations: readonly InvitationRecord[],
    inviter: SessionRecord,
  ): Promise<ReadonlyMap<UserId, StatusCode>> {
    const statuses = new Map<UserId, StatusCode>();
    const outside = new Map<UserId, { readonly invitation: InvitationRecord; readonly aor: Aor }>();
    for (const invitation of invitations) {
      const aor = invitation.type === INVITES ? await this.#outside(invitation.invitee) : undefined;
      if (aor !== undefined) outside.set(invitation.invitee, { invitation, aor });
    }
    const group = parseResourceId(invitations[0]?.group, this.#options.home);
    if (outside.size === 0 || group === undefined) return statuses;
    const phone = await this.#options.groups().participation(inviter.user, inviter.id);
    const view = await this.#options.imps().groups.find(group);
    const failure = !view ? 800 : !phone ? 533 : undefined;
    if (failure !== undefined || !phone || !view) {
      for (const user of outside.keys()) statuses.set(user, failure!);
      return statuses;
    }
    const link = await this.#options.links.of(group);
    const creation = [...this.#creations.values()].find((one) => one.group === group);
    for (const [user, { invitation }] of outside) this.#sent.set(keyOf(group, user), invitation);
    const aors = [...outside.values()].map(({ aor }) => aor);
    if (!link && !creation) {
      const others = await this.#identities(
        view.joined.map(({ user }) => user),
        phone.user,
      );
      this.#create({ group, phone, subject: view.name, recipients: [...aors, ...others] });
    }
    for (const [user, { aor }] of outside) {
      const code = link ? cspStatus(await this.#options.legs().refer(link, phone, aor)) : 200;
      if (code !== 200) this.#sent.delete(keyOf(group, user));
      else if (!link && creation) this.#afterwards(creation, phone, aor);
      statuses.set(user, code);
    }
    return statuses;
  }

  /** @returns false when there was no such invitation without an answer */
  async cancel({ inviter, invitee, id }: InvitationRecord): Promise<boolean> {
    const found = [...this.#sent].find(
      ([, sent]) => sent.id === id && sent.inviter === inviter && sent.invitee === invitee,
    );
    const group = parseResourceId(found?.[1].group, this.#options.home);
    if (!found || group === undefined) return false;
    this.#sent.delete(found[0]);
    const creation = [...this.#creations.values()].find((one) => one.group === group);
    const link = await this.#options.links.of(group);
    const leg = this.#options
      .legs()
      .ofGroup(group)
      .find(({ phone }) => phone.user === inviter);
    const aor = await this.#options.addresses.toAor(invitee);
    if (link && leg && aor !== undefined)
      await this.#options.legs().refer(link, leg.phone, `${aor};method=BYE`);
    else if (![...this.#sent.values()].some((other) => other.group === group)) creation?.cancel();
    return true;
  }

  /** A participant came in, or will not: who invited it hears so. */
  async settled(group: ResourceId, wv: UserId, came: boolean): Promise<void> {
    const key = keyOf(group, wv);
    const invitation = this.#sent.get(key);
    if (!invitation) return;
    this.#sent.delete(key);
    await this.#options.imps().groups.answered(invitation, came);
  }

  /** A phone answered the invitation of a focus. */
  answered({ id, invitee }: InvitationRecord, accepted: boolean): void {
    this.#ringing.get(keyOf(id, invitee))?.(accepted);
  }

  /**
   * The invitation of a focus for a phone: the phone is asked, unless it is in the group already, or the group takes the place of its
   * session with who invites.
   * @throws ParleyError `gateway-invitation-declined`, `gateway-session-elsewhere`, `gateway-session-limit`, `msrp-*`
   */
  async invited(request: ServerRequest, response: ServerResponse, { session }: Phone): Promise<void> {
    const { groups, legs, imps } = this.#options;
    const phone = await groups().participation(session.user, session.id);
    if (!phone) throw new ParleyError('gateway-phone-away');
    const inviter = await this.#inviterOf(request);
    const link = await this.#linkFor(request, [inviter.wv, session.user]);
    const invitation: InvitationRecord = {
      id: `cpm-${mark(`${link.contributionId}\n${request.callId}`)}`,
      type: INVITES,
      inviter: inviter.wv,
      invitee: session.user,
      group: link.group,
    };
    const replaced = this.#options.replaced(session.id, request.get('Session-Replaces') ?? '', inviter.key);
    const joined = (await imps().groups.find(link.group))?.joined ?? [];
    const isIn =
      legs().isAwaited(link.group, session.id) ||
      joined.some(({ user, sessions }) => user === session.user && sessions.includes(session.id));
    if (!isIn && !replaced) await this.#ask(request, response, invitation, link.subject);
    // its peer hears of the end when the group has the phone
    const onAck = (): void => this.#end(replaced?.end('SIP;cause=200;text="Session replaced"'));
    const leg = await legs().accept(request, response, link, phone, onAck);
    if (replaced) await this.#tell(leg, invitation);
  }

  /** Asks the phone. @throws ParleyError when it declines, or the focus does not wait */
  async #ask(
    request: ServerRequest,
    response: ServerResponse,
    invitation: InvitationRecord,
    note: string | undefined,
  ): Promise<void> {
    const key = keyOf(invitation.id, invitation.invitee);
    response.send(180);
    const answer = new Promise<boolean>((resolve) => {
      this.#ringing.set(key, resolve);
      request.onCancel(() => {
        this.#options
          .imps()
          .groups.cancel(invitation)
          .catch((error: unknown) => this.#options.log.error({ err: error }, 'a phone goes on ringing'))
          .finally(() => resolve(false));
      });
    });
    try {
      await this.#options.imps().groups.invite(invitation, note);
      if (!(await answer)) throw new ParleyError('gateway-invitation-declined');
    } finally {
      this.#ringing.delete(key);
    }
  }

  /** The group took the place of a session (OMA CPM, Session-Replaces): the phone is told which one it is in now, and may leave. */
  async #tell(leg: GroupLeg, invitation: InvitationRecord): Promise<void> {
    const key = keyOf(invitation.id, invitation.invitee);
    this.#ringing.set(key, (accepted) => {
      this.#ringing.delete(key);
      if (!accepted) this.#end(leg.end('SIP;cause=200;text="Call completed"'));
    });
    leg.dialog.onEnd(() => this.#ringing.delete(key));
    await this.#options.imps().groups.invite(invitation, leg.link.subject);
  }

  #end(work: Promise<void> | undefined): void {
    work?.catch((error: unknown) => this.#options.log.info({ err: error }, 'a session did not end well'));
  }

  async #inviterOf(request: SipRequest): Promise<{ readonly wv: UserId; readonly key: string }> {
    const named = request.addresses('Referred-By')[0] ?? request.addresses('P-Asserted-Identity')[0];
    const { uriText } = named ?? request.from;
    const wv = await this.#options.addresses.toWv(uriText);
    return { wv, key: await this.#options.addresses.keyOf(uriText) };
  }

  /** The group that the invitation is to; one that is not known yet is made, for these members. */
  async #linkFor(request: SipRequest, members: readonly UserId[]): Promise<GroupLink> {
    const { links, imps, home } = this.#options;
    const contributionId = request.get('Contribution-ID') ?? request.callId;
    const creation = this.#creations.get(contributionId);
    const known = await links.byContribution(contributionId);
    const focus = bare(request.contacts[0]?.uriText ?? request.from.uriText);
    const group =
      creation?.group ?? known?.group ?? parseResourceId(`wv:/cpm.${mark(contributionId)}`, home)!;
    const link: GroupLink = {
      group,
      focus,
      contributionId,
      conversationId: request.get('Conversation-ID'),
      subject: request.get('Subject'),
    };
    if (!creation) await imps().groups.open(group, link.subject ?? '', members);
    await links.put(link);
    return link;
  }

  #create(wanted: {
    readonly group: ResourceId;
    readonly phone: Participation;
    readonly subject: string;
    readonly recipients: readonly string[];
  }): void {
    const { group } = wanted;
    const contributionId = randomUUID();
    const held = { cancel: (): void => undefined };
    const done = this.#invite(wanted, contributionId, (cancel) => (held.cancel = cancel))
      .then(
        () => undefined,
        async (error: unknown) => {
          this.#options.log.info({ err: error, group }, 'a group session did not come about');
          for (const [key, invitation] of [...this.#sent]) {
            if (!key.startsWith(`${group}\t`)) continue;
            await this.settled(group, invitation.invitee, false);
          }
        },
      )
      .finally(() => this.#creations.delete(contributionId));
    this.#creations.set(contributionId, { group, contributionId, cancel: () => held.cancel(), done });
  }

  async #invite(
    {
      group,
      phone,
      subject,
      recipients,
    }: {
      readonly group: ResourceId;
      readonly phone: Participation;
      readonly subject: string;
      readonly recipients: readonly string[];
    },
    contributionId: string,
    onCancel: (cancel: () => void) => void,
  ): Promise<void> {
    const { legs, links, factory } = this.#options;
    const conversationId = randomUUID();
    const list = recipients.map((identity) => ({ identity, copyControl: 'to' as const, anonymize: false }));
    const leg = await legs().invite(factory, phone, {
      headers: {
        Require: 'recipient-list-invite',
        'Contribution-ID': contributionId,
        'Conversation-ID': conversationId,
        ...(subject === '' ? {} : { Subject: subject }),
      },
      parts: (body) =>
        buildMultipart([
          { headers: { 'Content-Type': 'application/sdp' }, body },
          {
            headers: { 'Content-Type': RESOURCE_LISTS_TYPE, 'Content-Disposition': 'recipient-list' },
            body: formatRecipientHistory(list),
          },
        ]),
      link: (answer) => ({
        group,
        focus: bare(answer.contacts[0]?.uriText ?? factory),
        contributionId,
        conversationId,
        subject: subject === '' ? undefined : subject,
      }),
      onStarted: (cancel) => onCancel(() => cancel('SIP;cause=487;text="Cancelled"')),
    });
    await links.put(leg.link);
  }

  /** Whoever is invited while the group session comes into being is when it is there. */
  #afterwards({ group, done }: Creation, phone: Participation, aor: Aor): void {
    const later = async (): Promise<void> => {
      await done;
      const link = await this.#options.links.of(group);
      if (link) await this.#options.legs().refer(link, phone, aor);
    };
    later().catch((error: unknown) => this.#options.log.error({ err: error }, 'a user was not invited'));
  }

  /** The address of a user whom a focus has to invite: somebody elsewhere, or with a device that is no phone of ours. */
  async #outside(user: UserId): Promise<Aor | undefined> {
    const { addresses, devices, domains, host, imps } = this.#options;
    const aor = await addresses.toAor(user);
    if (aor === undefined) return undefined;
    const known = (await imps().users.find(user)) !== undefined;
    if ((await this.#options.setOf(aor)) === undefined)
      return !known && !isTelAor(aor) && !domains.includes(aorDomain(aor)!) ? aor : undefined;
    const all = await devices.of(aor);
    const takes = all.some(
      ({ contact, features }) => !contact.endsWith(`@${host}`) && hasIcsi(features, cpmServices.session),
    );
    return takes || !known ? aor : undefined;
  }

  async #identities(users: readonly UserId[], except: UserId): Promise<string[]> {
    const found: string[] = [];
    for (const user of users) {
      const identity = user === except ? undefined : await this.#options.identityOf(user);
      if (identity !== undefined) found.push(identity);
    }
    return found;
  }
}

const keyOf = (one: string, other: string): string => `${one}\t${other}`;
const bare = (uri: string): string => uri.split(/[;?]/, 1)[0]!;
const mark = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
