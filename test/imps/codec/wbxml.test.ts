import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../../src/base/errors.js';
import { charsetByMib, charsetByName } from '../../../src/imps/codec/charset.js';
import { element } from '../../../src/imps/codec/element.js';
import { defaultLimits } from '../../../src/imps/codec/limits.js';
import { readWbxml } from '../../../src/imps/codec/wbxml-reader.js';
import { writeWbxml } from '../../../src/imps/codec/wbxml-writer.js';
import { readXml } from '../../../src/imps/codec/xml-reader.js';
import { tokenTables } from '../../../src/imps/vocabulary/tables.js';
import { sampleNames, sampleWbxml, sampleXml } from '../tools/samples.js';

const octets = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');
const read = (hex: string) => readWbxml(octets(hex), defaultLimits);
const failure = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ParleyError) return error.code;
    throw error;
  }
  return 'none';
};

describe('WBXML of CSP', () => {
  it.each(sampleNames)('is read from the octets of sample %s as the same tree as its XML', (name) => {
    const binary = readWbxml(sampleWbxml(name), defaultLimits);
    expect(binary.root).toEqual(readXml(sampleXml(name), defaultLimits).root);
    expect(binary.version).toBe('1.3');
    expect(binary.defect).toBeUndefined();
  });

  it.each(sampleNames)('is written for sample %s octet for octet', (name) => {
    const { root } = readXml(sampleXml(name), defaultLimits);
    expect(writeWbxml(root, '1.3').toString('hex')).toBe(sampleWbxml(name).toString('hex'));
  });

  it('gives every token that document 001 left open its final number', () => {
    const { tokens, numbers } = tokenTables['1.3'];
    const cell = (page: number, token: number): number => (page << 6) | token;
    expect(tokens.get('OfflineETEMHandling')).toBe(cell(3, 0x1a));
    expect(tokens.get('SessionPriority')).toBe(cell(3, 0x1c));
    expect(tokens.get('ClientIMPriority')).toBe(cell(5, 0x3c));
    expect(tokens.get('ApplicationID')).toBe(cell(9, 0x1e));
    const final =
      `AC 52 BLC 53 BLUC 54 CLCR 55 CLD 56 GC 57 GD 58 GLC 59 GLUC A1 IA A2 IC A3 IR 9F PPU 3A SPA 3B
      PRIORITYREJECT 9A PRIORITYSTORE 9B REJECT 9C SENDREJECT 9D SENDSTORE 9E Tiny 39 GMU AA`.split(/\s+/);
    for (let at = 0; at < final.length; at += 2) {
      expect(numbers.get(final[at]!), final[at]).toBe(Number.parseInt(final[at + 1]!, 16));
    }
  });

  it('keeps the tokens that document 001 gives a number to', () => {
    const given = `00:AccessType 01:ActiveUsers 02:Admin 03:application/ 04:application/vnd.wap.mms-message 05:application/x-sms
      06:AutoJoin 07:BASE64 08:Closed 09:Default 0A:DisplayName 0B:F 0C:G 0D:GR 0E:http:// 0F:https:// 10:image/ 11:Inband 12:IM
      13:MaxActiveUsers 14:Mod 15:Name 16:None 17:N 18:Open 19:Outband 1A:PR 1B:Private 1C:PrivateMessaging 1D:PrivilegeLevel
      1E:Public 1F:P 20:Request 21:Response 22:Restricted 23:ScreenName 24:Searchable 25:S 26:SC 27:text/ 28:text/plain
      29:text/x-vCalendar 2A:text/x-vCard 2B:Topic 2C:T 2D:Type 2E:U 2F:US 30:www.wireless-village.org 31:AutoDelete 32:GM
      33:Validity 34:DENIED 35:GRANTED 36:PENDING 37:ShowID 42:HTTP 43:SMS 78:www.openmobilealliance.org 79:Small 7A:Medium 7B:Big
      7C:Huge 7D:Bold 7E:Italic 7F:Underline 80:Black 81:Silver 82:Gray 83:White 84:Maroon 85:Red 86:Purple 87:Fuchsia 88:Green
      89:Lime 8A:Olive 8B:Yellow 8C:Navy 8D:Blue 8E:Teal 8F:Aqua 90:ATCL 91:CLC`;
    const { numbers } = tokenTables['1.3'];
    for (const pair of given.split(/\s+/))
      expect(numbers.get(pair.slice(3)), pair).toBe(Number.parseInt(pair.slice(0, 2), 16));
  });

  it('has the number of elements and values of each version', () => {
    const sizes = (['1.1', '1.2', '1.3'] as const).map((version) => tokenTables[version]);
    // 1.3 reads AnswerOptionsText as the same element as AnswerOptionText, and counts one of the two
    expect(sizes.map((table) => table.tokens.size)).toEqual([303, 351, 428]);
    // SMS has two numbers in every version, IM in 1.1
    expect(sizes.map((table) => table.numbers.size)).toEqual([95, 105, 186]);
  });

  it('reads the date of the WV documents, and one of local time without seconds', () => {
    const date = (hex: string): string => read(`03 12 6a 00 51 c3 06 ${hex} 01`).root.text;
    expect(date('1f 46 73 0e bb 5a')).toBe('20010925T165859Z');
    expect(date('1f 46 72 da 00 00')).toBe('20010925T134000');
    expect(writeWbxml(element('DateTime', '20010925T1340'), '1.3').toString('hex')).toBe(
      '03126a0051c3061f4672da000001',
    );
  });

  it('reads a zero integer in one octet and in none, and writes it in one', () => {
    expect(read('03 12 6a 00 4b c3 01 00 01').root.text).toBe('0');
    expect(read('03 12 6a 00 4b c3 00 01').root.text).toBe('0');
    expect(writeWbxml(element('Code', 0), '1.3').toString('hex')).toBe('03126a004bc3010001');
  });

  it('reads digits in an inline string where an integer is expected', () => {
    expect(read('03 12 6a 00 4b 03 32 30 30 00 01').root.text).toBe('200');
  });

  it('joins string table references, entities, values and inline strings to one text', () => {
    // table "abc\0", then Description: STR_T 1, ENTITY U+263A, EXT_T_0 2C (T), STR_I "!"
    const { root } = read('03 12 6a 04 61 62 63 00 52 83 01 02 cc 3a 80 2c 03 21 00 01');
    expect(root.text).toBe('bc\u263aT!');
  });

  it('reads an element and an attribute written as literals of the string table', () => {
    const { root } = read('03 12 6a 0c 78 6d 6c 6e 73 00 46 6f 6f 00 00 00 c4 06 04 00 03 75 72 6e 00 01 01');
    expect(root).toMatchObject({ name: 'Foo', namespace: 'urn', text: '' });
  });

  it('writes a name without token as a literal that reads back', () => {
    const tree = element('Status', element('Colibria', 'x'), element('Colibria', 'y'));
    const written = writeWbxml(tree, '1.2');
    expect(written.subarray(0, 13).toString('latin1')).toBe('\x03\x11\x6a\x09Colibria\0');
    expect(readWbxml(written, defaultLimits).root).toEqual(tree);
  });

  it('chooses between the two meanings of one number by the element', () => {
    expect(read('03 12 6a 00 5e 80 3d 01').root.text).toBe('History');
    expect(read('03 12 6a 00 00 01 64 80 3d 01').root.text).toBe('GROUP_ID');
    expect(read('03 10 6a 00 00 05 6f 80 68 01').root.text).toBe('IM');
    expect(writeWbxml(element('Cap', 'SMS'), '1.3').toString('hex')).toBe('03126a0000056f807501');
    expect(writeWbxml(element('SupportedBearer', 'SMS'), '1.3').toString('hex')).toBe('03126a0000034f804301');
    expect(writeWbxml(element('Name', 'GROUP_ID'), '1.3').includes(0x80)).toBe(false);
  });

  it('reads a legacy element in 1.3 and never writes its token there', () => {
    expect(read('03 12 6a 00 00 04 5e 80 2c 01').root.name).toBe('AutoSubscribe');
    expect(writeWbxml(element('AutoSubscribe', true), '1.3').toString('latin1')).toContain('AutoSubscribe');
    expect(writeWbxml(element('AutoSubscribe', true), '1.2').toString('hex')).toBe('03116a0000045e802c01');
  });

  it('tells 09/0B of 1.2 from that of 1.3', () => {
    expect(read('03 11 6a 00 00 09 4b 80 35 01').root).toMatchObject({
      name: 'ReactiveAuthState',
      text: 'GRANTED',
    });
    expect(read('03 12 6a 00 00 09 4b 03 59 00 01').root.name).toBe('AnswerOptionText');
  });

  it('takes the version from a public identifier in the string table', () => {
    const text = '-//OMA//DTD WV-CSP 1.2//EN';
    const table = Buffer.from(`${text}\0`);
    const document = Buffer.concat([octets('03 00 00 6a'), Uint8Array.of(table.length), table, octets('09')]);
    expect(readWbxml(document, defaultLimits).version).toBe('1.2');
  });

  it('gives no version to a public identifier of another language', () => {
    expect(read('03 04 6a 00 09').version).toBeUndefined();
  });

  it('keeps an unknown tag as an element that nobody knows, and marks an unknown value as a defect', () => {
    expect(read('03 12 6a 00 00 07 7f 01').root.name).toBe('7/3f');
    expect(read('03 12 6a 00 00 1f 45 01').root.name).toBe('1f/5');
    expect(read('03 12 6a 00 52 80 81 7f 01').defect).toBe('unknown value ff in Description');
  });

  it('keeps octets of OPAQUE that are no text, and reads the others as text', () => {
    expect(read('03 12 6a 00 4d c3 02 68 69 01').root).toMatchObject({ text: 'hi', bytes: undefined });
    const { root } = read('03 12 6a 00 4d c3 02 ff d8 01');
    expect(Buffer.from(root.bytes!).toString('hex')).toBe('ffd8');
    expect(writeWbxml(root, '1.3').toString('hex')).toBe('03126a004dc302ffd801');
  });

  it.each([
    [4, 'Grüße', '4772fcdf65'],
    [106, 'Grüße', '4772c3bcc39f65'],
    [1013, 'Grü', '0047007200fc'],
    [5, 'Łódź', 'a3f364bc'],
  ])('writes and reads the charset with MIBenum %i', (mib, text, hex) => {
    const written = writeWbxml(element('Description', text), '1.3', charsetByMib(mib));
    expect(written.toString('hex')).toContain(hex);
    const document = readWbxml(written, defaultLimits);
    expect(document.root.text).toBe(text);
    expect(document.charset.mib).toBe(mib);
  });

  it('writes a character outside the charset as an entity', () => {
    const written = writeWbxml(element('Description', 'a€b'), '1.3', charsetByName('US-ASCII'));
    expect(written.toString('hex')).toBe('031203005203610002' + 'c12c' + '03620001');
    expect(readWbxml(written, defaultLimits).root.text).toBe('a€b');
  });

  it('refuses a charset that it cannot answer in', () => {
    expect(failure(() => read('03 12 11 00 09'))).toBe('imps-charset-unsupported'); // 17: Shift_JIS
  });
});

