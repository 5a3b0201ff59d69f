import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { table, type Store } from '../../store/store.js';
import type { StoredContent } from './deferred-store.js';

/** Key: registration set, tab, name of the content, tab, number of the piece. */
const pieces = table<{ readonly octets: Uint8Array }>('deferred-contents');

const PIECE_OCTETS = 512 * 1024;
/** Removed after its message's end, if whoever had to do that died. */
const SPARE_MS = 3_600_000;
const SWEEP_BATCH = 200;

/** The octets of large messages, in pieces, so that none is ever whole in memory. */
export class ContentStore {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * Resolves when all octets are committed. What `octets` throws is thrown, and nothing stays.
   * @param expiresAt milliseconds since the epoch. @throws ParleyError `store-unavailable`
   */
  async keep(set: string, octets: AsyncIterable<Uint8Array>, expiresAt: number): Promise<StoredContent> {
    const name = randomUUID();
    let content: StoredContent = { name, octets: 0, pieces: 0 };
    let waiting: Uint8Array[] = [];
    let length = 0;
    const put = async (): Promise<void> => {
      const piece = Uint8Array.from(Buffer.concat(waiting));
      await this.#store.update(pieces, keyOf(set, name, content.pieces), () => ({
        kind: 'put',
        value: { octets: piece },
        deadline: expiresAt + SPARE_MS,
        result: undefined,
      }));
      content = { name, octets: content.octets + length, pieces: content.pieces + 1 };
      waiting = [];
      length = 0;
    };
    try {
      for await (const piece of octets) {
        waiting.push(piece);
        length += piece.length;
        if (length >= PIECE_OCTETS) await put();
      }
      if (length > 0) await put();
      return content;
    } catch (error) {
      await this.remove(set, { ...content, pieces: content.pieces + 1 });
      throw error;
    }
  }

  /** The octets in order. @throws Error when a piece is gone: the message was removed meanwhile. */
  async *read(set: string, { name, pieces: count }: StoredContent): AsyncGenerator<Uint8Array> {
    for (let number = 0; number < count; number++) {
      const piece = await this.#store.get(pieces, keyOf(set, name, number));
      if (!piece) throw new Error('the content of a message has gone');
      yield piece.octets;
    }
  }

  async remove(set: string, { name, pieces: count }: StoredContent): Promise<void> {
    for (let number = 0; number < count; number++) await this.#remove(keyOf(set, name, number));
  }

  /** Removes what nobody else did. */
  async sweep(): Promise<void> {
    for (const key of await this.#store.due(pieces, this.#clock.now(), SWEEP_BATCH)) await this.#remove(key);
  }

  #remove(key: string): Promise<void> {
    return this.#store.update(pieces, key, () => ({ kind: 'remove', result: undefined }));
  }
}

const keyOf = (set: string, name: string, number: number): string =>
  `${set}\t${name}\t${String(number).padStart(6, '0')}`;
