import { createHash } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import { silentLogger, type Logger } from '../../base/log.js';
import { table, type Store } from '../../store/store.js';
import '../errors.js';
import { compileProfile, type CompiledCriterion } from './compile.js';
import type { FilterCriterion, ServiceProfile } from './criteria.js';

const profiles = table<ServiceProfile>('service-profiles');
const CHANNEL = 'service-profiles';

/** The service profiles, ready to be asked; all nodes see a change. */
export class Profiles {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #compiled = new Map<string, readonly CompiledCriterion[]>();
  readonly #unsubscribe: () => void;

  private constructor(store: Store, log: Logger) {
    this.#store = store;
    this.#log = log;
    this.#unsubscribe = store.subscribe(
      CHANNEL,
      (name) => this.#background(this.#reload(name)),
      () => this.#background(this.#reloadAll()),
    );
  }

  static async open(store: Store, log: Logger = silentLogger): Promise<Profiles> {
    const opened = new Profiles(store, log);
    await opened.#reloadAll();
    return opened;
  }

  close(): void {
    this.#unsubscribe();
  }

  /** False while no profile has criteria: then nobody's requests need be looked at. */
  get any(): boolean {
    return this.#compiled.size > 0;
  }

  /** Whether some profile has a server hear of registrations. */
  get anyOnRegister(): boolean {
    for (const criteria of this.#compiled.values())
      if (criteria.some(({ tellsOfRegistrations }) => tellsOfRegistrations)) return true;
    return false;
  }

  /** Criteria in order of priority; none for a name that does not exist. */
  criteria(name: string): readonly CompiledCriterion[] {
    return this.#compiled.get(name) ?? none;
  }

  has(name: string): boolean {
    return this.#compiled.has(name);
  }

  get(name: string): Promise<ServiceProfile | undefined> {
    return this.#store.get(profiles, name);
  }

  /** In order of names, after `after`. */
  async list(after: string | undefined, limit: number): Promise<ServiceProfile[]> {
    const found: ServiceProfile[] = [];
    for await (const { value } of this.#store.scan(profiles, {
      limit,
      ...(after === undefined ? {} : { after }),
    }))
      found.push(value);
    return found;
  }

  /** Makes or replaces a profile. @throws ParleyError `profile-invalid` */
  async put(profile: ServiceProfile): Promise<void> {
    const { name } = profile;
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) throw new ParleyError('profile-invalid', 'name');
    const compiled = compileProfile(profile);
    await this.#store.update(profiles, name, () => ({ kind: 'put', value: profile, result: undefined }));
    this.#compiled.set(name, compiled);
    await this.#store.publish(CHANNEL, name);
  }

  /** Makes a profile that is named by what it says, so that users with the same criteria share one. @returns its name. */
  async putUnnamed(criteria: readonly FilterCriterion[]): Promise<string> {
    const digest = createHash('sha256').update(JSON.stringify(criteria)).digest('hex');
    const name = `cx-${digest.slice(0, 32)}`;
    if (!this.has(name)) await this.put({ name, criteria });
    return name;
  }

  /** Its users fall back to the services' own triggers. @throws ParleyError `profile-unknown` */
  async remove(name: string): Promise<void> {
    await this.#store.update(profiles, name, (current) => {
      if (!current) throw new ParleyError('profile-unknown', name);
      return { kind: 'remove', result: undefined };
    });
    this.#compiled.delete(name);
    await this.#store.publish(CHANNEL, name);
  }

  async #reloadAll(): Promise<void> {
    const found = new Set<string>();
    const known = [...this.#compiled.keys()];
    for await (const { key, value } of this.#store.scan(profiles)) {
      found.add(key);
      this.#compiled.set(key, compileProfile(value));
    }
    for (const name of known) if (!found.has(name)) await this.#reload(name);
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#log.warn({ err: error }, 'service profiles stay as they were known'),
    );
  }

  async #reload(name: string): Promise<void> {
    const profile = await this.#store.get(profiles, name);
    if (profile) this.#compiled.set(name, compileProfile(profile));
    else this.#compiled.delete(name);
  }
}

const none: readonly CompiledCriterion[] = [];
