import { RE2JS } from 're2js';

/**
 * Compiles an extended regular expression of POSIX (IEEE 1003.1 §9.4), the form that 3GPP gives patterns in. It is matched in time that grows
 * with text and expression only, its repetitions written out: see {@link costOf}. A backslash escapes inside brackets too; what RE2 adds
 * (`\d`, `(?i)`) is taken.
 * @returns whether the expression is found in a text.
 * @throws RE2JSException for what is none, such as an expression with back references.
 */
export function extendedExpression(source: string): (text: string) => boolean {
  const compiled = RE2JS.compile(source);
  return (text) => compiled.test(text);
}

/**
 * What an expression costs at most, read without compiling it: the characters that it has when counted repetitions (`{n}`, `{n,m}`) are
 * written out. To compile it takes time that grows with this, and to match it that times the length of the text.
 */
export function costOf(source: string): number {
  let length = source.length;
  let times = 1;
  for (const [, behindGroup, least, most] of source.matchAll(/(\))?\{(\d+)(?:,(\d*))?\}/g)) {
    const count = Math.max(1, Number(least), Number(most ?? 0));
    // groups may be nested
    if (behindGroup === undefined) length += count;
    else times *= count;
  }
  return length * times;
}
