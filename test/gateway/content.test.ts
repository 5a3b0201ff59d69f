import { describe, expect, it } from 'vitest';
import { defaultCapabilities } from '../../src/imps/access/capabilities.js';
import { acceptOf, plainText, toMime, toPhoneContent } from '../../src/gateway/messages/content.js';
import type { MessageRecord } from '../../src/imps/index.js';

const phone = (...contentTypes: string[]) => ({ ...defaultCapabilities, anyContent: false, contentTypes });
const mime = (type: string, text: string | Uint8Array, charset?: string) => ({
  type,
  charset,
  name: undefined,
  octets: typeof text === 'string' ? Buffer.from(text) : text,
});
const VCARD =
  'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann\\, the 1st\r\nTEL;TYPE=cell:+4670\r\n 123\r\nEND:VCARD\r\n';
const VCALENDAR =
  'BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Lunch\nDTSTART:20260101T120000Z\nEND:VEVENT\nEND:VCALENDAR';
const PNG = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0, 255]);

describe('what a phone gets', () => {
  it.each([
    ['text in UTF-8', mime('text/plain', 'Grüße'), 'text/plain', 'Grüße'],
    [
      'text in another character set',
      mime('text/plain', Buffer.from([0xfc]), 'iso-8859-1'),
      'text/plain',
      'ü',
    ],
    ['unknown text as plain text', mime('text/markdown', '*x*'), 'text/plain', '*x*'],
    ['a vCard by the name that it negotiated', mime('text/vcard', VCARD), 'text/x-vcard', VCARD],
    [
      'a vCalendar in words where it takes none',
      mime('text/calendar', VCALENDAR),
      'text/plain',
      'SUMMARY: Lunch\nDTSTART: 20260101T120000Z',
    ],
    [
      'an image that it negotiated as BASE64',
      mime('image/png', PNG),
      'image/png',
      Buffer.from(PNG).toString('base64'),
    ],
    [
      'a position as a URI',
      mime('application/vnd.gsma.rcspushlocation+xml', '<a><gml:pos>59.3 -18.0</gml:pos></a>'),
      'text/plain',
      'geo:59.3,-18.0',
    ],
  ])('is %s', (_name, content, contentType, text) => {
    expect(toPhoneContent(content, phone('text/x-vcard', 'image/*'))).toMatchObject({
      contentType,
      content: text,
    });
  });

  it('is a vCard in words, with its lines joined, where the phone takes none', () => {
    expect(toPhoneContent(mime('text/vcard', VCARD), phone()).content).toBe(
      'FN: Ann, the 1st\nTEL: +4670123',
    );
  });

  it.each([
    ['an image that it did not negotiate', mime('image/gif', PNG), 'gateway-content'],
    ['octets that do not decode', mime('text/plain', Uint8Array.from([0xc3, 0x28])), 'gateway-charset'],
    ['an unknown character set', mime('text/plain', 'x', 'x-klingon'), 'gateway-charset'],
    ['a file without a link', mime('application/vnd.gsma.rcs-ft-http+xml', '<file/>'), 'gateway-content'],
    [
      'a file whose link is no web address',
      mime(
        'application/vnd.gsma.rcs-ft-http+xml',
        '<file><file-info><data url="javascript:x"/></file-info></file>',
      ),
      'gateway-content',
    ],
    [
      'a document with a DOCTYPE',
      mime('application/vnd.gsma.rcs-ft-http+xml', '<!DOCTYPE x><file/>'),
      'gateway-content',
    ],
  ])('is never %s', (_name, content, code) => {
    expect(() => toPhoneContent(content, phone('text/x-vcard'))).toThrow(
      expect.objectContaining({ code }) as Error,
    );
  });

  it('is named in the Accept of a refusal, without what would break the header', () => {
    expect(acceptOf(phone('image/png', 'x\r\nEvil: 1/2'))).toBe('message/cpim, text/plain, image/png');
    expect(acceptOf(undefined)).toBe('message/cpim, text/plain, */*');
  });
});

describe('what a phone sends', () => {
  const sent = (over: Partial<MessageRecord>): MessageRecord =>
    ({ contentType: 'text/plain', contentEncoding: 'None', content: '', ...over }) as MessageRecord;

  it('is text in UTF-8, octets from BASE64, and opaque octets as they are', () => {
    expect(toMime(sent({ content: 'ü' }))).toEqual({
      type: 'text/plain;charset=UTF-8',
      octets: Buffer.from('ü'),
    });
    const base64 = sent({ contentType: 'image/png', contentEncoding: 'BASE64', content: 'iVBO\r\nRwD/' });
    expect(toMime(base64)).toEqual({ type: 'image/png', octets: Buffer.from(PNG) });
    expect(toMime(sent({ contentType: 'image/png', contentBytes: PNG })).octets).toBe(PNG);
  });

  it('in another character set becomes UTF-8', () => {
    const latin = { contentEncoding: 'BASE64', content: 'Z/xu', contentCharset: 'iso-8859-1' };
    expect(Buffer.from(toMime(sent(latin)).octets).toString()).toBe('gün');
    const opaque = { contentBytes: Uint8Array.from([0x67, 0xfc, 0x6e]), contentCharset: 'iso-8859-1' };
    expect(Buffer.from(toMime(sent(opaque)).octets).toString()).toBe('gün');
  });

  it.each([
    ['of no character set that decodes it', { contentEncoding: 'BASE64', content: 'Z/xu' }],
    ['of an unknown one', { contentEncoding: 'BASE64', content: 'Z24=', contentCharset: 'x-none' }],
    ['in opaque octets', { contentBytes: Uint8Array.from([0x67, 0xfc, 0x6e]) }],
  ])('as text %s is refused', (_what, message) => {
    expect(() => toMime(sent(message))).toThrow(
      expect.objectContaining({ code: 'gateway-charset' }) as Error,
    );
  });

  it('in BASE64 that is none is refused', () => {
    expect(() => toMime(sent({ contentEncoding: 'base64', content: '%%%' }))).toThrow(
      expect.objectContaining({ code: 'gateway-charset' }) as Error,
    );
  });
});

describe('the words of a page', () => {
  it('are those outside tags, scripts and styles, a line for each block', () => {
    const page =
      '<style>p { color: red }</style><h1 class="x">One</h1><P>two &lt; three</P><SCRIPT>if (a<b) x();</Script >four<br/>five &amp;amp;';
    expect(plainText(page)).toBe('One\ntwo < three\nfour\nfive &amp;');
    expect(plainText('a < b and <b>no end')).toBe('a no end');
    expect(plainText('<script>never ended <style>nor this 1 < 2')).toBe('never ended nor this 1 < 2');
  });

  it.each(['<', '<script>', '</script ', '<style', '> <', '&lt'])(
    'are found in a megabyte of %j as well',
    (piece) => {
      expect(plainText(piece.repeat(2 ** 20 / piece.length)).length).toBeLessThanOrEqual(2 ** 20);
    },
  );
});
