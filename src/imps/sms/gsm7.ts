/* The GSM 7 bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1), a septet an octet as SMPP has it. */
const alphabet =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u001bÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?' +
  '¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà';
const ESCAPE = 0x1b;
const extension: readonly (readonly [number, string])[] = [
  [0x0a, '\f'],
  [0x14, '^'],
  [0x28, '{'],
  [0x29, '}'],
  [0x2f, '\\'],
  [0x3c, '['],
  [0x3d, '~'],
  [0x3e, ']'],
  [0x40, '|'],
  [0x65, '€'],
];

const septets = new Map<string, readonly number[]>([
  ...[...alphabet].flatMap((character, code) =>
    code === ESCAPE ? [] : [[character, [code]] as [string, number[]]],
  ),
  ...extension.map(([code, character]) => [character, [ESCAPE, code]] as [string, number[]]),
]);
const extended = new Map(extension);

/** @returns one septet an octet; undefined when a character is in neither table */
export function encodeGsm7(text: string): Uint8Array | undefined {
  const codes: number[] = [];
  for (const character of text) {
    const found = septets.get(character);
    if (!found) return undefined;
    codes.push(...found);
  }
  return Uint8Array.from(codes);
}

/** An escape before a code that the extension table does not have stands for the character of the default table. */
export function decodeGsm7(octets: Uint8Array): string {
  let text = '';
  for (let at = 0; at < octets.length; at++) {
    const code = octets[at]! & 0x7f;
    if (code !== ESCAPE) text += alphabet[code];
    else if (++at < octets.length) {
      const next = octets[at]! & 0x7f;
      text += extended.get(next) ?? (next === ESCAPE ? ' ' : alphabet[next]);
    }
  }
  return text;
}
