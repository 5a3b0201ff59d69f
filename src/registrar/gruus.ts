import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { Aor } from '../identity/aor.js';
import { GrValues, parseGruu, publicGruu, temporaryGruu } from '../identity/gruu.js';
import type { InstanceId } from '../identity/instance-id.js';
import { TEMPORARY_GRUU_INDEXES, TemporaryGruuCodec } from '../identity/temporary-gruu.js';
import { table, type Store } from '../store/store.js';
import { gruuIndex, registrations, type GruuIndexRow, type InstanceState } from './registration.js';

interface GruuSecrets {
  readonly nameSpace: string;
  readonly key: Uint8Array;
}

const secrets = table<GruuSecrets>('secrets');

/** What a URI with `gr` stands for, at this moment. */
export type GruuTarget =
  | {
      readonly kind: 'instance';
      readonly set: string;
      readonly aor: string;
      readonly matches: (state: { readonly instanceKey?: string | undefined }) => boolean;
    }
  | { readonly kind: 'invalid' };

/** Issues GRUUs and finds what they stand for (RFC 5627 §5, §6). */
export class Gruus {
  readonly #store: Store;
  readonly #values: GrValues;
  readonly #own: GruuSecrets;
  readonly #codec: TemporaryGruuCodec;

  private constructor(store: Store, own: GruuSecrets, nameSpace: string | undefined) {
    this.#store = store;
    this.#own = own;
    this.#values = new GrValues(nameSpace ?? own.nameSpace);
    this.#codec = new TemporaryGruuCodec(own.key);
  }

  /**
   * Reads the domain's secrets from the store, or makes them at the very first start.
   * @param nameSpace UUID that overrides the stored name space, for operators who bring their own.
   */
  static async open(store: Store, nameSpace?: string): Promise<Gruus> {
    const fresh: GruuSecrets = {
      nameSpace: randomUUID(),
      key: randomBytes(16),
    };
    const own = await store.update(secrets, 'gruu', (current) =>
      current ? { kind: 'keep', result: current } : { kind: 'put', value: fresh, result: fresh },
    );
    return new Gruus(store, own, nameSpace);
  }

  /** Puts the secrets back into a store that has lost them: GRUUs that were given out stay the same. */
  async restore(): Promise<void> {
    await this.#store.update(secrets, 'gruu', (current) =>
      current ? { kind: 'keep', result: undefined } : { kind: 'put', value: this.#own, result: undefined },
    );
  }

  /** Value of `gr` for a device; IMEI and MEID hidden (RFC 7255 §7). */
  gr(instance: InstanceId): string {
    return this.#values.of(instance);
  }

  /**
   * The public GRUU of a device.
   * @param aor a SIP URI of the implicit set; by default the identity that was registered. Each of the set has its own (3GPP TS 24.229 §5.4.7A.2).
   */
  publicOf(state: InstanceState, aor: string = state.aor): string {
    return publicGruu(aor as Aor, state.gr);
  }

  /** A fresh temporary GRUU; it stays valid until the instance goes on to its next generation or away. */
  mint(state: InstanceState): string {
    return temporaryGruu(state.aor as Aor, this.#codec.mint(state));
  }

  /** Reserves an index for an instance that registers. Committed before any GRUU that holds it is shown to anybody. */
  async allocateIndex(row: GruuIndexRow): Promise<number> {
    for (;;) {
      const index = randomInt(TEMPORARY_GRUU_INDEXES);
      const free = await this.#store.update(gruuIndex, indexKey(index), (current) =>
        current ? { kind: 'keep', result: false } : { kind: 'put', value: row, result: true },
      );
      if (free) return index;
    }
  }

  /** Forgets the index of an instance that went away; its GRUUs are invalid already, since no instance has it any more. */
  async releaseIndex(index: number): Promise<void> {
    await this.#store.update(gruuIndex, indexKey(index), () => ({ kind: 'remove', result: undefined }));
  }

  /**
   * Looks up a URI.
   * @param setOf gives the implicit registration set of an identity of this domain, undefined for strangers.
   * @returns undefined when it has no `gr`; `invalid` for a GRUU that is not or no longer valid: 404 (RFC 5627 §6.1).
   * @throws ParleyError `aor-*` on a malformed address part.
   */
  async resolve(
    uri: string,
    setOf: (aor: string) => Promise<string | undefined>,
  ): Promise<GruuTarget | undefined> {
    const gruu = parseGruu(uri);
    if (!gruu) return undefined;
    return gruu.kind === 'public'
      ? this.#resolvePublic(gruu.aor, gruu.gr, setOf)
      : this.#resolveTemporary(gruu.user, gruu.aor);
  }

  async #resolvePublic(
    aor: string,
    gr: string,
    setOf: (aor: string) => Promise<string | undefined>,
  ): Promise<GruuTarget> {
    const set = await setOf(aor);
    if (set === undefined) return { kind: 'invalid' };
    const record = await this.#store.get(registrations, set);
    // whichever identity of the set the device has registered, it is there for all of them
    const state = record?.instances.find((candidate) => candidate.gr === gr);
    if (state)
      return { kind: 'instance', set, aor, matches: (binding) => binding.instanceKey === state.instanceKey };
    // a public GRUU outlives the registration: 480 for a device that is away, 404 for one that never was (§5.4, §6.1)
    return record?.away?.includes(gr)
      ? { kind: 'instance', set, aor, matches: () => false }
      : { kind: 'invalid' };
  }

  async #resolveTemporary(user: string, aor: Aor): Promise<GruuTarget> {
    const opened = this.#codec.open(user);
    const row = opened && (await this.#store.get(gruuIndex, indexKey(opened.index)));
    if (!row || domain(row.aor) !== domain(aor)) return { kind: 'invalid' };
    const record = await this.#store.get(registrations, row.set);
    const state = record?.instances.find(
      ({ index, generation }) => index === opened.index && generation === opened.generation,
    );
    if (!state) return { kind: 'invalid' };
    return {
      kind: 'instance',
      set: row.set,
      aor: row.aor,
      matches: (binding) => binding.instanceKey === state.instanceKey,
    };
  }
}

function indexKey(index: number): string {
  return index.toString(16).padStart(12, '0');
}

function domain(aor: string): string {
  return aor.slice(aor.indexOf('@') + 1);
}
