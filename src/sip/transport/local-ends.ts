import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { bracketed } from '../../base/endpoint.js';
import type { Listener } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';

/** Our side of a hop as peers are told of it. */
export interface LocalEnd {
  readonly protocol: Listener['protocol'];
  /** An address, IPv6 in brackets, or the name that the configuration advertises. */
  readonly host: string;
  readonly port: number;
}

/** How peers are to know us, found once for each protocol and family. */
export class LocalEnds {
  readonly #listeners: readonly Listener[];
  readonly #advertised: string | undefined;
  readonly #known = new Map<string, LocalEnd>();

  /** @param advertised stands for the address of every listener. */
  constructor(listeners: readonly Listener[], advertised: string | undefined) {
    this.#listeners = listeners;
    this.#advertised = advertised;
  }

  /**
   * The listener that peers reached by that hop are told of: of the same protocol and address family if there is
   * one, else of the same family, else any; undefined without listeners.
   */
  towards(hop: NextHop): LocalEnd | undefined {
    const near = hop.address.startsWith('127.') || hop.address === '::1';
    const six = hop.address.includes(':');
    const key = `${hop.protocol} ${six} ${near}`;
    let end = this.#known.get(key);
    if (!end) {
      end = this.#find(hop.protocol, six, near);
      if (end) this.#known.set(key, end);
    }
    return end;
  }

  #find(protocol: Listener['protocol'], six: boolean, near: boolean): LocalEnd | undefined {
    const family = this.#listeners.filter(({ address }) => isIPv6(address) === six);
    const listener = family.find((one) => one.protocol === protocol) ?? family[0] ?? this.#listeners[0];
    return (
      listener && {
        protocol: listener.protocol,
        host: this.#advertised ?? bracketed(concrete(listener.address, near)),
        port: listener.port,
      }
    );
  }
}

/** A wildcard address means nothing to a peer: an address of this machine that the peer may reach stands for it. */
function concrete(address: string, near: boolean): string {
  if (address !== '0.0.0.0' && address !== '::') return address;
  const family = address === '::' ? 'IPv6' : 'IPv4';
  const loopback = family === 'IPv6' ? '::1' : '127.0.0.1';
  if (near) return loopback;
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((one) => one.family === family && !one.internal && !one.address.startsWith('fe80:'));
  return outside?.address ?? loopback;
}
