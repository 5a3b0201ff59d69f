import type { SrvRecord } from 'node:dns';
import { isIP } from 'node:net';
import type { Clock } from '../../base/clock.js';
import type { SipUri } from '../message/uri.js';
import type { Protocol } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import { defaultPort } from '../transport/listener-spec.js';
import { DnsCache, type Dns } from './dns-cache.js';
import { readHosts, type Hosts } from './hosts-file.js';
import { orderSrv } from './srv-order.js';

export interface ResolverOptions {
  readonly dns: Dns;
  readonly clock: Clock;
  /** Whether we can send over that protocol and IP version, 4 or 6. */
  readonly canSend: (protocol: Protocol, family: 4 | 6) => boolean;
  /** Names that never touch DNS; those of the hosts file unless given. */
  readonly hosts?: Hosts;
  /** From 0 up to but not including 1, for the weights of SRV records. */
  readonly random?: () => number;
}

/** Hops given for one URI at most. */
const MOST_HOPS = 16;

/** RFC 3263 §4.1 and RFC 7118 §7: NAPTR services, with the SRV name that stands for each where there is no NAPTR record. */
const services: readonly { service: string; protocol: Protocol; srv: string }[] = [
  { service: 'SIPS+D2T', protocol: 'tls', srv: '_sips._tcp' },
  { service: 'SIPS+D2W', protocol: 'wss', srv: '_sips._ws' },
  { service: 'SIP+D2U', protocol: 'udp', srv: '_sip._udp' },
  { service: 'SIP+D2T', protocol: 'tcp', srv: '_sip._tcp' },
  { service: 'SIP+D2W', protocol: 'ws', srv: '_sip._ws' },
];

interface Target {
  readonly host: string;
  readonly port: number | undefined;
  /** Sips, or a next hop that must be secured. */
  readonly secure: boolean;
}

/** Finds the servers of a SIP or SIPS URI (RFC 3263 §4). */
export class Resolver {
  readonly #options: ResolverOptions;
  readonly #cache: DnsCache;
  readonly #hosts: Hosts;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#cache = new DnsCache(options.dns, options.clock);
    this.#hosts = options.hosts ?? readHosts();
  }

  /**
   * Where a request to that URI may be sent, best first; empty when there is nowhere. Given at once for numeric
   * addresses and names of the hosts file, which never touch DNS. Rejects when DNS could not be asked.
   * @param secure asks for TLS whatever the scheme.
   */
  resolve(uri: SipUri, secure = false): readonly NextHop[] | Promise<readonly NextHop[]> {
    const host = (uri.param('maddr') ?? uri.host).replace(/^\[|\]$/g, '');
    const target: Target = { host, port: uri.port, secure: secure || uri.scheme === 'sips' };
    const wanted = uri.param('transport');
    const asked = wanted === undefined ? undefined : protocolOf(wanted, target.secure);
    if (wanted !== undefined && asked === undefined) return [];
    const plain = asked ?? (target.secure ? 'tls' : 'udp');
    const addresses = isIP(host) ? [host] : this.#hosts.get(host.toLowerCase());
    if (addresses) return this.#hops(addresses, plain, target.port ?? defaultPort(plain), host);
    return this.#lookUp(target, asked, plain);
  }

  async #lookUp(target: Target, asked: Protocol | undefined, plain: Protocol): Promise<readonly NextHop[]> {
    const { host, port } = target;
    if (port !== undefined) return this.#named(host, plain, port, host); // §4.2: no SRV with a port
    const found = asked ? await this.#bySrv(host, [asked]) : await this.#byNaptr(target);
    return (found ?? (await this.#named(host, plain, defaultPort(plain), host))).slice(0, MOST_HOPS);
  }

  /** §4.1: what the domain prefers among what we can do; without NAPTR records, what we prefer. */
  async #byNaptr({ host, secure }: Target): Promise<NextHop[] | undefined> {
    const usable = services.filter(
      ({ protocol }) => (!secure || isSecure(protocol)) && this.#canSend(protocol),
    );
    const records = (await this.#cache.naptr(host))
      .filter((record) => record.flags.toLowerCase() === 's')
      .sort((a, b) => a.order - b.order || a.preference - b.preference);
    const hops: NextHop[] = [];
    for (const record of records) {
      const service = usable.find((one) => one.service === record.service.toUpperCase());
      if (!service) continue;
      const servers = await this.#cache.srv(record.replacement);
      hops.push(...(await this.#servers(servers, service.protocol, host)));
    }
    if (hops.length > 0) return hops;
    return this.#bySrv(host, usable.map(({ protocol }) => protocol)); // prettier-ignore
  }

  /** The servers of the first of these protocols for which the domain has SRV records; undefined when it has none at all. */
  async #bySrv(host: string, protocols: readonly Protocol[]): Promise<NextHop[] | undefined> {
    for (const { protocol, srv } of services) {
      if (!protocols.includes(protocol)) continue;
      const records = await this.#cache.srv(`${srv}.${host}`);
      if (records.length > 0) return this.#servers(records, protocol, host);
    }
    return undefined;
  }

  async #servers(records: readonly SrvRecord[], protocol: Protocol, host: string): Promise<NextHop[]> {
    // RFC 2782: a target of "." says that the service is decidedly not there
    const servers = records.filter(({ name }) => name !== '' && name !== '.');
    const ordered = orderSrv(servers, this.#options.random ?? Math.random).slice(0, MOST_HOPS);
    const hops = await Promise.all(ordered.map(({ name, port }) => this.#named(name, protocol, port, host)));
    return hops.flat();
  }

  /** @param domain what a certificate must prove: the name before any SRV record (RFC 5922 §7.1). */
  async #named(name: string, protocol: Protocol, port: number, domain: string): Promise<NextHop[]> {
    const { canSend } = this.#options;
    const asked = await Promise.allSettled([
      canSend(protocol, 4) ? this.#cache.a(name) : [],
      canSend(protocol, 6) ? this.#cache.aaaa(name) : [],
    ]);
    const addresses = asked.flatMap((answer) =>
      answer.status === 'fulfilled' ? answer.value.map((record) => record.address) : [],
    );
    const failed = asked.find((answer) => answer.status === 'rejected');
    if (addresses.length === 0 && failed) throw failed.reason;
    return this.#hops(addresses, protocol, port, domain);
  }

  #hops(addresses: readonly string[], protocol: Protocol, port: number, domain: string): NextHop[] {
    const name = isSecure(protocol) && isIP(domain) === 0 ? { serverName: domain } : {};
    return addresses
      .filter((address) => this.#options.canSend(protocol, isIP(address) === 6 ? 6 : 4))
      .map((address) => ({ protocol, address, port, ...name }));
  }

  #canSend(protocol: Protocol): boolean {
    return this.#options.canSend(protocol, 4) || this.#options.canSend(protocol, 6);
  }
}

function isSecure(protocol: Protocol): boolean {
  return protocol === 'tls' || protocol === 'wss';
}

/** A transport parameter as a protocol; sips over TCP is TLS (RFC 3261 §26.2.2). Undefined for one that we do not have. */
function protocolOf(transport: string, secure: boolean): Protocol | undefined {
  switch (transport.toLowerCase()) {
    case 'udp':
      return secure ? undefined : 'udp';
    case 'tcp':
      return secure ? 'tls' : 'tcp';
    case 'tls':
      return 'tls';
    case 'ws':
      return secure ? 'wss' : 'ws';
    case 'wss':
      return 'wss';
    default:
      return undefined;
  }
}
