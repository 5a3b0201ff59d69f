import { plainTextCodes } from '../../src/imps/vocabulary/plain-text.js';
import { tokenTables } from '../../src/imps/vocabulary/tables.js';

const { tokens, numbers } = tokenTables['1.3'];
const names = [...tokens.keys()];
const codes = plainTextCodes();

/** Pieces of the three syntaxes and of their values. */
export const impsWords: readonly Buffer[] = [
  ...names.flatMap((name) => [`<${name}/>`, `<${name}>`, `</${name}>`]),
  ...[...numbers.keys()].map((value) => `>${value}<`),
  ...[...codes.elementCodes].map(([, code]) => ` ${code}=`),
  ...[...codes.primitiveCodes].map(([, code]) => `WV13${code}1 `),
  ...[
    'wv:alice@ims.test', 'wv:bob@ims.test', 'wv:alice/friends@ims.test', 'wv:alice/room@ims.test', '(', ')', ',', '"', '=', '((((',
    'WV11', 'WV12', 'WVXX', 'ab ', 'aa ', '<![CDATA[', ']]>', '<!--', '-->', '<?x ?>', '&amp;', '&#0;', '&#xd800;', '&#x10ffff;', '&a;',
    '<!DOCTYPE a>', '<!DOCTYPE a [<!ENTITY b "c">]>', 'xmlns="', 'xmlns:a="', 'a:', ' encoding="UTF-16"', ' encoding="iso-8859-1"',
    '0', '-1', '4294967295', '4294967296', '99999999999', 'T', 'F', '20260131T235907Z', '\ufeff', '\ufffe', '\0', '\u00e9', '\u20ac',
    '__proto__', 'constructor', 'toString', '#text', ':@',
  ],
].map((word) => Buffer.from(word)).concat(
  names.flatMap((name) => {
    const cell = tokens.get(name)!;
    return [Buffer.from([0, cell >> 6, (cell & 0x3f) | 0x40]), Buffer.from([0, cell >> 6, cell & 0x3f])];
  }),
  [...numbers.values()].map((number) => Buffer.from(number < 0x80 ? [0x80, number] : [0x80, 0x81, number & 0x7f])),
  ['01', '0101010101', '0003', '000b', '00ff', '03610003', '0300', '8300', '83ffffffff0f', 'c301ff', 'c30101', 'c300', 'c38fffffff7f',
    'c306e0e0e0e0e0e0', '0400', '04ff7f', '8400', 'c400', '0241', '028020', '4000', '80ff7f', '43050101', '030e6a00', '030f6a00', '03116a00',
    '03106a00', '0301016a00', '0300006a00', '02', '03', 'ffffffffff', '8f', '03106a0561620000'].map((hex) => Buffer.from(hex, 'hex')),
); // prettier-ignore
