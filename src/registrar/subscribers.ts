import { ParleyError } from '../base/errors.js';
import { soon, type Soon } from '../base/soon.js';
import { parseAor, type Aor } from '../identity/aor.js';
import { parseWildcard } from '../identity/wildcard.js';
import { digestHa1, type HashName } from '../sip/auth/algorithm.js';
import { readTable, type Store } from '../store/store.js';
import { AkaSubscriptions, akaKeySet, type AkaKeySet, type NewAkaKeys } from './aka-subscriptions.js';
import './errors.js';
import { Wildcards } from './wildcards.js';

/** H(username:realm:password) in hex by algorithm: what a verifier needs, so that no password is stored. */
export interface DigestCredential {
  readonly username: string;
  readonly ha1: Readonly<Record<HashName, string>>;
}

export interface PublicIdentity {
  readonly aor: Aor;
  /** Registers the others of its set, and neither sends nor is reached (3GPP TS 23.228 §4.3.3.4). */
  readonly barred?: boolean;
}

/** A subscription: one private identity with its public ones. */
export interface Subscriber {
  readonly privateId: string;
  readonly identities: readonly PublicIdentity[];
  /** Identities that register together; the first that is not barred is the default one. Each identity is in exactly one set. */
  readonly implicitSets: readonly (readonly Aor[])[];
  /** Wildcarded identities, which register with the default identity; none when absent. */
  readonly wildcards?: readonly string[] | undefined;
  /** Empty for one without a password. */
  readonly credentials: readonly DigestCredential[];
  /** Undefined for one without a USIM. */
  readonly aka?: AkaKeySet | undefined;
}

/** What is known of one public identity. */
export interface IdentityRow {
  readonly privateId: string;
  readonly barred: boolean;
  /** Its implicit registration set: the default identity first, barred ones left out. */
  readonly set: readonly Aor[];
  /** Wildcarded identities that register with the set. */
  readonly wildcards?: readonly string[] | undefined;
  /** The wildcarded identity that it belongs to, of an identity that is not provisioned by itself: it cannot be registered by itself. */
  readonly wildcard?: string | undefined;
  /** Name of its service profile; the default one when absent. */
  readonly profile?: string | undefined;
}

const subscribers = readTable<Subscriber>('subscribers');
const identities = readTable<IdentityRow>('identities');

/** What an operator gives to make a subscriber. */
export interface NewSubscriber {
  /** `user@realm`; digest also accepts the part before a `@realm` of the home domain as user name. */
  readonly privateId: string;
  /** For digest; without it there are keys. */
  readonly password?: string | undefined;
  /** For AKA. */
  readonly aka?: NewAkaKeys | undefined;
  /** `sip:` and `tel:` URIs; the first one is the default. */
  readonly identities: readonly string[];
  readonly barred?: readonly string[] | undefined;
  /** Sets of identities that register together; one set of all when absent. */
  readonly implicitSets?: readonly (readonly string[])[] | undefined;
  /** Wildcarded identities (3GPP TS 23.003 §13.5), which register with the first identity. */
  readonly wildcards?: readonly string[] | undefined;
}

/** Provisioned users. Credentials are written here and read by the authenticator alone. */
export class Subscribers {
  readonly #store: Store;
  readonly #domain: string;
  readonly #wildcards: Wildcards;
  /** What the USIMs of subscribers share with the network. */
  readonly usims: AkaSubscriptions;

  /** @param domain home domain and digest realm. */
  constructor(store: Store, domain: string) {
    this.#store = store;
    this.#domain = domain;
    this.usims = new AkaSubscriptions(store);
    this.#wildcards = new Wildcards(store);
  }

