/** The escape mechanism of CPIM header values (RFC 3862 §2.3). */

const named: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', r: '\r' };
const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
};

/** The text that a header value stands for; an unknown escape is the character after the backslash. */
export function unescapeCpim(value: string): string {
  if (!value.includes('\\')) return value;
  return value.replace(
    /\\(?:u([0-9A-Fa-f]{4})|(.)|$)/gsu,
    (_all, hex: string | undefined, character: string | undefined) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      return character === undefined ? '' : (named[character] ?? character);
    },
  );
}

/** Writes control characters and backslashes so that the value stays one line. */
export function escapeCpim(text: string): string {
  return text.replace(/[\\\p{Cc}]/gu, (character) => {
    const code = character.charCodeAt(0);
    if (code > 0x7f) return character;
    return escapes[character] ?? `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
