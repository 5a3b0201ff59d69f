import { impsError } from '../errors.js';

/** A character set by its IANA MIBenum, as WBXML and CSP name it, and by its XML name. */
export interface Charset {
  readonly mib: number;
  readonly name: string;
  /** Octets of the terminator of an inline string. */
  readonly unit: 1 | 2;
  decode(bytes: Uint8Array): string;
  /** Octets of the text; a character outside the set is given to `missing`, whose octets take its place. */
  encode(text: string, missing: (codePoint: number) => Uint8Array): Uint8Array;
}

/** MIBenum, IANA name and the label that the Encoding standard knows it by. */
const known: readonly (readonly [number, string, string])[] = [
  [3, 'US-ASCII', 'windows-1252'],
  [4, 'ISO-8859-1', 'windows-1252'],
  [5, 'ISO-8859-2', 'iso-8859-2'],
  [6, 'ISO-8859-3', 'iso-8859-3'],
  [7, 'ISO-8859-4', 'iso-8859-4'],
  [8, 'ISO-8859-5', 'iso-8859-5'],
  [9, 'ISO-8859-6', 'iso-8859-6'],
  [10, 'ISO-8859-7', 'iso-8859-7'],
  [11, 'ISO-8859-8', 'iso-8859-8'],
  [12, 'ISO-8859-9', 'windows-1254'],
  [106, 'UTF-8', 'utf-8'],
  [109, 'ISO-8859-13', 'iso-8859-13'],
  [111, 'ISO-8859-15', 'iso-8859-15'],
  [1000, 'ISO-10646-UCS-2', 'utf-16be'],
  [1013, 'UTF-16BE', 'utf-16be'],
  [1014, 'UTF-16LE', 'utf-16le'],
  [1015, 'UTF-16', 'utf-16be'],
  [2084, 'KOI8-R', 'koi8-r'],
  [2250, 'windows-1250', 'windows-1250'],
  [2251, 'windows-1251', 'windows-1251'],
  [2252, 'windows-1252', 'windows-1252'],
  [2253, 'windows-1253', 'windows-1253'],
  [2254, 'windows-1254', 'windows-1254'],
];

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Writes text character by character, as few charsets hold all of them. */
function encodeEach(
  text: string,
  octets: (codePoint: number) => Uint8Array | undefined,
  missing: (codePoint: number) => Uint8Array,
): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const character of text) {
    const codePoint = character.codePointAt(0)!;
    pieces.push(octets(codePoint) ?? missing(codePoint));
  }
  return Buffer.concat(pieces);
}

export const utf8: Charset = {
  mib: 106,
  name: 'UTF-8',
  unit: 1,
  decode: (bytes) => asBuffer(bytes).toString('utf8'),
  encode: (text) => Buffer.from(text, 'utf8'),
};

function wide(mib: number, name: string, label: string): Charset {
  const littleEndian = label === 'utf-16le';
  const decoder = new TextDecoder(label);
  const otherDecoder = new TextDecoder('utf-16le');
  return {
    mib,
    name,
    unit: 2,
    decode: (bytes) =>
      (bytes[0] === 0xff && bytes[1] === 0xfe ? otherDecoder : decoder).decode(
        bytes.length % 2 ? bytes.subarray(0, -1) : bytes,
      ),
    encode(text) {
      const buffer = Buffer.from(text, 'utf16le');
      return littleEndian ? buffer : buffer.swap16();
    },
  };
}

function narrow(mib: number, name: string, label: string): Charset {
  const decoder = new TextDecoder(label);
  const octets = new Map<number, Uint8Array>();
  // The Encoding standard reads ISO-8859-1 and US-ASCII as windows-1252; what they leave undefined is not written.
  const last = name === 'US-ASCII' ? 0x7f : 0xff;
  for (let octet = 0; octet <= last; octet++) {
    const single = Uint8Array.of(octet);
    const codePoint = name === 'ISO-8859-1' ? octet : decoder.decode(single).codePointAt(0)!;
    if (codePoint !== 0xfffd) octets.set(codePoint, single);
  }
  return {
    mib,
    name,
    unit: 1,
    decode: (bytes) => (name === 'ISO-8859-1' ? asBuffer(bytes).toString('latin1') : decoder.decode(bytes)),
    encode: (text, missing) => encodeEach(text, (codePoint) => octets.get(codePoint), missing),
  };
}

const byMib = new Map<number, Charset>();
const byName = new Map<string, Charset>();
for (const [mib, name, label] of known) {
  const charset =
    mib === 106 ? utf8 : label.startsWith('utf-16') ? wide(mib, name, label) : narrow(mib, name, label);
  byMib.set(mib, charset);
  byName.set(name.toLowerCase(), charset);
}
byName.set('ascii', byMib.get(3)!);
byName.set('latin1', byMib.get(4)!);
byName.set('utf8', utf8);

/**
 * @param mib IANA MIBenum; 0 means unknown and is read as UTF-8 (WBXML 1.3 §5.6).
 * @throws ParleyError `imps-charset-unsupported`
 */
export function charsetByMib(mib: number): Charset {
  const charset = mib === 0 ? utf8 : byMib.get(mib);
  if (!charset) throw impsError('imps-charset-unsupported', `MIBenum ${mib}`);
  return charset;
}

/** @throws ParleyError `imps-charset-unsupported` */
export function charsetByName(name: string): Charset {
  const charset = byName.get(name.trim().toLowerCase());
  if (!charset) throw impsError('imps-charset-unsupported', name.slice(0, 40));
  return charset;
}