  /** @throws ParleyError `subscriber-invalid`, `subscriber-exists` when the private identity or a public one is taken. */
  async add(wanted: NewSubscriber): Promise<Subscriber> {
    const subscriber = this.#build(wanted);
    const { wildcards = [] } = subscriber;
    for (const name of [...subscriber.identities.map(({ aor }) => aor), ...wildcards]) {
      const owner = await this.#store.get(identities, name);
      if (owner && owner.privateId !== subscriber.privateId) throw new ParleyError('subscriber-exists', name);
    }
    await this.#store.update(subscribers, subscriber.privateId, (current) => {
      if (current) throw new ParleyError('subscriber-exists', subscriber.privateId);
      return { kind: 'put', value: subscriber, result: undefined };
    });
    if (wanted.aka) await this.usims.start(subscriber.privateId, wanted.aka.sqn);
    for (const { aor, barred = false } of subscriber.identities)
      await this.#putIdentity(aor, { ...identityRow(subscriber, aor), barred });
    for (const uri of wildcards) {
      const row = identityRow(subscriber, subscriber.identities[0]!.aor);
      await this.#putIdentity(uri, { ...row, wildcard: uri });
      await this.#wildcards.add(uri);
    }
    return subscriber;
  }

  /** @throws ParleyError `subscriber-unknown` */
  async remove(privateId: string): Promise<Subscriber> {
    const gone = await this.#store.update(subscribers, privateId, (current) => {
      if (!current) throw new ParleyError('subscriber-unknown', privateId);
      return { kind: 'remove', result: current };
    });
    const { wildcards = [] } = gone;
    for (const uri of wildcards) await this.#wildcards.remove(uri);
    for (const name of [...gone.identities.map(({ aor }) => aor), ...wildcards]) {
      await this.#store.update(identities, name, (row) =>
        row?.privateId === privateId
          ? { kind: 'remove', result: undefined }
          : { kind: 'keep', result: undefined },
      );
    }
    if (gone.aka) await this.usims.forget(privateId);
    return gone;
  }

  get(privateId: string): Promise<Subscriber | undefined> {
    return this.#store.get(subscribers, privateId);
  }

  /** As {@link get}, at once where the store need not wait for anything. */
  read(privateId: string): Soon<Subscriber | undefined> {
    return this.#store.read(subscribers, privateId);
  }

  /** The subscriber that a digest user name stands for: its private identity, whole or without the home realm. */
  byUsername(username: string): Soon<Subscriber | undefined> {
    return soon(
      this.read(username),
      (named) => named ?? (username.includes('@') ? undefined : this.read(`${username}@${this.#domain}`)),
    );
  }

  /**
   * Gives an identity of a subscriber its service profile, or the default one.
   * @throws ParleyError `subscriber-unknown` when the identity is none of the subscriber's.
   */
  async setProfile(privateId: string, aor: string, profile: string | undefined): Promise<void> {
    await this.#store.update(identities, aor, (row) => {
      if (row?.privateId !== privateId) throw new ParleyError('subscriber-unknown', aor);
      return row.profile === profile
        ? { kind: 'keep', result: undefined }
        : { kind: 'put', value: { ...row, profile }, result: undefined };
    });
  }

  /** What is known of an identity: by itself, else by the wildcarded one that it belongs to. */
  identity(aor: string): Soon<IdentityRow | undefined> {
    return soon(this.#store.read(identities, aor), (row) => row ?? this.#byWildcard(aor));
  }

  #byWildcard(aor: string): Soon<IdentityRow | undefined> {
    return soon(this.#wildcards.find(aor), (wildcard) =>
      wildcard === undefined ? undefined : this.#store.read(identities, wildcard),
    );
  }

  #putIdentity(name: string, value: IdentityRow): Promise<void> {
    return this.#store.update(identities, name, () => ({ kind: 'put', value, result: undefined }));
  }

  /** In order of private identities, after `after`. */
  async list(after: string | undefined, limit: number): Promise<Subscriber[]> {
    const found: Subscriber[] = [];
    for await (const { value } of this.#store.scan(subscribers, {
      ...(after === undefined ? {} : { after }),
      limit,
    }))
      found.push(value);
    return found;
  }

  #build(wanted: NewSubscriber): Subscriber {
    const { privateId, password, aka } = wanted;
    if (!/^[^\s:"\\]{1,128}$/.test(privateId))
      throw new ParleyError('subscriber-invalid', 'private identity');
    if (password === undefined && aka === undefined)
      throw new ParleyError('subscriber-invalid', 'neither password nor keys');
    if (password === '') throw new ParleyError('subscriber-invalid', 'empty password');
    const aors = wanted.identities.map(parseAor);
    if (aors.length === 0 || new Set(aors).size !== aors.length) {
      throw new ParleyError('subscriber-invalid', 'at least one public identity, none twice');
    }
    const barred = new Set((wanted.barred ?? []).map(parseAor));
    const sets = wanted.implicitSets?.map((set) => set.map(parseAor)) ?? [aors];
    const grouped = new Set(sets.flat());
    if (grouped.size !== sets.flat().length || [...grouped].some((aor) => !aors.includes(aor))) {
      throw new ParleyError(
        'subscriber-invalid',
        'each implicit set holds identities of this subscriber, none in two sets',
      );
    }
    const alone = aors.filter((aor) => !grouped.has(aor)).map((aor) => [aor]);
    const wildcards = (wanted.wildcards ?? []).map((uri) => parseWildcard(uri).uri);
    const suffix = `@${this.#domain}`;
    const usernames = privateId.endsWith(suffix)
      ? [privateId, privateId.slice(0, -suffix.length)]
      : [privateId];
    return {
      privateId,
      identities: aors.map((aor) => (barred.has(aor) ? { aor, barred: true } : { aor })),
      implicitSets: [...sets, ...alone],
      credentials:
        password === undefined
          ? []
          : usernames.map((username) => ({ username, ha1: this.#ha1(username, password) })),
      ...(wildcards.length > 0 && { wildcards }),
      ...(aka ? { aka: akaKeySet(aka) } : {}),
    };
  }

  #ha1(username: string, password: string): Record<HashName, string> {
    const of = (name: HashName): string => digestHa1(name, username, this.#domain, password);
    return { MD5: of('MD5'), 'SHA-256': of('SHA-256'), 'SHA-512-256': of('SHA-512-256') };
  }
}

/** The row of an identity that is not barred. */
function identityRow(subscriber: Subscriber, aor: Aor): IdentityRow {
  const { privateId, implicitSets, wildcards } = subscriber;
  const set = implicitSets.find((candidate) => candidate.includes(aor))!;
  const open = set.filter((member) => !subscriber.identities.find((one) => one.aor === member)?.barred);
  const isDefault = set.includes(subscriber.identities[0]!.aor);
  return { privateId, barred: false, set: open, ...(wildcards && isDefault && { wildcards }) };
}
