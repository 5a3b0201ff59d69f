import { decodeGsm7, encodeGsm7 } from './gsm7.js';

/** Destination and source port of the application port addressing (3GPP TS 23.040 §9.2.3.24.4). */
export interface Ports {
  readonly to: number;
  readonly from: number;
}

/** One of several messages that make one (3GPP TS 23.040 §9.2.3.24.1 and §9.2.3.24.8). */
export interface Part {
  readonly reference: number;
  readonly total: number;
  /** From 1. */
  readonly index: number;
}

/** The user data of a short message: header and octets, as `short_message` of SMPP carries them. */
export interface UserData {
  readonly ports: Ports | undefined;
  readonly part: Part | undefined;
  /** Data coding scheme (3GPP TS 23.038 §4). */
  readonly dataCoding: number;
  readonly octets: Uint8Array;
}

/** Octets of user data of one short message, header included. */
const USER_DATA = 140;
const GSM7 = 0x00;
const EIGHT_BIT = 0x04;
const UCS2 = 0x08;
/** Text of most parts that can be told apart. */
const PARTS = 255;

const PORTS_16 = 0x05;
const CONCAT_8 = 0x00;
const CONCAT_16 = 0x08;

/** @param udh whether a header stands before the text; what is damaged in it is passed over */
export function readUserData(message: Uint8Array, dataCoding: number, udh: boolean): UserData {
  const length = udh ? (message[0] ?? 0) + 1 : 0;
  let ports: Ports | undefined;
  let part: Part | undefined;
  for (let at = 1; at + 1 < length; at += 2 + message[at + 1]!) {
    const view = message.subarray(at + 2, Math.min(at + 2 + message[at + 1]!, length));
    const two = (index: number): number => (view[index]! << 8) | view[index + 1]!;
    if (message[at] === PORTS_16 && view.length === 4) ports = { to: two(0), from: two(2) };
    else if (message[at] === CONCAT_8 && view.length === 3)
      part = { reference: view[0]!, total: view[1]!, index: view[2]! };
    else if (message[at] === CONCAT_16 && view.length === 4)
      part = { reference: two(0), total: view[2]!, index: view[3]! };
  }
  if (part && (part.index < 1 || part.index > part.total)) part = undefined;
  return { ports, part, dataCoding, octets: message.subarray(length) };
}

/** Header and octets. */
export function writeUserData({ ports, part, octets }: UserData): { udh: boolean; message: Buffer } {
  const header: number[] = [];
  if (ports) header.push(PORTS_16, 4, ports.to >> 8, ports.to & 0xff, ports.from >> 8, ports.from & 0xff);
  if (part) header.push(CONCAT_8, 3, part.reference & 0xff, part.total, part.index);
  if (header.length === 0) return { udh: false, message: Buffer.from(octets) };
  return { udh: true, message: Buffer.concat([Uint8Array.of(header.length, ...header), octets]) };
}

/** Which alphabet a data coding scheme means: general, message class, and the values that SMPP adds. */
export function alphabetOf(dataCoding: number): 'gsm7' | '8bit' | 'ucs2' | 'latin1' {
  if (dataCoding >> 4 === 0xf) return dataCoding & 0x04 ? '8bit' : 'gsm7';
  if (dataCoding === 0x01 || dataCoding === 0x03) return 'latin1';
  const bits = dataCoding & 0x0c;
  return bits === UCS2 ? 'ucs2' : bits === EIGHT_BIT || dataCoding === 0x02 ? '8bit' : 'gsm7';
}

export function textOf({ octets, dataCoding }: Pick<UserData, 'octets' | 'dataCoding'>): string {
  switch (alphabetOf(dataCoding)) {
    case 'gsm7':
      return decodeGsm7(octets);
    case 'ucs2':
      return new TextDecoder('utf-16be').decode(octets);
    case '8bit':
      return new TextDecoder().decode(octets);
    case 'latin1':
      return Buffer.from(octets).toString('latin1');
  }
}

interface Alphabet {
  readonly dataCoding: number;
  encode(text: string): Uint8Array;
  /** Units that fit beside a header of so many octets. */
  room(header: number): number;
}

const gsm7: Alphabet = {
  dataCoding: GSM7,
  encode: (text) => encodeGsm7(text)!,
  room: (header) => Math.floor(((USER_DATA - header) * 8) / 7),
};
const ucs2: Alphabet = {
  dataCoding: UCS2,
  encode: (text) => Buffer.from(text, 'utf16le').swap16(),
  room: (header) => USER_DATA - header,
};
const eightBit: Alphabet = {
  dataCoding: EIGHT_BIT,
  encode: (text) => Buffer.from(text),
  room: (header) => USER_DATA - header,
};

export interface TextOptions {
  readonly ports: Ports | undefined;
  /** Octets of UTF-8, for who wrote so; otherwise GSM 7 bit, or UCS-2 where that cannot hold the text. */
  readonly eightBit: boolean;
  /** Names the message among others to the same telephone, when it takes several. */
  readonly reference: number;
  /**
   * Text before the blank that each part begins with, followed by two letters: which part, and how many. Undefined
   * leaves it to the concatenation of the user data header.
   */
  readonly lettered: string | undefined;
}

const letter = (index: number): string => String.fromCharCode(0x61 + index);

/** User data of a text, in as few messages as it takes; empty when it takes too many. */
export function textMessages(text: string, options: TextOptions): UserData[] {
  const alphabet = options.eightBit ? eightBit : encodeGsm7(text) ? gsm7 : ucs2;
  const { ports, lettered } = options;
  const portOctets = ports ? 7 : 0;
  const whole = alphabet.encode(text);
  const { dataCoding } = alphabet;
  if (whole.length <= alphabet.room(portOctets))
    return [{ ports, part: undefined, dataCoding, octets: whole }];
  if (lettered !== undefined) {
    const room = alphabet.room(portOctets) - alphabet.encode(`${lettered}aa `).length;
    const pieces = split(text.slice(lettered.length + 1), room, alphabet);
    if (pieces.length <= 26)
      return pieces.map((piece, index) => {
        const head = `${lettered}${letter(index)}${letter(pieces.length - 1)} `;
        return { ports, part: undefined, dataCoding, octets: alphabet.encode(head + piece) };
      });
  }
  const pieces = split(text, alphabet.room((ports ? 6 : 0) + 5 + 1), alphabet);
  const total = pieces.length;
  if (total > PARTS) return [];
  return pieces.map((piece, index) => ({
    ports,
    part: { reference: options.reference, total, index: index + 1 },
    dataCoding,
    octets: alphabet.encode(piece),
  }));
}

/** No character, and no escape with what it escapes, is torn apart. */
function split(text: string, room: number, alphabet: Alphabet): string[] {
  const pieces: string[] = [];
  let piece = '';
  let used = 0;
  for (const character of text) {
    const size = alphabet.encode(character).length;
    if (used + size > room) {
      pieces.push(piece);
      piece = '';
      used = 0;
    }
    piece += character;
    used += size;
  }
  pieces.push(piece);
  return pieces;
}
