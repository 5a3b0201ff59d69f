import { createHash } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import { aorUser, parseAor, type Aor } from '../../identity/aor.js';
import { parseUserId, type UserId } from '../../imps/index.js';
import type { Store } from '../../store/store.js';
import '../errors.js';
import { addressPairs, reversePairs, type AddressPair } from '../records.js';
import { aorByRule, wvByRule, type DomainPairs } from './rules.js';

export interface AddressMapOptions {
  readonly store: Store;
  readonly trail: Trail;
  /** Domain of this server's IMPS users. */
  readonly home: string;
  readonly domains: DomainPairs;
  /** Default identity of the set that an identity of the home domain belongs to; undefined for strangers. */
  setOf(aor: string): Promise<string | undefined>;
}

/** `wv:` addresses and the `sip:` and `tel:` addresses of the same users: by provisioning, else by rule. */
export class AddressMap {
  readonly #options: AddressMapOptions;

  constructor(options: AddressMapOptions) {
    this.#options = options;
  }

  /** Where a `wv:` user is on the SIP side; undefined when no address of record can be made of it. */
  async toAor(wv: UserId): Promise<Aor | undefined> {
    const pair = await this.#options.store.get(addressPairs, wv);
    if (pair) return pair.aor as Aor;
    const ruled = aorByRule(wv, this.#options.domains);
    if (ruled === undefined) return undefined;
    // an address that somebody else is provisioned for is nobody's by rule
    const owner = await this.#options.store.get(reversePairs, ruled);
    return owner === undefined || owner.wv === wv ? ruled : undefined;
  }

  /** What all addresses of a user have in common: the key of its registration set; of a stranger, the address itself. */
  async keyOf(uri: string): Promise<string> {
    const address = addressOf(uri);
    return (await this.#options.setOf(address)) ?? address;
  }

  /**
   * How a SIP user is shown to IMPS phones, so that an answer to it comes back: every identity of a home user as its one
   * `wv:` address. A user whose address no rule can turn gets one made, for ever; a user of the IMPS side alone has that one.
   * @throws ParleyError `aor-*` when it is no address of record
   */
  async toWv(uri: string): Promise<UserId> {
    const known = await this.findWv(uri);
    if (known !== undefined) return known;
    const aor = parseAor(uri);
    return this.#make(((await this.#options.setOf(aor)) ?? aor) as Aor);
  }

  /** The same, but makes none. @throws ParleyError `aor-*` when it is no address of record */
  async findWv(uri: string): Promise<UserId | undefined> {
    const { store, domains, home } = this.#options;
    const own = /^wv:/i.test(uri) ? parseUserId(uri, home) : undefined;
    if (own !== undefined) return own;
    const aor = parseAor(uri);
    const identity = ((await this.#options.setOf(aor)) ?? aor) as Aor;
    const ruled = wvByRule(identity, domains, home);
    const [ofAor, ofIdentity, pair] = await Promise.all([
      store.get(reversePairs, aor),
      identity === aor ? undefined : store.get(reversePairs, identity),
      ruled && store.get(addressPairs, ruled),
    ]);
    const known = ofAor ?? ofIdentity;
    if (known) return known.wv;
    // one that is laid down for somebody else is not this one's by rule
    return pair && pair.aor !== identity ? undefined : ruled;
  }

  /**
   * Lays down that two addresses are one user's.
   * @throws ParleyError `gateway-address-invalid`, `gateway-address-conflict` when one of them has another partner.
   */
  async provision(wvText: string, uri: string): Promise<AddressPair> {
    const wv = parseUserId(wvText, this.#options.home);
    if (wv === undefined) throw new ParleyError('gateway-address-invalid', wvText.slice(0, 80));
    return this.#put({ wv, aor: parseAor(uri), source: 'provisioned' });
  }

  /**
   * The same by the configuration, whose word is the last: what either address led to before is taken back.
   * @throws ParleyError `gateway-address-invalid`
   */
  async configure(wvText: string, uri: string): Promise<AddressPair> {
    const { store, trail, home } = this.#options;
    const aor = parseAor(uri);
    const wv = parseUserId(wvText, home);
    for (const name of [wv, (await store.get(reversePairs, aor))?.wv]) {
      const other = name && (await store.get(addressPairs, name));
      if (!other || (other.wv === wv && other.aor === aor)) continue;
      await this.remove(other.wv).catch(unlessUnknown);
      trail.record({
        code: 'gateway.address-replaced',
        outcome: 'noted',
        clause: 'document 003 §5.1.1.2',
        subject: other.aor,
        detail: other.wv,
      });
    }
    return this.provision(wvText, uri);
  }

  /** @throws ParleyError `gateway-address-unknown` */
  async remove(wv: UserId): Promise<AddressPair> {
    const { store } = this.#options;
    const gone = await store.update(addressPairs, wv, (current) => {
      if (!current) throw new ParleyError('gateway-address-unknown', wv);
      return { kind: 'remove', result: current };
    });
    await store.update(reversePairs, gone.aor, (current) =>
      current?.wv === wv ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
    );
    return gone;
  }

  /**
   * What an address is on the other side, for people: nothing is made.
   * @throws ParleyError `gateway-address-invalid` for what is none, `gateway-address-unknown` for one without a counterpart
   */
  async explain(address: string): Promise<{ wv: UserId; aor: Aor; by: AddressPair['source'] | 'rule' }> {
    const { home, domains } = this.#options;
    if (/^(?:sips?|tel):/i.test(address)) {
      const aor = parseAor(address);
      const identity = ((await this.#options.setOf(aor)) ?? aor) as Aor;
      const wv =
        (await this.#options.store.get(reversePairs, identity))?.wv ?? wvByRule(identity, domains, home);
      if (wv === undefined || (await this.toAor(wv)) !== identity)
        throw new ParleyError('gateway-address-unknown', address.slice(0, 80));
      return { wv, aor: identity, by: (await this.pairOf(wv))?.source ?? 'rule' };
    }
    const wv = parseUserId(address, home);
    if (wv === undefined) throw new ParleyError('gateway-address-invalid', address.slice(0, 80));
    const aor = await this.toAor(wv);
    if (aor === undefined) throw new ParleyError('gateway-address-unknown', wv);
    return { wv, aor, by: (await this.pairOf(wv))?.source ?? 'rule' };
  }

  /** What is laid down for a `wv:` address. */
  pairOf(wv: UserId): Promise<AddressPair | undefined> {
    return this.#options.store.get(addressPairs, wv);
  }

  /** Everything laid down, in order of `wv:` addresses. */
  async *list(after?: string): AsyncGenerator<AddressPair> {
    const range = after === undefined ? {} : { after };
    for await (const { value } of this.#options.store.scan(addressPairs, range)) yield value;
  }

  async #put(pair: AddressPair): Promise<AddressPair> {
    const { store } = this.#options;
    const claimed = await store.update(reversePairs, pair.aor, (current) =>
      current && current.wv !== pair.wv
        ? { kind: 'keep', result: current.wv }
        : { kind: 'put', value: { wv: pair.wv }, result: pair.wv },
    );
    if (claimed !== pair.wv && !(await this.#replacesMade(pair, claimed)))
      throw new ParleyError('gateway-address-conflict', `${pair.aor} is ${claimed} already`);
    const kept = await store.update(addressPairs, pair.wv, (current) =>
      current && current.aor !== pair.aor
        ? { kind: 'keep', result: current }
        : { kind: 'put', value: pair, result: pair },
    );
    if (kept.aor === pair.aor) return kept;
    await store.update(reversePairs, pair.aor, (current) =>
      current?.wv === pair.wv ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
    );
    throw new ParleyError('gateway-address-conflict', `${pair.wv} is ${kept.aor} already`);
  }

  /** What an operator lays down takes the place of an address that was made, which still leads there: phones may have it. */
  async #replacesMade({ wv, aor, source }: AddressPair, before: UserId): Promise<boolean> {
    if (source !== 'provisioned' || (await this.pairOf(before))?.source !== 'made') return false;
    return this.#options.store.update(reversePairs, aor, (current) =>
      current?.wv === before
        ? { kind: 'put', value: { wv }, result: true }
        : { kind: 'keep', result: current?.wv === wv },
    );
  }

  /** An address of letters and digits, the same each time. */
  async #make(aor: Aor): Promise<UserId> {
    const mark = createHash('sha1').update(aor).digest('hex').slice(0, 12);
    const name = aorUser(aor)
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '')
      .slice(0, 20);
    const wv = parseUserId(`wv:${name}.${mark}@${this.#options.home}`, this.#options.home)!;
    await this.#put({ wv, aor, source: 'made' });
    this.#options.trail.record({
      code: 'gateway.address-made',
      outcome: 'noted',
      clause: 'document 003 §5.1.1.2',
      subject: aor,
      detail: wv,
    });
    return wv;
  }
}

/** Of several nodes that start at once, one removes. */
function unlessUnknown(error: unknown): void {
  if (!(error instanceof ParleyError && error.code === 'gateway-address-unknown')) throw error;
}

/** Canonical where it is an address of record; any other, as a `wv:` one, as it is. */
function addressOf(uri: string): string {
  try {
    return parseAor(uri);
  } catch (error) {
    if (error instanceof ParleyError) return uri;
    throw error;
  }
}
