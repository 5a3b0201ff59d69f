import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeGsm7, encodeGsm7 } from '../../../src/imps/sms/gsm7.js';
import {
  alphabetOf,
  readUserData,
  textMessages,
  textOf,
  writeUserData,
} from '../../../src/imps/sms/user-data.js';

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
const plain = { ports: undefined, eightBit: false, reference: 1, lettered: undefined };

describe('the GSM 7 bit alphabet', () => {
  it('has the letters of TS 23.038, and its extension behind an escape', () => {
    expect(hex(encodeGsm7('@£$ΔÄà'))).toBe('000102105b7f');
    expect(hex(encodeGsm7('{€}~'))).toBe('1b281b651b291b3d');
    expect(encodeGsm7('привет')).toBeUndefined();
    expect(decodeGsm7(Buffer.from('1b281b651b01', 'hex'))).toBe('{€£');
  });

  it('reads back every character it writes', () => {
    for (let code = 1; code < 0x2100; code++) {
      const character = String.fromCodePoint(code);
      const octets = encodeGsm7(character);
      if (octets) expect(decodeGsm7(octets)).toBe(character);
    }
  });
});

describe('user data of short messages', () => {
  it('fills a single message with 160 septets, 140 octets or 70 characters', () => {
    for (const [character, fits] of [
      ['a', 160],
      ['€', 80],
      ['я', 70],
    ] as const) {
      expect(textMessages(character.repeat(fits), plain)).toHaveLength(1);
      expect(textMessages(character.repeat(fits + 1), plain)).toHaveLength(2);
    }
    expect(textMessages('я'.repeat(70), { ...plain, eightBit: true })).toHaveLength(1);
  });

  it('puts ports and concatenation into the header', () => {
    const ports = { to: 3590, from: 3590 };
    const [one] = textMessages('PO', { ...plain, ports });
    expect(hex(writeUserData(one!).message)).toBe(`0605040e060e06${hex(Buffer.from('PO'))}`);
    const parts = textMessages('a'.repeat(200), { ...plain, ports, reference: 7 });
    expect(hex(writeUserData(parts[0]!).message.subarray(0, 12))).toBe('0b05040e060e060003070201');
    for (const part of parts) {
      const { message } = writeUserData(part);
      const header = message[0]! + 1;
      expect(header + Math.ceil(((message.length - header) * 7) / 8)).toBeLessThanOrEqual(140);
      expect(readUserData(message, part.dataCoding, true)).toMatchObject({ ports, part: part.part });
    }
  });

  it('begins each part with the preamble and two letters where the syntax splits itself', () => {
    const text = `WV13PG7 SI=s PR=${'x'.repeat(400)}`;
    const parts = textMessages(text, { ...plain, lettered: 'WV13PG7' }).map(textOf);
    expect(parts.map((part) => part.slice(0, 10))).toEqual(['WV13PG7ac ', 'WV13PG7bc ', 'WV13PG7cc ']);
    expect(`WV13PG7 ${parts.map((part) => part.slice(10)).join('')}`).toBe(text);
  });

  it('takes headers where 26 letters are too few, and gives up after 255 messages', () => {
    const lettered = 'WV13PG7';
    const parts = textMessages(`${lettered} ${'x'.repeat(5000)}`, { ...plain, lettered });
    expect(parts[0]?.part).toMatchObject({ index: 1, total: parts.length });
    expect(textMessages('x'.repeat(50_000), plain)).toEqual([]);
  });

  it('says the same text again, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 600 }), fc.boolean(), (text, eightBit) => {
        const parts = textMessages(text, { ...plain, eightBit }).map((part) => {
          const { udh, message } = writeUserData(part);
          expect(part.dataCoding === 0 || message.length <= 140).toBe(true);
          return readUserData(message, part.dataCoding, udh);
        });
        const octets = Buffer.concat(parts.map((part) => part.octets));
        expect(textOf({ octets, dataCoding: parts[0]!.dataCoding })).toBe(text);
      }),
    );
  });

  it('reads any octets without failing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 160 }), fc.nat(255), fc.boolean(), (octets, dcs, udh) => {
        expect(typeof textOf(readUserData(octets, dcs, udh))).toBe('string');
      }),
    );
  });

  it('knows the alphabet of each data coding scheme', () => {
    const alphabets = [0, 1, 2, 3, 4, 8, 0x18, 0xf0, 0xf1, 0xf5].map(alphabetOf);
    expect(alphabets.join(' ')).toBe('gsm7 latin1 8bit latin1 8bit ucs2 ucs2 gsm7 gsm7 8bit');
  });
});
