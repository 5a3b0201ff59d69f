import { parseAor } from '../../identity/aor.js';
import { groupError } from './errors.js';
import {
  addMember,
  changeMember,
  findMember,
  type Group,
  type GroupAccess,
  type GroupKind,
} from './group.js';
import type { Groups } from './groups.js';
import { newId } from './identifiers.js';
import type { Recipient } from './recipient.js';

/** A group that the operator makes. */
export interface GroupOrder {
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
  invite(recipients: readonly Recipient[], inviter: string): Promise<unknown>;
  remove(identity: string): Promise<void>;
}

export interface DirectoryOptions {
  readonly groups: Groups;
  readonly now: () => number;
  readonly domain: string;
  readonly maximum: number;
  readonly minimum: number;
  readonly focuses: FocusAccess;
}

/** Long-lived and pre-defined groups as the operator keeps them, and the members of every group. */
export class Directory {
  readonly #options: DirectoryOptions;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** @throws ParleyError `group-exists`, `group-full`, `aor-*` */
  async make(order: GroupOrder): Promise<Group> {
    const { groups, now, domain, maximum, minimum } = this.#options;
    const id = order.name === undefined ? newId('gs') : `gs-${order.name}`;
    const creator = parseAor(order.chairman);
    const empty: Group = {
      id,
      uri: `sip:${id}@${domain}`,
      kind: order.kind,
      access: order.access,
      contributionId: newId('c'),
      conversationId: newId('k'),
      subject: order.subject,
      creator,
      maximum: order.maximum ?? maximum,
      minimum: order.minimum ?? minimum,
      members: [],
      createdAt: now(),
    };
    const group = order.members.reduce(
      (so, identity) => addMember(so, parseAor(identity), 'participant'),
      addMember(empty, creator, 'chairman'),
    );
    if (await groups.get(id)) throw groupError('group-exists', id);
    await groups.add(group);
    return group;
  }

  /** Closes a group for good, whether it has sessions or not. @throws ParleyError `group-unknown`, `group-moved` */
  close(id: string): Promise<void> {
    return this.#options.focuses.close(id);
  }

  /** @throws ParleyError `group-unknown`, `group-moved`, `group-full`, `aor-*` */
  async add(id: string, whom: string): Promise<Group> {
    const identity = parseAor(whom);
    const focus = this.#options.focuses.running(id);
    if (focus) {
      await focus.invite([recipient(identity)], focus.group.creator);
      return focus.group;
    }
    return this.#options.groups.edit(id, (group) => {
      const known = findMember(group, identity);
      if (!known) return addMember(group, identity, 'participant');
      return changeMember(changeMember(group, { identity, event: 'invite' }), { identity, event: 'drop' });
    });
  }

  /** @throws ParleyError `group-unknown`, `group-moved`, `group-member-unknown` */
  async remove(id: string, whom: string): Promise<void> {
    const identity = parseAor(whom);
    const focus = this.#options.focuses.running(id);
    if (focus) {
      await focus.remove(identity);
      return;
    }
    await this.#options.groups.edit(id, (group) => {
      if (!findMember(group, identity)) throw groupError('group-member-unknown', identity);
      return changeMember(group, { identity, event: 'remove' });
    });
  }
}

/** Somebody to be invited without a list. */
export function recipient(identity: string): Recipient {
  return {
    identity,
    interworking: !/^(?:sips?|tel):/.test(identity),
    target: identity,
    method: 'INVITE',
    copyControl: 'to',
    anonymize: false,
  };
}
