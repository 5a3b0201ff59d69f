import { parseAor } from '../../identity/aor.js';
import { groupError } from './errors.js';
import {
  changeMember,
  foundGroup,
  inviteAll,
  memberOf,
  type Group,
  type GroupAccess,
  type GroupKind,
  type Participant,
} from './group.js';
import type { GroupAddresses } from './group-addresses.js';
import type { GroupOrder, GroupOrders } from './group-orders.js';
import type { Groups } from './groups.js';
import { newAlias, newId } from './identifiers.js';
import { asKnown, invitee } from './invitees.js';
import { parseRecipient, type Invitee } from './recipient.js';

/** A group that the operator makes. */
export interface NewGroup {
  /** Part of the group session identity; a random one when absent. */
  readonly name?: string;
  readonly kind: Exclude<GroupKind, 'ad-hoc'>;
  readonly access: GroupAccess;
  readonly subject?: string;
  readonly chairman: string;
  readonly members: readonly string[];
  readonly maximum?: number;
  readonly minimum?: number;
}

/** The focuses of this node, as far as the directory needs them. */
export interface FocusAccess {
  /** @throws ParleyError `group-unknown`, `group-moved` */
  close(id: string): Promise<void>;
  /** Works with the focus of a group when it has one here. @returns undefined without one. */
  running(id: string): RunningFocus | undefined;
}

export interface RunningFocus {
  readonly group: Group;
  invite(recipients: readonly Invitee[], inviter: string): Promise<unknown>;
  remove(identity: string): Promise<void>;
}

export interface DirectoryOptions {
  readonly groups: Groups;
  readonly now: () => number;
  readonly addresses: GroupAddresses;
  readonly maximum: number;
  readonly minimum: number;
  readonly focuses: FocusAccess;
  /** The other nodes. */
  readonly orders: Pick<GroupOrders, 'ask'>;
  /** Key of the registration set of a user here, else the identity. */
  ownerOf(identity: string): Promise<string>;
}

/** Long-lived and pre-defined groups as the operator keeps them, and the members of every group. */
export class Directory {
  readonly #options: DirectoryOptions;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** @throws ParleyError `group-exists`, `group-full`, `group-list-malformed`, `aor-*` for the chairman */
  async make(order: NewGroup): Promise<Group> {
    const { groups, now, addresses, maximum, minimum } = this.#options;
    const id = order.name === undefined ? newId('gs') : `gs-${order.name}`;
    const chairman = await this.#user(order.chairman);
    const members = await Promise.all(order.members.map((identity) => this.#newcomer(identity)));
    const empty: Group = {
      id,
      uri: addresses.uriOf(id),
      kind: order.kind,
      access: order.access,
      contributionId: newId('c'),
      conversationId: newId('k'),
      subject: order.subject,
      creator: chairman.identity,
      maximum: order.maximum ?? maximum,
      minimum: order.minimum ?? minimum,
      members: [],
      createdAt: now(),
    };
    const group = foundGroup(empty, chairman, members);
    await groups.add(group);
    return group;
  }

  /** Closes a group for good, whether it has sessions or not. @throws ParleyError as {@link carryOut} */
  close(id: string): Promise<void> {
    return this.#order({ what: 'close', id });
  }

  /** @throws ParleyError as {@link carryOut}, `group-full`, `group-list-malformed` */
  async add(id: string, whom: string): Promise<Group> {
    await this.#order({ what: 'add', id, whom });
    const group = this.#options.focuses.running(id)?.group ?? (await this.#options.groups.get(id));
    if (!group) throw groupError('group-unknown', id);
    return group;
  }

  /** @throws ParleyError as {@link carryOut}, `group-member-unknown`, `group-list-malformed` */
  remove(id: string, whom: string): Promise<void> {
    return this.#order({ what: 'remove', id, whom });
  }

  /** Does at this node what any node was asked for. @throws ParleyError `group-unknown`, `group-moved` while another runs the group */
  carryOut(order: GroupOrder): Promise<void> {
    const { what, id } = order;
    if (what === 'close') return this.#options.focuses.close(id);
    return what === 'add' ? this.#add(id, order.whom) : this.#remove(id, order.whom);
  }

  /** It is done where the group has its sessions. @throws ParleyError also `group-node-silent`, `group-node-failed` */
  async #order(order: GroupOrder): Promise<void> {
    const { groups, orders } = this.#options;
    const holder = (await groups.get(order.id))?.holder;
    if (holder === undefined || holder === groups.holder) await this.carryOut(order);
    else await orders.ask(holder, order);
  }

  async #add(id: string, whom: string): Promise<void> {
    const user = await this.#newcomer(whom);
    const focus = this.#options.focuses.running(id);
    if (focus) {
      await focus.invite([invitee(user)], focus.group.creator);
      return;
    }
    await this.#options.groups.edit(id, (group) => {
      const [added] = asKnown(group, [invitee(user)]);
      const { group: invited } = inviteAll(group, [added!], group.creator, newAlias);
      return changeMember(invited, { identity: added!.identity, event: 'drop' });
    });
  }

  async #remove(id: string, whom: string): Promise<void> {
    const user = await this.#member(whom);
    const known = (group: Group): string => {
      const member = memberOf(group, user);
      if (!member) throw groupError('group-member-unknown', user.identity);
      return member.identity;
    };
    const focus = this.#options.focuses.running(id);
    if (focus) {
      await focus.remove(known(focus.group));
      return;
    }
    await this.#options.groups.edit(id, (group) =>
      changeMember(group, { identity: known(group), event: 'remove' }),
    );
  }

  /** @throws ParleyError `group-list-malformed`, also for a group in a group, which would invite itself */
  async #newcomer(address: string): Promise<Participant> {
    const user = await this.#member(address);
    if (this.#options.addresses.isTaken(user.identity))
      throw groupError('group-list-malformed', `${user.identity} is a group`);
    return user;
  }

  /** A member as lists name it: also one outside SIP, which interworking reaches. @throws ParleyError `group-list-malformed` */
  async #member(address: string): Promise<Participant> {
    const { identity } = parseRecipient(address, { copyControl: 'to', anonymize: false }, ['INVITE']);
    return { identity, owner: await this.#options.ownerOf(identity) };
  }

  async #user(address: string): Promise<Participant> {
    const identity = parseAor(address);
    return { identity, owner: await this.#options.ownerOf(identity) };
  }
}
