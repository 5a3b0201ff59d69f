/** Milliseconds for which a peer that took no connection is not asked for one again. */
const REMEMBERED_MS = 300_000;
/** As many watchers as may get long NOTIFYs, at about 100 octets each. */
const PEERS = 131_072;

/**
 * Peers over UDP that took no TCP connection when a request was too long for a datagram (RFC 3261 §18.1.1): a device that only has UDP
 * would cost an attempt, and the time that it takes to fail, with every NOTIFY.
 */
export class NoStream {
  /** By address and port: milliseconds until which it counts. */
  readonly #until = new Map<string, number>();

  /** @param now milliseconds. */
  note(address: string, port: number, now: number): void {
    const key = `${address} ${port}`;
    this.#until.delete(key);
    this.#until.set(key, now + REMEMBERED_MS);
    if (this.#until.size <= PEERS) return;
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest);
      return;
    }
  }

  has(address: string, port: number, now: number): boolean {
    if (this.#until.size === 0) return false;
    const key = `${address} ${port}`;
    const until = this.#until.get(key);
    if (until === undefined) return false;
    if (until > now) return true;
    this.#until.delete(key);
    return false;
  }
}