describe('bad WBXML', () => {
  it.each([
    ['a string table index outside', '03 12 6a 02 61 00 52 83 05 01'],
    ['a string table beyond the end', '03 12 6a 7f 61 00'],
    ['a string table string without end', '03 12 6a 01 61 52 83 00 01'],
    ['an inline string without end', '03 12 6a 00 52 03 61 62'],
    ['opaque data beyond the end', '03 12 6a 00 52 c3 7f 61 01'],
    ['an integer over 32 bits', '03 ff ff ff ff 7f 6a 00 09'],
    ['an integer that never ends', '03 ff ff ff ff ff ff 6a 00 09'],
    ['octets after the root', '03 12 6a 00 09 09'],
    ['an END where the root should be', '03 12 6a 00 01'],
    ['an entity that is a surrogate', '03 12 6a 00 52 02 83 b0 00 01'],
    ['a WBXML version after 1.3', '04 12 6a 00 09'],
  ])('with %s is refused', (_title, hex) => {
    expect(failure(() => read(hex))).toBe('imps-wbxml-malformed');
  });

  it('nested deeper than the limit is refused, however deep', () => {
    for (const depth of [33, 1000, 500_000]) {
      const bomb = Buffer.concat([octets('03 12 6a 00'), Buffer.alloc(depth, 0x6d)]);
      expect(failure(() => readWbxml(bomb, defaultLimits))).toBe('imps-wbxml-malformed');
    }
  });

  it('with more elements, octets or repeated text than the limits is refused', () => {
    const many = Buffer.concat([octets('03 12 6a 00 49'), Buffer.alloc(60_000, 0x2d), octets('01')]);
    expect(failure(() => readWbxml(many, defaultLimits))).toBe('imps-too-large');
    expect(failure(() => readWbxml(Buffer.alloc(1_048_577, 0x2d), defaultLimits))).toBe('imps-too-large');
    const table = Buffer.alloc(60_000, 0x61);
    table[59_999] = 0;
    const references = Buffer.alloc(600_000);
    for (let at = 0; at < references.length; at += 2) references[at] = 0x83;
    const bomb = Buffer.concat([octets('03 12 6a 83 d4 60'), table, octets('52'), references, octets('01')]);
    expect(failure(() => readWbxml(bomb, defaultLimits))).toBe('imps-too-large');
  });

  it.each(sampleNames)('that is sample %s cut at any octet is refused', (name) => {
    const whole = sampleWbxml(name);
    for (let length = 0; length < whole.length; length++) {
      expect(
        failure(() => readWbxml(whole.subarray(0, length), defaultLimits)),
        `at ${length}`,
      ).toBe('imps-wbxml-malformed');
    }
  });

  it('never throws anything but a ParleyError, whatever octet is changed', () => {
    for (const name of sampleNames) {
      const whole = sampleWbxml(name);
      for (let at = 0; at < whole.length; at++) {
        for (const value of [0x00, 0x01, 0x04, 0x43, 0x80, 0x83, 0xc0, 0xc3, 0xc4, 0xff]) {
          const changed = Buffer.from(whole);
          changed[at] = value;
          failure(() => readWbxml(changed, defaultLimits));
        }
      }
    }
    expect(sampleNames.length).toBe(33);
  });
});
