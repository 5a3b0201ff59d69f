import type { Clock } from '../../base/clock.js';
import type { InvitationRecord, ResourceId, UserId } from '../../imps/index.js';
import { table, type Store } from '../../store/store.js';

/** An invitation of a CPM user by a phone, of which nothing is known yet. */
export interface OpenInvitation {
  readonly invitation: InvitationRecord;
  readonly group: ResourceId;
}

/** By invitee, inviter and Invite-ID, which the inviter makes. */
const invitations = table<OpenInvitation>('gateway-invitations');

/** A focus rings no longer (Timer C of RFC 3261 §16.6 is three minutes): who has not come by then will not. */
const RINGS_MS = 600_000;

/** Invitations of CPM users without an answer, over restarts: whoever invited hears of each what became of it. */
export class OpenInvitations {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async put(group: ResourceId, invitation: InvitationRecord): Promise<void> {
    await this.#store.update(invitations, keyOf(invitation), () => ({
      kind: 'put',
      value: { invitation, group },
      deadline: this.#clock.now() + RINGS_MS,
      result: undefined,
    }));
  }

  /** @returns it as it was; undefined when there is none, or somebody else took it */
  take(
    invitation: Pick<InvitationRecord, 'invitee' | 'inviter' | 'id'>,
  ): Promise<OpenInvitation | undefined> {
    return this.#take(keyOf(invitation));
  }

  /** Those of a user into a group, taken. */
  async takeFor(group: ResourceId, invitee: UserId): Promise<readonly OpenInvitation[]> {
    const found: OpenInvitation[] = [];
    for await (const { key, value } of this.#store.scan(invitations, { prefix: `${invitee}\t` })) {
      const taken = value.group === group ? await this.#take(key) : undefined;
      if (taken) found.push(taken);
    }
    return found;
  }

  /** Those that nobody will answer any more, taken. */
  async takeExpired(limit: number): Promise<readonly OpenInvitation[]> {
    const keys = await this.#store.due(invitations, this.#clock.now(), limit);
    const found = await Promise.all(keys.map((key) => this.#take(key)));
    return found.filter((one) => one !== undefined);
  }

  #take(key: string): Promise<OpenInvitation | undefined> {
    return this.#store.update(invitations, key, (current) =>
      current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined },
    );
  }
}

const keyOf = ({ invitee, inviter, id }: Pick<InvitationRecord, 'invitee' | 'inviter' | 'id'>): string =>
  `${invitee}\t${inviter}\t${id}`;
