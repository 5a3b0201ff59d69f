import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../../src/base/errors.js';
import { charsetByName } from '../../../src/imps/codec/charset.js';
import { element, type Element } from '../../../src/imps/codec/element.js';
import { defaultLimits } from '../../../src/imps/codec/limits.js';
import { readWbxml } from '../../../src/imps/codec/wbxml-reader.js';
import { writeWbxml } from '../../../src/imps/codec/wbxml-writer.js';
import { readXml } from '../../../src/imps/codec/xml-reader.js';
import { writeXml } from '../../../src/imps/codec/xml-writer.js';
import { sampleNames, sampleXml } from '../tools/samples.js';

const read = (text: string, charset?: string) => readXml(Buffer.from(text), defaultLimits, charset);
const failure = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ParleyError) return error.code;
    throw error;
  }
  return 'none';
};

describe('XML of CSP', () => {
  it.each(sampleNames)('of sample %s reads back as it was written', (name) => {
    const { root } = readXml(sampleXml(name), defaultLimits);
    expect(readXml(writeXml(root), defaultLimits).root).toEqual(root);
  });

  it.each([
    ['http://www.wireless-village.org/CSP1.1', '1.1'],
    ['http://www.openmobilealliance.org/DTD/WV-CSP1.2', '1.2'],
    ['http://www.openmobilealliance.org/DTD/IMPS-CSP1.3', '1.3'],
    ['http://www.openmobilealliance.org/DTD/WV-CSP1.3', undefined],
    ['', undefined],
  ])('in namespace %s is version %s', (namespace, version) => {
    expect(read(`<WV-CSP-Message xmlns="${namespace}"/>`).version).toBe(version);
  });

  it('is read with a namespace prefix as well', () => {
    const document = read(
      '<wv:WV-CSP-Message xmlns:wv="http://www.wireless-village.org/CSP1.1"><wv:Session/></wv:WV-CSP-Message>',
    );
    expect(document.version).toBe('1.1');
    expect(document.root.children[0]?.name).toBe('Session');
  });

  it('escapes only what it must', () => {
    expect(writeXml(element('ContentData', `<a> & "b" 'c'`)).toString()).toBe(
      `<?xml version="1.0" encoding="UTF-8"?><ContentData>&lt;a&gt; &amp; "b" 'c'</ContentData>`,
    );
  });

  it('writes what XML cannot carry as the replacement character', () => {
    expect(read(writeXml(element('ContentData', 'a\u0000b\ud800c')).toString()).root.text).toBe(
      'a\ufffdb\ufffdc',
    );
  });

  it('keeps white space and CDATA of a text and drops it between elements', () => {
    expect(read('<ContentData> a <![CDATA[<b> & &amp;]]> </ContentData>').root.text).toBe(' a <b> & &amp; ');
    expect(read('<Session>\n <Poll>T</Poll>\n</Session>').root).toEqual(
      element('Session', element('Poll', true)),
    );
  });

  it('resolves character references and the five predefined entities, once', () => {
    expect(read('<Name>&amp;lt; &#x263A;&#65;&quot;&apos;</Name>').root.text).toBe(`&lt; \u263aA"'`);
  });

  it('knows other spellings of the same element', () => {
    expect(read('<BlockUser-Request/>').root.name).toBe('BlockEntity-Request');
    expect(read('<AcceptedCharSet>106</AcceptedCharSet>').root.name).toBe('AcceptedCharset');
  });

  it('reads past a document type without declarations, as phones of 1.1 send it', () => {
    const text =
      '<?xml version="1.0"?>\n<!DOCTYPE WV-CSP-Message PUBLIC "-//WIRELESSVILLAGE//DTD CSP 1.1//EN" ' +
      '"http://www.wireless-village.org/DTD/WV-CSP.DTD">\n<WV-CSP-Message/>';
    expect(read(text).root.name).toBe('WV-CSP-Message');
  });

  it.each([
    ['ISO-8859-1', Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><Name>Gr\xfcn</Name>', 'latin1')],
    ['UTF-16LE', Buffer.from('\ufeff<Name>Grün</Name>', 'utf16le')],
    ['UTF-8', Buffer.from('\ufeff<Name>Grün</Name>')],
  ])('in %s is read, and written the same way', (name, bytes) => {
    const document = readXml(bytes, defaultLimits);
    expect(document.charset.name).toBe(name);
    expect(document.root.text).toBe('Grün');
    expect(readXml(writeXml(document.root, document.charset), defaultLimits).root.text).toBe('Grün');
  });

  it('takes the charset of the content type before that of the declaration', () => {
    const bytes = Buffer.from('<?xml version="1.0" encoding="UTF-8"?><Name>Gr\xfcn</Name>', 'latin1');
    expect(readXml(bytes, defaultLimits, 'iso-8859-1').root.text).toBe('Grün');
  });

  it('writes a character outside the charset as a character reference', () => {
    const bytes = writeXml(element('Name', 'a€'), charsetByName('ISO-8859-1'));
    expect(bytes.toString('latin1')).toContain('<Name>a&#8364;</Name>');
  });

  it('carries any text unchanged, in XML and in WBXML', () => {
    const text = fc
      .string({ unit: 'grapheme', maxLength: 60 })
      .filter((value) => !/[\p{Cc}\p{Cs}\ufffe\uffff\ufffd]/u.test(value));
    fc.assert(
      fc.property(text, (value) => {
        const tree: Element = element('ContentData', value);
        expect(readWbxml(writeWbxml(tree, '1.3'), defaultLimits).root.text).toBe(value);
        expect(readXml(writeXml(tree), defaultLimits).root.text).toBe(value);
      }),
      { numRuns: 500 },
    );
  });
});

describe('bad XML', () => {
  it.each([
    ['an entity of its own', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
    ['entities that multiply', '<!DOCTYPE a [<!ENTITY x "yy"><!ENTITY z "&x;&x;">]><a>&z;</a>'],
    ['an external entity', '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'],
    ['an undeclared entity', '<a>&nbsp;</a>'],
    ['a bare ampersand', '<a>b & c</a>'],
    ['a reference to no character', '<a>&#0;</a>'],
    ['end tags out of order', '<a><b></a></b>'],
    ['a missing end tag', '<a><b>'],
    ['two roots', '<a/><b/>'],
    ['nothing', ''],
    ['no XML', 'WV13LR1'],
    ['a name with two prefixes', '<a><b:c:d/></a>'],
    ['a reserved name', '<a><__proto__>x</__proto__></a'],
  ])('with %s is refused', (_title, text) => {
    expect(failure(() => read(text))).toBe('imps-xml-malformed');
  });

  it('nested deeper than the limit is refused, however deep', () => {
    for (const depth of [33, 1000, 100_000]) {
      expect(failure(() => read('<a>'.repeat(depth) + '</a>'.repeat(depth)))).toBe('imps-xml-malformed');
    }
  });

  it('over the size or the number of elements is refused', () => {
    expect(failure(() => read(`<a>${' '.repeat(1_100_000)}</a>`))).toBe('imps-too-large');
    expect(failure(() => read(`<a>${'<b/>'.repeat(60_000)}</a>`))).toBe('imps-too-large');
  });

  it('that is a sample cut at any octet is refused', { timeout: 120_000 }, () => {
    for (const name of sampleNames) {
      const whole = Buffer.from(sampleXml(name).toString().trimEnd());
      for (let length = 0; length < whole.length; length += 3) {
        const code = failure(() => readXml(whole.subarray(0, length), defaultLimits));
        expect(code, `${name} at ${length}`).toBe('imps-xml-malformed');
      }
    }
  });
});
