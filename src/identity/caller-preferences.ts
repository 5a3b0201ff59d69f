import { featureSet, SIP_INSTANCE, type FeatureSet } from './feature-tags.js';
import { featureFilters, filtersMeet, type FeatureFilter } from './feature-values.js';
import type { InstanceKey } from './instance-id.js';

/** One condition of a preference: a feature tag and the alternatives it allows. */
interface Term {
  readonly tag: string;
  readonly filters: readonly FeatureFilter[];
}

/** One value of Accept-Contact or Reject-Contact: a conjunction of terms (RFC 3841 §7.2.1). */
export interface Preference {
  readonly terms: readonly Term[];
  readonly require: boolean;
  readonly explicit: boolean;
}

/** All preferences of one request. */
export interface CallerPreferences {
  readonly accept: readonly Preference[];
  readonly reject: readonly Preference[];
  /** True when the request had neither field and these were derived from it (RFC 3841 §7.2.2). */
  readonly implicit: boolean;
}

/** A contact that a request may go to. */
export interface Candidate<T> {
  readonly contact: T;
  readonly features: FeatureSet;
  /** The callee's preference, 0 to 1; 1 when the Contact had none. */
  readonly q: number;
  /** Second name of the device, under which others know it when its hardware identity is hidden from them. */
  readonly alias?: InstanceKey | undefined;
}

/** A contact that is left, with the caller preference Qa, 0 to 1. */
export interface Match<T> {
  readonly contact: T;
  readonly q: number;
  readonly score: number;
}

export interface MatchOptions {
  /**
   * Whether a term `+sip.instance` excludes all other devices even without `require` and `explicit`: devices in
   * the field name the peer's device so and refuse what was meant for another. Default true.
   */
  readonly strictInstance?: boolean;
  /** Whether contacts without any feature parameter are passed over (RFC 3841 §7.2.3). Default true. */
  readonly immunity?: boolean;
}

/**
 * Reads one value of Accept-Contact or Reject-Contact.
 * @param params what follows the `*`: names in any case, values quoted or not, null without value.
 */
export function parsePreference(params: Iterable<readonly [string, string | null]>): Preference {
  let require = false;
  let explicit = false;
  const kept: (readonly [string, string | null])[] = [];
  for (const param of params) {
    const name = param[0].toLowerCase();
    if (name === 'require') require = true;
    else if (name === 'explicit') explicit = true;
    else kept.push(param);
  }
  const terms = Array.from(featureSet(kept), ([tag, value]) => ({
    tag,
    filters: featureFilters(tag, value),
  }));
  return { terms, require, explicit };
}

/**
 * Preferences of a request that states none: a device that knows the method, and the event package of a subscription
 * (RFC 3841 §7.2.2).
 * @param event event package without parameters, for requests that establish a subscription.
 */
export function implicitPreferences(method: string, event?: string): CallerPreferences {
  const terms = [{ tag: 'methods', filters: featureFilters('methods', method) }];
  if (event !== undefined) terms.push({ tag: 'events', filters: featureFilters('events', event) });
  return { accept: [{ terms, require: true, explicit: false }], reject: [], implicit: true };
}

/**
 * Removes and orders contacts by the caller's preferences (RFC 3841 §7.2.4): those left are sorted by q, and among equal q by
 * how well they fit. Contacts of equal rank keep their order.
 */
export function matchContacts<T>(
  preferences: CallerPreferences,
  candidates: readonly Candidate<T>[],
  options: MatchOptions = {},
): Match<T>[] {
  const { strictInstance = true, immunity = true } = options;
  const matches: Match<T>[] = [];
  for (const candidate of candidates) {
    if (strictInstance && !isNamedDevice(preferences.accept, candidate)) continue;
    const immune = immunity && candidate.features.size === 0;
    const score = immune ? 1 : callerPreference(preferences, candidate);
    if (score !== undefined) matches.push({ contact: candidate.contact, q: candidate.q, score });
  }
  if (matches.length === 0 && preferences.implicit) {
    // better a 405 or 489 of a device than a 480 that does not say why
    matches.push(...candidates.map(({ contact, q }) => ({ contact, q, score: 1 })));
  }
  return matches.sort((a, b) => b.q - a.q || b.score - a.score);
}

/** Qa of RFC 3841 §7.2.4, or undefined when the contact drops out. */
function callerPreference<T>(preferences: CallerPreferences, candidate: Candidate<T>): number | undefined {
  if (preferences.reject.some((preference) => isRejected(preference, candidate))) return undefined;
  if (preferences.accept.length === 0) return 1;
  let sum = 0;
  let matching = 0;
  for (const preference of preferences.accept) {
    const met = preference.terms.every((term) => meets(term, candidate));
    if (!met && preference.require) return undefined;
    if (!met) continue;
    const score = presence(preference, candidate);
    if (score < 1 && preference.explicit && preference.require) return undefined;
    sum += score < 1 && preference.explicit ? 0 : score;
    matching++;
  }
  return matching === 0 ? 0 : sum / matching;
}

/** A contact is rejected only for what it says of itself: each tag must be present. */
function isRejected<T>(preference: Preference, candidate: Candidate<T>): boolean {
  return preference.terms.every((term) => candidate.features.has(term.tag) && meets(term, candidate));
}

/** Share of the terms on whose tag the contact says anything. */
function presence<T>({ terms }: Preference, { features }: Candidate<T>): number {
  if (terms.length === 0) return 1;
  return terms.reduce((count, { tag }) => count + (features.has(tag) ? 1 : 0), 0) / terms.length;
}

function meets<T>(term: Term, candidate: Candidate<T>): boolean {
  const value = candidate.features.get(term.tag);
  if (value === undefined) return true;
  if (filtersMeet(term.filters, featureFilters(term.tag, value))) return true;
  return term.tag === SIP_INSTANCE && isAlias(term, candidate);
}

function isAlias<T>(term: Term, { alias }: Candidate<T>): boolean {
  return alias !== undefined && filtersMeet(term.filters, [{ kind: 'string', negated: false, text: alias }]);
}

/** False for a contact that is none of the devices which the preferences name. */
function isNamedDevice<T>(accept: readonly Preference[], candidate: Candidate<T>): boolean {
  let named = false;
  for (const { terms } of accept) {
    for (const term of terms) {
      if (term.tag !== SIP_INSTANCE) continue;
      named = true;
      if (candidate.features.has(SIP_INSTANCE) && meets(term, candidate)) return true;
    }
  }
  return !named;
}
