import type { NaptrRecord, RecordWithTtl, SrvRecord } from 'node:dns';
import type { Clock } from '../../base/clock.js';

/** The questions asked of DNS: a `Resolver` of `node:dns/promises` answers them. */
export interface Dns {
  resolveNaptr(name: string): Promise<NaptrRecord[]>;
  resolveSrv(name: string): Promise<SrvRecord[]>;
  resolve4(name: string, options: { ttl: true }): Promise<RecordWithTtl[]>;
  resolve6(name: string, options: { ttl: true }): Promise<RecordWithTtl[]>;
}

/** Seconds for which answers are believed. */
const shortest = 1;
const longest = 300;
/** Node tells no TTL of NAPTR and SRV records. */
const withoutTtl = 60;
const absent = 10;
const failed = 2;
/** Answers kept; beyond that the oldest go. */
const CAPACITY = 10_000;

/** What DNS says when it has answered, and the answer is that there is nothing. */
const NOTHING = new Set(['ENOTFOUND', 'ENODATA', 'NOTFOUND', 'NODATA']);

interface Entry<T> {
  readonly records: Promise<readonly T[]>;
  until: number;
}

type Question = 'naptr' | 'srv' | 'a' | 'aaaa';

/** Answers of DNS, each question asked once at a time and again only after its time to live. No records is an empty list. */
export class DnsCache {
  readonly #dns: Dns;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry<unknown>>();

  constructor(dns: Dns, clock: Clock) {
    this.#dns = dns;
    this.#clock = clock;
  }

  naptr(name: string): Promise<readonly NaptrRecord[]> {
    return this.#ask(
      'naptr',
      name,
      () => this.#dns.resolveNaptr(name),
      () => withoutTtl,
    );
  }

  srv(name: string): Promise<readonly SrvRecord[]> {
    return this.#ask(
      'srv',
      name,
      () => this.#dns.resolveSrv(name),
      () => withoutTtl,
    );
  }

  a(name: string): Promise<readonly RecordWithTtl[]> {
    return this.#ask('a', name, () => this.#dns.resolve4(name, { ttl: true }), lowestTtl);
  }

  aaaa(name: string): Promise<readonly RecordWithTtl[]> {
    return this.#ask('aaaa', name, () => this.#dns.resolve6(name, { ttl: true }), lowestTtl);
  }

  /** @throws what DNS throws when it could not answer: no server, SERVFAIL, a timeout. */
  #ask<T>(
    question: Question,
    name: string,
    ask: () => Promise<readonly T[]>,
    ttl: (records: readonly T[]) => number,
  ): Promise<readonly T[]> {
    const key = `${question} ${name.toLowerCase()}`;
    const known = this.#entries.get(key) as Entry<T> | undefined;
    if (known && known.until > this.#clock.now()) return known.records;
    const believe = (entry: Entry<T>, seconds: number): void => {
      entry.until = this.#clock.now() + 1000 * seconds;
    };
    const records = ask().then(
      (found) => {
        believe(entry, found.length === 0 ? absent : Math.min(longest, Math.max(shortest, ttl(found))));
        return found;
      },
      (error: NodeJS.ErrnoException) => {
        const nothing = NOTHING.has(error.code ?? '');
        believe(entry, nothing ? absent : failed);
        if (nothing) return [];
        throw error;
      },
    );
    const entry: Entry<T> = { records, until: Infinity };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > CAPACITY) this.#entries.delete(this.#entries.keys().next().value!);
    return records;
  }
}

function lowestTtl(records: readonly RecordWithTtl[]): number {
  return Math.min(...records.map((record) => record.ttl));
}
