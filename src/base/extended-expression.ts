import { RE2JS } from 're2js';

/**
 * Compiles an extended regular expression of POSIX (IEEE 1003.1 §9.4), the form that 3GPP gives patterns in. It is matched in time that grows
 * with expression and text only, whatever either holds. A backslash escapes inside brackets too; what RE2 adds (`\d`, `(?i)`) is taken.
 * @returns whether the expression is found in a text.
 * @throws RE2JSException for what is none, such as an expression with back references.
 */
export function extendedExpression(source: string): (text: string) => boolean {
  const compiled = RE2JS.compile(source);
  return (text) => compiled.test(text);
}
