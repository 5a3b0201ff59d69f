import { networkInterfaces } from 'node:os';
import type { LocalEnd } from './wire.js';
import type { Listener } from '../stack.js';

const defaultPort = (protocol: Listener['protocol']): number =>
  ({ udp: 5060, tcp: 5060, tls: 5061, ws: 80, wss: 443 })[protocol];

/** The names by which this server is addressed: its listeners' addresses, its domains, its aliases. */
export class LocalNames {
  /** `host` for any port, `host:port` for one. */
  readonly #names = new Set<string>();

  /** @param names domains and aliases: `host` (any port) or `host:port`. */
  constructor(names: readonly string[]) {
    for (const name of names) this.#names.add(name.toLowerCase());
  }

  /** What peers are told instead of a listener's address. */
  addEnd({ host, port }: LocalEnd): void {
    this.#names.add(`${host.toLowerCase()}:${port}`);
  }

  addListeners(listeners: readonly Listener[]): void {
    for (const { address, port, protocol } of listeners) {
      for (const host of addressesOf(address)) {
        this.#names.add(`${host}:${port}`);
        if (port === defaultPort(protocol)) this.#names.add(`${host}:`);
      }
    }
  }

  /** @param host lower case, IPv6 in brackets. @param port undefined where the URI has none. */
  has(host: string, port: number | undefined): boolean {
    return this.#names.has(host) || this.#names.has(`${host}:${port ?? ''}`);
  }
}

/** A listener on all addresses is reached at each of the machine's. */
function addressesOf(address: string): string[] {
  const wildcard = address === '0.0.0.0' || address === '::';
  const found = wildcard
    ? Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((item) => item.address))
    : [address];
  return found.map(hostOf);
}

/** An IP address as the host part of a URI: IPv6 in brackets (RFC 3261 §25.1). */
export function hostOf(address: string): string {
  return address.includes(':') && !address.startsWith('[')
    ? `[${address}]`.toLowerCase()
    : address.toLowerCase();
}
