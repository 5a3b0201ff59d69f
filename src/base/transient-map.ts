/**
 * A map from text for what comes and goes by the thousand a second, as transactions do.
 *
 * V8 makes the table of a Map anew after about as many deletions as it has room for, and each table points to the one that
 * follows it. Once a table has lived long enough to be old, the young generation's collector takes all that follow for
 * alive, and with them whatever they held when they were left: each value is copied twice, and stays until the whole heap
 * is collected. Here the Map holds numbers alone, and the values stand in an array in which their places are used again.
 */
export class TransientMap<V extends object | string> {
  readonly #places = new Map<string, number>();
  readonly #values: (V | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#places.size;
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  get(key: string): V | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#values[place];
  }

  set(key: string, value: V): void {
    let place = this.#places.get(key);
    if (place === undefined) this.#places.set(key, (place = this.#free.pop() ?? this.#values.length));
    this.#values[place] = value;
  }

  /** @returns whether it was there. */
  delete(key: string): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    this.#places.delete(key);
    this.#values[place] = undefined;
    this.#free.push(place);
    return true;
  }

  clear(): void {
    this.#places.clear();
    this.#values.length = this.#free.length = 0;
  }

  /** In no order. */
  *values(): Generator<V> {
    for (const value of this.#values) if (value !== undefined) yield value;
  }
}
