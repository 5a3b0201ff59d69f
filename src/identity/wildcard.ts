import { ParleyError } from '../base/errors.js';
import { costOf, extendedExpression } from '../base/extended-expression.js';
import { parseAor, type Aor } from './aor.js';
import './errors.js';

/**
 * A wildcarded public user identity (3GPP TS 23.003 §13.5): between exclamation marks in the user part stands an extended
 * regular expression of POSIX, and every identity that it matches is meant, as the extensions of a private branch exchange.
 */
export interface Wildcard {
  /** As provisioned, the host in lower case: `sip:pbx!.*!@ims.test`. */
  readonly uri: string;
  /** @param aor canonical. */
  readonly matches: (aor: string) => boolean;
}

const FORM = /^(sip:|tel:)([^!@]*)!([^!@]{1,128})!([^!@]*)(@[^@]+)?$/i;

/** Whether a URI is meant as a wildcarded identity. */
export const isWildcard = (uri: string): boolean => FORM.test(uri);

/**
 * @param maxCost of the expression, as {@link costOf} counts it.
 * @throws ParleyError `aor-wildcard` for what is none, or holds an expression that cannot be read or costs more.
 */
export function parseWildcard(uri: string, maxCost = Infinity): Wildcard {
  const found = FORM.exec(uri);
  const [, scheme = '', before = '', expression = '', behind = '', at = ''] = found ?? [];
  const isSip = scheme.toLowerCase() === 'sip:';
  if (!found || isSip !== (at !== '')) throw new ParleyError('aor-wildcard', uri);
  const host = at.toLowerCase();
  try {
    const plain = decodeURIComponent(expression);
    if (costOf(plain) > maxCost) throw new RangeError('the expression costs too much');
    const matches = extendedExpression(
      `^${scheme.toLowerCase()}${escape(before)}(?:${plain})${escape(behind + host)}$`,
    );
    return {
      uri: `${scheme.toLowerCase()}${before}!${expression}!${behind}${host}`,
      matches,
    };
  } catch (error) {
    throw new ParleyError('aor-wildcard', uri, { cause: error });
  }
}

/** Stands in documents for a wildcard, where an identity is needed: one that it matches where that is easy to tell. */
export function representativeOf({ uri, matches }: Wildcard): Aor | undefined {
  const [, scheme = '', before = '', , behind = '', at = ''] = FORM.exec(uri)!;
  for (const middle of ['', '0', 'a']) {
    try {
      const aor = parseAor(`${scheme}${before}${middle}${behind}${at}`);
      if (matches(aor)) return aor;
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
    }
  }
  return undefined;
}

const escape = (text: string): string => text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');
