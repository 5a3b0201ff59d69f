import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/base/errors.js';
import {
  formatCpim,
  formatCpimAddress,
  IMDN_NAMESPACE,
  innermostCpim,
  parseCpim,
  parseCpimAddress,
  readCpimHead,
  rewriteCpimHead,
  escapeCpim,
  unescapeCpim,
} from '../../src/msrp/cpim/index.js';
import { fixture, parseAll } from './tools/messages.js';

const codeOf = (octets: Buffer): string => {
  try {
    parseCpim(octets);
  } catch (error) {
    return (error as ParleyError).code;
  }
  return 'no error';
};
const text = (value: string): Buffer => Buffer.from(value.replaceAll('\n', '\r\n'));

describe('a Message/CPIM', () => {
  it('has header fields with names, languages and namespaces (RFC 3862 §5.1)', () => {
    const { head, content } = parseCpim(fixture('cpim/rfc3862-5.1.dat'));
    expect(head.from).toEqual({ name: 'MR SANDERS', uri: 'im:piglet@100akerwood.com' });
    expect(head.to).toEqual([{ name: 'Depressed Donkey', uri: 'im:eeyore@100akerwood.com' }]);
    expect(head.value('DateTime')).toBe('2000-12-13T13:40:00-08:00');
    expect(head.values('Subject')).toEqual([
      'the weather will be fine today',
      "beau temps prevu pour aujourd'hui",
    ]);
    expect(head.fields[4]).toMatchObject({ name: 'Subject', parameters: 'lang=fr' });
    expect(head.value('VitalMessageOption', 'mid:MessageFeatures@id.foo.com')).toBe('Confirmation-requested');
    expect(head.mediaType).toBe('text/xml');
    expect(head.mime('content-id')).toBe('<1234567890@foo.com>');
    expect(content).toEqual(text('<body>\nHere is the text of my message.\n</body>\n'));
  });

  it('carries imdn fields under whatever prefix NS declares (RFC 3862 §3.4)', () => {
    const octets = text(
      'From: <im:a@b>\nNS: x <urn:ietf:params:imdn>\nx.Message-ID: 1\n\nContent-Type: a/b\n\n',
    );
    expect(parseCpim(octets).head.value('Message-ID', IMDN_NAMESPACE)).toBe('1');
  });

  it('carries imdn fields under the prefix imdn even undeclared, as clients write them', () => {
    const octets = text('From: <im:a@b>\nimdn.Message-ID: 1\n\nContent-Type: a/b\n\n');
    expect(parseCpim(octets).head.value('Message-ID', IMDN_NAMESPACE)).toBe('1');
  });

  it('may change the default namespace from a field on', () => {
    const octets = text('From: <im:a@b>\nNS: <urn:other>\nFrom: c\n\nContent-Type: a/b\n\n');
    const { head } = parseCpim(octets);
    expect([head.value('From'), head.value('From', 'urn:other')]).toEqual(['<im:a@b>', 'c']);
  });

  it('is found inside a SEND of a group (a capture)', () => {
    const [send] = parseAll([fixture('message/group-send.msrp')]);
    const { head, content } = parseCpim(Buffer.from(send!.body!, 'latin1'));
    expect(head.from!.uri).toBe('sip:alice@home1.net');
    expect(head.to[0]!.uri).toBe('sip:anonymous@anonymous.invalid');
    expect(content.toString()).toBe('Hello all');
  });

  it('is not complete before both header sections have ended', () => {
    const octets = fixture('cpim/rfc3862-5.1.dat');
    const { length } = parseCpim(octets).head;
    for (let end = 0; end < length; end++) expect(readCpimHead(octets.subarray(0, end))).toBeUndefined();
    expect(readCpimHead(octets.subarray(0, length))!.length).toBe(length);
  });

  it('keeps octets that are no text in its content', () => {
    const content = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const octets = Buffer.concat([text('From: <im:a@b>\n\nContent-Type: image/png\n\n'), content]);
    expect(parseCpim(octets).content).toEqual(content);
  });

  it('reads names with quotes and escapes (RFC 3862 §2.3)', () => {
    expect(parseCpimAddress('"A \\"B\\" \\u00e9" <sip:a@b>')).toEqual({ name: 'A "B" é', uri: 'sip:a@b' });
    expect(unescapeCpim('a\\tb\\\\c\\xd\\')).toBe('a\tb\\cxd');
    expect(escapeCpim('a\r\nTo: <im:x@y>\0')).toBe('a\\r\\nTo: <im:x@y>\\u0000');
  });

  it.each([
    ['no header fields at all', text('\nContent-Type: text/plain\n\nhello')],
    ['only MIME header fields', text('Content-Type: text/plain\n\nhello')],
    ['no MIME header fields', text('From: <im:a@b>\n\n\n\nhello')],
    ['no Content-Type', text('From: <im:a@b>\n\nContent-ID: <1@a>\n\nhello')],
    ['a MIME section that never ends', text('From: <im:a@b>\n\nContent-Type: text/plain\nhello')],
    ['bare LF between lines', Buffer.from('From: <im:a@b>\n\nContent-Type: text/plain\n\nhello')],
    ['a bare CR in a header field', text('From: <im:a@b>\nSubject: a\rTo: b\n\nContent-Type: a/b\n\n')],
    ['a line without a colon', text('From: <im:a@b>\nhello\n\nContent-Type: a/b\n\n')],
    [
      'octets that are not UTF-8',
      Buffer.concat([Buffer.from([0xff]), text('From: <im:a@b>\n\nContent-Type: a/b\n\n')]),
    ],
    ['an empty body', Buffer.alloc(0)],
  ])('is refused with %s', (_what, octets) => {
    expect(codeOf(octets)).toBe('cpim-malformed');
  });

  it('is refused with header sections above the limits, before they end', () => {
    expect(codeOf(Buffer.alloc(20_000, 'From: <im:a@b>\r\n'))).toBe('cpim-too-large');
    expect(codeOf(text(`${'To: <im:a@b>\n'.repeat(200)}\nContent-Type: a/b\n\n`))).toBe('cpim-too-large');
  });

  it('refuses two From and a From that is no address when it is asked for', () => {
    const { head } = parseCpim(text('From: <im:a@b>\nFrom: <im:c@d>\n\nContent-Type: a/b\n\n'));
    expect(() => head.from).toThrow('two From');
    const nameless = parseCpim(text('From: alice\n\nContent-Type: a/b\n\n'));
    expect(() => nameless.head.from).toThrow(ParleyError);
  });

  it('is followed through wrappers, four at most', () => {
    const wrap = (content: Buffer): Buffer =>
      Buffer.concat([text('From: <im:a@b>\n\nContent-Type: message/CPIM\n\n'), content]);
    const inner = text('From: <im:in@b>\n\nContent-Type: text/plain\n\nhi');
    expect(innermostCpim(wrap(wrap(wrap(inner)))).head.from!.uri).toBe('im:in@b');
    expect(() => innermostCpim(wrap(wrap(wrap(wrap(inner)))))).toThrow('nested too deep');
  });

  it('is written so that it reads back the same', () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 20 });
    fc.assert(
      fc.property(line, line, line, fc.uint8Array({ maxLength: 40 }), (name, subject, option, content) => {
        const octets = formatCpim({
          from: { name: name.trim(), uri: 'sip:a@b' },
          to: [{ name: '', uri: 'sip:c@d' }],
          subject,
          namespaces: { imdn: { uri: IMDN_NAMESPACE, fields: [['Message-ID', option]] } },
          mime: [['Content-Type', 'application/octet-stream']],
          content,
        });
        const read = parseCpim(octets);
        expect(read.head.from).toEqual({ name: name.trim(), uri: 'sip:a@b' });
        expect(read.head.value('Subject')).toBe(subject);
        expect(read.head.value('Message-ID', IMDN_NAMESPACE)).toBe(option);
        expect(read.content).toEqual(Buffer.from(content));
      }),
    );
  });

  it('cannot be given a line break through an address or a MIME field', () => {
    expect(() => formatCpimAddress({ name: '', uri: 'sip:a\r\nTo: b' })).toThrow(ParleyError);
    const parts = { from: { name: '', uri: 'sip:a@b' }, to: [], content: Buffer.alloc(0) };
    expect(() => formatCpim({ ...parts, mime: [['Content-Type', 'a/b\r\n\r\nx']] })).toThrow(ParleyError);
  });

  it('keeps every octet that a rewriting does not name', () => {
    const octets = fixture('cpim/rfc3862-5.1.dat');
    const { head } = parseCpim(octets);
    expect(rewriteCpimHead(head, {})).toEqual(octets.subarray(0, head.length));
    const changed = rewriteCpimHead(head, {
      from: { name: '', uri: 'sip:alice@home1.net' },
      add: ['imdn.IMDN-Record-Route: <sip:pf@home1.net>'],
    }).toString();
    expect(changed).toBe(
      octets
        .subarray(0, head.length)
        .toString()
        .replace('MR SANDERS <im:piglet@100akerwood.com>', '<sip:alice@home1.net>')
        .replace('font\r\n', 'font\r\nimdn.IMDN-Record-Route: <sip:pf@home1.net>\r\n'),
    );
  });

  it('throws nothing but ParleyError for any octets', () => {
    const part = fc.constantFrom(
      'From: <a:b>\r\n',
      '\r\n',
      'NS: x <y:z>\r\n',
      'x.A: b\r\n',
      'Content-Type: a/b\r\n',
      '\\u00',
      '"',
    );
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value)),
      fc.array(part, { maxLength: 12 }).map((parts) => Buffer.from(parts.join(''))),
    );
    fc.assert(
      fc.property(octets, (value) => {
        try {
          const { head } = innermostCpim(value);
          expect([head.from, head.to].length).toBe(2);
        } catch (error) {
          expect(error).toBeInstanceOf(ParleyError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
