import { randomUUID } from 'node:crypto';
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
import type { AddressMap } from '../addresses/address-map.js';
import type { OpenSession } from '../sessions/open-session.js';
import { cspStatus } from '../status-map.js';
import type { Participation } from './group-leg.js';
import { focusOf, type GroupLinks } from './group-links.js';
import type { Entrance } from './entrance.js';
import type { Legs } from './legs.js';
import type { OpenInvitations } from './open-invitations.js';

export interface GroupInvitationsOptions {
  readonly log: Logger;
  readonly addresses: AddressMap;
  readonly devices: RegisteredDevices;
  readonly links: GroupLinks;
  readonly open: OpenInvitations;
  readonly legs: () => Legs;
  readonly entrance: Entrance;
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
  /** The open session of a phone with a user. @param key of the user's registration set, else the address */
  sessionWith(phone: string, key: string): OpenSession | undefined;
}

/** A group session that is being made for a group of the IMPS server. */
interface Creation {
  readonly group: ResourceId;
  readonly contributionId: string;
  /** Who waits for it: users who are invited, and have not taken that back. */
  readonly invitees: Set<UserId>;
  cancel(): void;
  /** Resolves when it is there, or is not. */
  readonly done: Promise<void>;
}

/** An invitation into a group that is there, in the words of CSP. */
export const INVITES = 'GR';

/** Invitations of CPM users into groups by phones. */
export class GroupInvitations {
  readonly #options: GroupInvitationsOptions;
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
    const phone = await this.#options.entrance.participation(inviter.user, inviter.id);
    const view = await this.#options.imps().groups.find(group);
    const failure = !view ? 800 : !phone ? 533 : undefined;
    if (failure !== undefined || !phone || !view) {
      for (const user of outside.keys()) statuses.set(user, failure!);
      return statuses;
    }
    const link = await this.#options.links.of(group);
    const creation = [...this.#creations.values()].find((one) => one.group === group);
    for (const { invitation } of outside.values()) await this.#options.open.put(group, invitation);
    const entries = new Map<UserId, string>();
    for (const [user, { aor }] of outside) entries.set(user, await this.#entryOf(phone.session, aor));
    if (!link && !creation) {
      const others = await this.#identities(
        view.joined.map(({ user }) => user),
        phone.user,
      );
      this.#create({
        group,
        phone,
        subject: view.name,
        invitees: new Set(entries.keys()),
        recipients: [...entries.values(), ...others],
      });
    }
    for (const [user, entry] of entries) {
      const code = link ? cspStatus(await this.#options.legs().refer(link, phone, entry)) : 200;
      if (code !== 200) await this.#options.open.take(outside.get(user)!.invitation);
      else if (!link && creation) this.#afterwards(creation, phone, user, entry);
      statuses.set(user, code);
    }
    return statuses;
  }

  /** @returns false when there was no such invitation without an answer */
  async cancel({ inviter, invitee, id }: InvitationRecord): Promise<boolean> {
    const found = await this.#options.open.take({ inviter, invitee, id });
    if (!found) return false;
    const { group } = found;
    const creation = [...this.#creations.values()].find((one) => one.group === group);
    const link = await this.#options.links.of(group);
    const leg = this.#options
      .legs()
      .ofGroup(group)
      .find(({ phone }) => phone.user === inviter);
    const aor = await this.#options.addresses.toAor(invitee);
    if (link && leg && aor !== undefined)
      await this.#options.legs().refer(link, leg.phone, `${aor};method=BYE`);
    else if (creation?.invitees.delete(invitee) && creation.invitees.size === 0) creation.cancel();
    return true;
  }

  /** A participant came in, or will not: who invited it hears so. */
  async settled(group: ResourceId, wv: UserId, came: boolean): Promise<void> {
    for (const { invitation } of await this.#options.open.takeFor(group, wv))
      await this.#options.imps().groups.answered(invitation, came);
  }

  /** Whoever invited users of whom nothing was heard in time hears that they will not come. */
  async expire(limit: number): Promise<void> {
    for (const { invitation } of await this.#options.open.takeExpired(limit))
      await this.#options.imps().groups.answered(invitation, false);
  }

  /** The group for which a group session with this Contribution-ID is being made. */
  creating(contributionId: string): ResourceId | undefined {
    return this.#creations.get(contributionId)?.group;
  }

  #create(wanted: {
    readonly group: ResourceId;
    readonly phone: Participation;
    readonly subject: string;
    readonly invitees: Set<UserId>;
    readonly recipients: readonly string[];
  }): void {
    const { group, invitees } = wanted;
    const contributionId = randomUUID();
    const held = { cancel: (): void => undefined };
    const done = this.#invite(wanted, contributionId, (cancel) => (held.cancel = cancel))
      .then(
        () => undefined,
        async (error: unknown) => {
          this.#options.log.info({ err: error, group }, 'a group session did not come about');
          for (const invitee of invitees) await this.settled(group, invitee, false);
        },
      )
      .finally(() => this.#creations.delete(contributionId));
    this.#creations.set(contributionId, {
      group,
      contributionId,
      invitees,
      cancel: () => held.cancel(),
      done,
    });
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
      group,
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
        focus: focusOf(answer) ?? factory,
        contributionId,
        conversationId,
        subject: subject === '' ? undefined : subject,
      }),
      onStarted: (cancel) => onCancel(() => cancel('SIP;cause=487;text="Cancelled"')),
    });
    await links.put(leg.link, { byContribution: true });
  }

  /** Whoever is invited while the group session comes into being is when it is there. */
  #afterwards(
    { group, invitees, done }: Creation,
    phone: Participation,
    invitee: UserId,
    entry: string,
  ): void {
    invitees.add(invitee);
    const later = async (): Promise<void> => {
      await done;
      const link = await this.#options.links.of(group);
      if (link && invitees.has(invitee)) await this.#options.legs().refer(link, phone, entry);
    };
    later().catch((error: unknown) => this.#options.log.error({ err: error }, 'a user was not invited'));
  }

  /**
   * What the focus is told of a user whom it is to invite: the group takes the place of the session that the phone has with that user (OMA
   * CPM, Session-Replaces in the entry), which is how a 1-1 exchange becomes a private group conversation.
   */
  async #entryOf(phone: string, aor: Aor): Promise<string> {
    const key = await this.#options.addresses.keyOf(aor);
    const replaced = this.#options.sessionWith(phone, key)?.contributionId;
    return replaced === undefined
      ? aor
      : `${aor};method=INVITE?Session-Replaces=${encodeURIComponent(replaced)}`;
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
      const other = user === except ? undefined : await this.#options.entrance.participation(user, '');
      if (other) found.push(other.identity);
    }
    return found;
  }
}
