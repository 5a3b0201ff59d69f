import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import { table, type Store } from '../../store/store.js';
import './errors.js';
import { ownPolicy, type OwnPolicy, type UserPolicy } from './user-policy.js';

/** By key of the user's registration set. */
const policies = table<OwnPolicy>('user-policies');

/** Preferences and policy of users, over those that hold for everybody. */
export class Policies {
  readonly #store: Store;
  readonly #standard: UserPolicy;

  constructor(store: Store, standard: UserPolicy) {
    this.#store = store;
    this.#standard = standard;
  }

  /** @param set key of the user's registration set. */
  async of(set: string): Promise<UserPolicy> {
    const own = await this.#store.get(policies, set);
    return own ? { ...this.#standard, ...own } : this.#standard;
  }

  /** The settings that are the user's own. */
  async ownOf(set: string): Promise<OwnPolicy> {
    return (await this.#store.get(policies, set)) ?? {};
  }

  /**
   * Changes single settings; null takes one back to the standard. @returns the user's own settings then.
   * @throws ParleyError `policy-invalid`
   */
  async change(set: string, changes: Readonly<Record<string, unknown>>): Promise<OwnPolicy> {
    return this.#store.update(policies, set, (current) => {
      const wanted = Object.entries({ ...current, ...changes }).filter(([, value]) => value !== null);
      const value = checked(Object.fromEntries(wanted));
      return wanted.length === 0 ? { kind: 'remove', result: value } : { kind: 'put', value, result: value };
    });
  }

  /** When the user is removed. */
  async remove(set: string): Promise<void> {
    await this.#store.update(policies, set, () => ({ kind: 'remove', result: undefined }));
  }
}

function checked(wanted: unknown): OwnPolicy {
  const parsed = ownPolicy.safeParse(wanted);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ParleyError('policy-invalid', `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim());
  }
  // what is undefined is not there at all: it came from JSON
  const own = parsed.data as OwnPolicy;
  return own.blocked ? { ...own, blocked: [...new Set(own.blocked.map(canonical))] } : own;
}

/** Whether one of the sender's identities is on a block list. */
export function isBlocked({ blocked }: Pick<UserPolicy, 'blocked'>, identities: readonly string[]): boolean {
  return blocked.length > 0 && identities.some((identity) => blocked.includes(canonical(identity)));
}

/** The code of the refusal that who is blocked gets; `silent` is for messages, and for what cannot be swallowed a decline. */
export function blockedCode({ blockedAnswer }: Pick<UserPolicy, 'blockedAnswer'>): string {
  return blockedAnswer === 'forbid' ? 'cpm-blocked-forbidden' : 'cpm-blocked';
}

/** Addresses of users in canonical form, others in lower case. */
function canonical(uri: string): string {
  if (!/^(?:sips?|tel):/i.test(uri)) return uri.toLowerCase();
  try {
    return parseAor(uri);
  } catch (error) {
    if (error instanceof ParleyError) return uri.toLowerCase();
    throw error;
  }
}
