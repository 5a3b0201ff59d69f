import { parseWildcard, type Wildcard } from '../identity/wildcard.js';
import type { WatchedUser } from './watched-user.js';

/** From the identities of watched users, one by one or by the wildcarded ones that they belong to, to the keys of the users. */
export class IdentityKeys {
  readonly #keys = new Map<string, string>();
  readonly #wildcards = new Map<string, { readonly wildcard: Wildcard; readonly key: string }>();

  of(identity: string): string | undefined {
    const key = this.#keys.get(identity);
    if (key !== undefined || this.#wildcards.size === 0) return key;
    for (const { wildcard, key: found } of this.#wildcards.values())
      if (wildcard.matches(identity)) return found;
    return undefined;
  }

  add(key: string, { identities, wildcards = [] }: WatchedUser): void {
    for (const identity of identities) this.#keys.set(identity, key);
    for (const uri of wildcards) this.#wildcards.set(uri, { wildcard: parseWildcard(uri), key });
  }

  remove(key: string, { identities, wildcards = [] }: WatchedUser): void {
    for (const identity of identities) if (this.#keys.get(identity) === key) this.#keys.delete(identity);
    for (const uri of wildcards) if (this.#wildcards.get(uri)?.key === key) this.#wildcards.delete(uri);
  }
}
