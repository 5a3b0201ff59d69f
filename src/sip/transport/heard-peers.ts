import type { RemoteInfo } from 'node:dgram';

/** Milliseconds for which a peer that was heard counts as alive, up to twice that. */
const GENERATION_MS = 2_500;
const SLOTS = 1024;

/**
 * Which peers sent something lately. Noting one costs a store, because it happens for each datagram; two peers that share
 * a slot hide one another, which only makes the hidden one look silent.
 */
export class HeardPeers {
  #young: (RemoteInfo | undefined)[] = new Array<RemoteInfo | undefined>(SLOTS);
  #old: (RemoteInfo | undefined)[] = [];
  #bornAt = -Infinity;

  note(remote: RemoteInfo): void {
    this.#young[slotOf(remote.address, remote.port)] = remote;
  }

  /** @param now milliseconds. */
  has(address: string, port: number, now: number): boolean {
    const age = now - this.#bornAt;
    if (age >= GENERATION_MS) {
      // nobody asked for long: how old the young ones are is not known
      this.#old = age < 2 * GENERATION_MS ? this.#young : [];
      this.#young = new Array<RemoteInfo | undefined>(SLOTS);
      this.#bornAt = now;
    }
    const slot = slotOf(address, port);
    return isPeer(this.#young[slot], address, port) || isPeer(this.#old[slot], address, port);
  }
}

function slotOf(address: string, port: number): number {
  const end = address.length;
  return (port ^ (address.charCodeAt(end - 1) << 5) ^ (address.charCodeAt(end - 2) << 2)) & (SLOTS - 1);
}

function isPeer(remote: RemoteInfo | undefined, address: string, port: number): boolean {
  return remote !== undefined && remote.port === port && remote.address === address;
}
