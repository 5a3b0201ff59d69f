import type { Clock } from '../../base/clock.js';
import type { UserId } from '../../imps/index.js';
import type { AddressMap } from '../addresses/address-map.js';
import { table, type Store } from '../../store/store.js';
import { conversationId } from './identifiers.js';

/** The conversation of an IMPS user and somebody on the SIP side. */
interface ConversationRecord {
  readonly id: string;
  /** When it was last heard, to a day. */
  readonly at: number;
}

export const conversations = table<ConversationRecord>('gateway-conversations');

export interface ConversationsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly addresses: Pick<AddressMap, 'keyOf'>;
}

const DAY_MS = 86_400_000;
/** Days of silence after which a conversation is a new one. */
const REMEMBER_MS = 30 * DAY_MS;
/** What may stand in a Conversation-ID; anything else is left out of account. */
const wellFormed = /^[\w.!~*'()%@:+/=-]{1,127}$/;

/**
 * Conversation-IDs, the same in both directions: the one that the SIP side uses, since its devices keep their conversations by it; as
 * long as it names none, the one that both addresses give.
 */
export class Conversations {
  readonly #options: ConversationsOptions;

  constructor(options: ConversationsOptions) {
    this.#options = options;
  }

  /** A message came with a Conversation-ID: what the phone sends to its sender from now on has it too. */
  async heard(user: UserId, peer: string, id: string | undefined): Promise<void> {
    if (id === undefined || !wellFormed.test(id)) return;
    const { store, clock } = this.#options;
    const key = await this.#keyOf(user, peer);
    const at = clock.now();
    const known = await store.get(conversations, key);
    if (known?.id === id && at - known.at < DAY_MS) return;
    await store.update(conversations, key, () => ({
      kind: 'put',
      value: { id, at },
      deadline: at + REMEMBER_MS,
      result: undefined,
    }));
  }

  /** @param from identity of the user, as the SIP side knows it */
  async of(user: UserId, from: string, peer: string): Promise<string> {
    const known = await this.#options.store.get(conversations, await this.#keyOf(user, peer));
    return known?.id ?? conversationId(from, await this.#options.addresses.keyOf(peer));
  }

  /** A user is removed: whoever gets the address begins anew. */
  async forget(user: UserId): Promise<void> {
    const { store } = this.#options;
    for await (const { key } of store.scan(conversations, { prefix: `${user}\t` }))
      await store.update(conversations, key, () => ({ kind: 'remove', result: undefined }));
  }

  async expire(limit: number): Promise<void> {
    const { store, clock } = this.#options;
    for (const key of await store.due(conversations, clock.now(), limit))
      await store.update(conversations, key, () => ({ kind: 'remove', result: undefined }));
  }

  /** All identities of a user here are one. */
  async #keyOf(user: UserId, peer: string): Promise<string> {
    return `${user}\t${await this.#options.addresses.keyOf(peer)}`.slice(0, 500);
  }
}
