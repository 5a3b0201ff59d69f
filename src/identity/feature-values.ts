import { ParleyError } from '../base/errors.js';
import { InstanceId } from './instance-id.js';

/** One alternative of a feature value: what a value must be, or with `negated` must not be, to satisfy it. */
export type FeatureFilter =
  | { readonly kind: 'token'; readonly negated: boolean; readonly text: string }
  | { readonly kind: 'string'; readonly negated: boolean; readonly text: string }
  | { readonly kind: 'range'; readonly negated: boolean; readonly low: number; readonly high: number };

const TRUE: readonly FeatureFilter[] = [{ kind: 'token', negated: false, text: 'true' }];
const NUMBER = '([+-]?\\d+(?:\\.\\d*)?)';
const RELATION = new RegExp(`^(=|>=|<=)${NUMBER}$`);
const RANGE = new RegExp(`^${NUMBER}:${NUMBER}$`);

/**
 * Alternatives that a feature parameter allows (RFC 3841 §8): tokens in lower case, since they compare without regard to
 * case, strings as they are, numbers as ranges.
 *
 * ICSI and IARI lists are read as devices write them: escaped or plain URNs, commas, semicolons or white space between.
 * An instance ID becomes its key, so that it compares by the rules of its URN scheme (RFC 5626 §4.1).
 * @param name lower-case parameter name with its plus sign.
 * @param value unquoted, or true for a parameter without value.
 */
export function featureFilters(name: string, value: string | true): readonly FeatureFilter[] {
  if (value === true) return TRUE;
  if (name === '+sip.instance') return [instanceFilter(value)];
  if (name === '+g.3gpp.icsi-ref' || name === '+g.3gpp.iari-ref') {
    return value
      .split(/[,;\s]+/)
      .filter((item) => item !== '')
      .map(referenceFilter);
  }
  if (value.startsWith('<') && value.endsWith('>')) {
    return [{ kind: 'string', negated: false, text: value.slice(1, -1) }];
  }
  return value.split(',').map((item) => tagValue(item.trim()));
}

/**
 * Whether some value satisfies both lists of alternatives: the matching of RFC 2533 §3 for one feature tag.
 */
export function filtersMeet(some: readonly FeatureFilter[], others: readonly FeatureFilter[]): boolean {
  return some.some((filter) => others.some((other) => meet(filter, other)));
}

function meet(a: FeatureFilter, b: FeatureFilter): boolean {
  if (a.negated && b.negated) return true; // there is always a third value
  if (a.negated) return !contains(a, b);
  if (b.negated) return !contains(b, a);
  if (a.kind === 'range') return b.kind === 'range' && a.low <= b.high && b.low <= a.high;
  return b.kind === a.kind && a.text === b.text;
}

/** Whether every value that `inner` allows lies within `outer`, negation aside. */
function contains(outer: FeatureFilter, inner: FeatureFilter): boolean {
  if (outer.kind === 'range') {
    return inner.kind === 'range' && outer.low <= inner.low && inner.high <= outer.high;
  }
  return inner.kind === outer.kind && inner.text === outer.text;
}

function tagValue(item: string): FeatureFilter {
  const negated = item.startsWith('!');
  const text = negated ? item.slice(1) : item;
  return (
    (text.startsWith('#') ? numeric(text.slice(1), negated) : undefined) ?? {
      kind: 'token',
      negated,
      text: text.toLowerCase(),
    }
  );
}

function numeric(text: string, negated: boolean): FeatureFilter | undefined {
  const range = RANGE.exec(text);
  if (range) return { kind: 'range', negated, low: Number(range[1]), high: Number(range[2]) };
  const relation = RELATION.exec(text);
  if (!relation) return undefined;
  const bound = Number(relation[2]);
  return {
    kind: 'range',
    negated,
    low: relation[1] === '<=' ? -Infinity : bound,
    high: relation[1] === '>=' ? Infinity : bound,
  };
}

function referenceFilter(item: string): FeatureFilter {
  const negated = item.startsWith('!');
  const bare = item.replace(/^!?<?|>$/g, '');
  const text = bare.replace(/%3a/gi, ':').toLowerCase();
  return { kind: 'token', negated, text };
}

function instanceFilter(value: string): FeatureFilter {
  const negated = value.startsWith('!');
  const text = negated ? value.slice(1) : value;
  return { kind: 'string', negated, text: instanceText(text) };
}

/** A value that is no instance ID can still be compared, as the string it is. */
function instanceText(value: string): string {
  try {
    return InstanceId.parse(value).key;
  } catch (error) {
    if (error instanceof ParleyError) return value;
    throw error;
  }
}
