import { featureFilters } from './feature-values.js';

/**
 * What a device can do: feature parameters of its Contact (RFC 3840 §9), by lower-case name as encoded there
 * (`audio`, `+g.3gpp.icsi-ref`), with unquoted value, or true for a parameter without one.
 */
export type FeatureSet = ReadonlyMap<string, string | true>;

/** Base tags, which stand without a plus sign (RFC 3841 §7.2.1 with RFC 3840 §9). */
const BASE_TAGS: ReadonlySet<string> = new Set([
  'actor',
  'application',
  'audio',
  'automata',
  'class',
  'control',
  'data',
  'description',
  'duplex',
  'events',
  'extensions',
  'isfocus',
  'language',
  'methods',
  'mobility',
  'priority',
  'schemes',
  'text',
  'type',
  'video',
]);

/** Tag that holds communication services (3GPP TS 24.229 §7.9.2). */
export const ICSI_REF = '+g.3gpp.icsi-ref';
/** Tag that holds applications (3GPP TS 24.229 §7.9.3). */
export const IARI_REF = '+g.3gpp.iari-ref';
/** Tag that holds the instance ID (RFC 5626 §11.1). */
export const SIP_INSTANCE = '+sip.instance';

/** True for a parameter name that RFC 3841 §7.2.1 counts as a feature parameter. Names in lower case. */
export function isFeatureTag(name: string): boolean {
  return name.charCodeAt(0) === 43 ? name.length > 1 : BASE_TAGS.has(name);
}

/**
 * Picks the feature parameters out of the parameters of a Contact, Accept-Contact or Reject-Contact (RFC 3841 §7.2.3).
 * The first of two with one name counts; a base tag hides its double with a plus sign.
 * @param params names in any case; values quoted or not; null for a parameter without value.
 */
export function featureSet(params: Iterable<readonly [string, string | null]>): FeatureSet {
  const features = new Map<string, string | true>();
  for (const [anyCase, value] of params) {
    const name = anyCase.toLowerCase();
    if (isFeatureTag(name) && !features.has(name)) features.set(name, value === null ? true : unquote(value));
  }
  for (const name of features.keys()) {
    if (name.startsWith('+') && features.has(name.slice(1))) features.delete(name);
  }
  return features;
}

/**
 * True when the set names a communication service in its ICSI list.
 * @param icsi the plain URN, such as one of `cpmServices`.
 */
export function hasIcsi(features: FeatureSet, icsi: string): boolean {
  return namesReference(features, ICSI_REF, icsi);
}

/** True when the set names an application in its IARI list; `iari` is the plain URN. */
export function hasIari(features: FeatureSet, iari: string): boolean {
  return namesReference(features, IARI_REF, iari);
}

/** Value of `+g.3gpp.icsi-ref` or `+g.3gpp.iari-ref` for some URNs, without quotes: colons escaped, comma between. */
export function referenceValue(urns: readonly string[]): string {
  return urns.map((urn) => urn.replaceAll(':', '%3A')).join(',');
}

function namesReference(features: FeatureSet, tag: string, urn: string): boolean {
  const value = features.get(tag);
  if (value === undefined || value === true) return false;
  const wanted = urn.toLowerCase();
  return featureFilters(tag, value).some(
    (filter) => filter.kind === 'token' && !filter.negated && filter.text === wanted,
  );
}

function unquote(value: string): string {
  if (value.length < 2 || !value.startsWith('"') || !value.endsWith('"')) return value;
  const inner = value.slice(1, -1);
  return inner.includes('\\') ? inner.replace(/\\([^])/g, '$1') : inner;
}
