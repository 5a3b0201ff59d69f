import { soon, type Soon } from '../base/soon.js';
import { parseWildcard, type Wildcard } from '../identity/wildcard.js';
import { table, type Store } from '../store/store.js';

/** The wildcarded identities of all subscribers; each has its row beside the other identities. */
const wildcards = table<true>('wildcards');
const CHANNEL = 'wildcards';

/** Finds the wildcarded identity that an identity belongs to. There are few, so that all are held in memory; all nodes see a change. */
export class Wildcards {
  readonly #store: Store;
  #known: readonly Wildcard[] | undefined;
  #loading: Promise<readonly Wildcard[]> | undefined;
  #listening = false;
  #changes = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The URI of the first that matches, in order of their texts. */
  find(aor: string): Soon<string | undefined> {
    return soon(
      this.#known ?? (this.#loading ??= this.#load()),
      (known) => known.find((wildcard) => wildcard.matches(aor))?.uri,
    );
  }

  async add(uri: string): Promise<void> {
    await this.#store.update(wildcards, uri, () => ({ kind: 'put', value: true, result: undefined }));
    await this.#changed(uri);
  }

  async remove(uri: string): Promise<void> {
    await this.#store.update(wildcards, uri, () => ({ kind: 'remove', result: undefined }));
    await this.#changed(uri);
  }

  async #changed(uri: string): Promise<void> {
    this.#forget();
    await this.#store.publish(CHANNEL, uri);
  }

  #forget(): void {
    this.#changes++;
    this.#known = undefined;
    this.#loading = undefined;
  }

  async #load(): Promise<readonly Wildcard[]> {
    // listens before it reads, so that no change falls between
    const forget = (): void => this.#forget();
    if (!this.#listening) this.#store.subscribe(CHANNEL, forget, forget);
    this.#listening = true;
    const changes = this.#changes;
    const found: Wildcard[] = [];
    try {
      for await (const { key } of this.#store.scan(wildcards)) found.push(parseWildcard(key));
    } catch (error) {
      this.#forget();
      throw error;
    }
    if (this.#changes === changes) this.#known = found;
    return found;
  }
}
