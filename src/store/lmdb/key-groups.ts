/** What stands between the parts of a key, by the convention of the tables that are scanned by their first part. */
const separator = '\t';

/**
 * Keys in memory by their first part, so that a scan of one user's or one session's records looks at no others. Keys of
 * one part are not kept here.
 */
export class KeyGroups {
  /** Most groups have one key, and a Set each would cost more than the keys. */
  readonly #groups = new Map<string, string | Set<string>>();

  add(key: string): void {
    const group = groupOf(key);
    if (group === undefined) return;
    const known = this.#groups.get(group);
    if (known === undefined) this.#groups.set(group, key);
    else if (typeof known !== 'string') known.add(key);
    else if (known !== key) this.#groups.set(group, new Set([known, key]));
  }

  delete(key: string): void {
    const group = groupOf(key);
    if (group === undefined) return;
    const known = this.#groups.get(group);
    if (known === key) this.#groups.delete(group);
    else if (typeof known === 'object' && known.delete(key) && known.size === 0) this.#groups.delete(group);
  }

  /** @returns keys that hold all that begin with the prefix; undefined when any key may */
  holding(prefix: string): Iterable<string> | undefined {
    const group = groupOf(prefix);
    if (group === undefined) return undefined;
    const known = this.#groups.get(group) ?? [];
    return typeof known === 'string' ? [known] : known;
  }
}

function groupOf(key: string): string | undefined {
  const end = key.indexOf(separator);
  return end < 0 ? undefined : key.slice(0, end);
}
