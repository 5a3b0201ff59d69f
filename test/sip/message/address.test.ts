import { describe, expect, it } from 'vitest';
import { parseAddress, parseAddresses, writeAddress } from '../../../src/sip/message/address.js';
import { isUnicastSentBy, parseVia, writeVia } from '../../../src/sip/message/via.js';

const read = (text: string): unknown[] => {
  const { displayName, uriText, params } = parseAddress(text, 'From');
  return [displayName, uriText, Object.fromEntries(params)];
};

describe('an address', () => {
  it.each([
    ['<sip:a@b>', undefined, 'sip:a@b', {}],
    ['sip:a@b', undefined, 'sip:a@b', {}],
    ['sip:a@b ;tag=1', undefined, 'sip:a@b', { tag: '1' }],
    ['"A. G. Bell" <sip:a@b>;tag=1', 'A. G. Bell', 'sip:a@b', { tag: '1' }],
    ['"say \\"hi\\" \\\\"<sip:a@b>', 'say "hi" \\', 'sip:a@b', {}],
    ['"" <sip:a@b>', '', 'sip:a@b', {}],
    ['"<sip:x@y>" <sip:a@b>', '<sip:x@y>', 'sip:a@b', {}],
    ['two  words <sip:a@b>', 'two  words', 'sip:a@b', {}],
    ['caller<sip:a@b>', 'caller', 'sip:a@b', {}],
    ['"ünï" <sip:a@b>', 'ünï', 'sip:a@b', {}],
    [
      '<sip:a@b;lr?x=y>;Q=0.5 ; Expires = 7;flag',
      undefined,
      'sip:a@b;lr?x=y',
      { q: '0.5', expires: '7', flag: null },
    ],
    ['sip:a@b;+sip.instance="<urn:uuid:1>"', undefined, 'sip:a@b', { '+sip.instance': '"<urn:uuid:1>"' }],
    ['<sip:a@b>;x="a;b\\"c,d"', undefined, 'sip:a@b', { x: '"a;b\\"c,d"' }],
    ['<sip:a@b>;received=[2001:db8::1]', undefined, 'sip:a@b', { received: '[2001:db8::1]' }],
    ['<sip:a@b>;', undefined, 'sip:a@b', {}],
  ])('is read: %s', (text, displayName, uri, params) => {
    expect(read(text)).toEqual([displayName, uri, params]);
  });

  it.each([
    ['', 'From: empty'],
    ['"open <sip:a@b>', 'From: display name does not end'],
    ['"name" sip:a@b', 'From: no URI in angle brackets after the display name'],
    ['"name"', 'From: no URI in angle brackets after the display name'],
    ['Bell, A <sip:a@b>', 'From: display name needs quotes'],
    ['jörg <sip:a@b>', 'From: display name needs quotes'],
    ['<sip:a@b', 'From: angle bracket does not close'],
    ['< sip:a@b>', 'bad URI: white space or no scheme'],
    ['<sip:a@b >', 'bad URI: white space or no scheme'],
    ['<>', 'bad URI: white space or no scheme'],
    ['<sip:a@b<c>', 'bad URI: white space or no scheme'],
    ['sip:a@b?x=y', 'From: a URI with comma or question mark needs angle brackets'],
    ['sip:a,b@c', 'From: a URI with comma or question mark needs angle brackets'],
    ['<sip:a@b> x', 'From: text after the value'],
    ['<sip:a@b>;;tag=1', 'From: empty parameter'],
    ['<sip:a@b>;=1', 'From: bad parameter name'],
    ['<sip:a@b>;tag=1;TAG=2', 'From: parameter tag twice'],
    ['<sip:a@b>;x="open', 'From: quoted string of x does not end'],
    ['<sip:a@b>;tag=1,2', 'From: text after the value'],
    ['<sip:a@b>;tag=1 2', 'From: text after the value'],
    ['<sip:a@b>;x=<y>', 'From: text after the value'],
    ['*', 'bad URI: white space or no scheme'],
  ])('that is wrong is refused: %s: %s', (text, why) => {
    expect(() => parseAddress(text, 'From')).toThrow(why);
  });

  it('decodes its URI when asked, and fails then', () => {
    const address = parseAddress('<sip:a@b:port>', 'From');
    expect(() => address.uri).toThrow('bad port');
  });

  it('comes in lists', () => {
    const found = parseAddresses(['<sip:a>, "x, y" <sip:b>;q=1', 'sip:c,<sip:d,e@f>'], 'Route');
    expect(found.map(({ uriText }) => uriText)).toEqual(['sip:a', 'sip:b', 'sip:c', 'sip:d,e@f']);
  });

  it('is written with quotes and brackets', () => {
    expect(writeAddress('sip:a@b', new Map([['tag', '1']]), 'say "hi" \\')).toBe(
      '"say \\"hi\\" \\\\" <sip:a@b>;tag=1',
    );
    expect(() => writeAddress('sip:a@b', undefined, 'a\r\nb')).toThrow('line break');
  });
});

describe('a Via', () => {
  it.each([
    ['SIP/2.0/UDP a.example.com', 'UDP', 'a.example.com', undefined],
    ['SIP/2.0/udp A.Example.com:5062', 'UDP', 'a.example.com', 5062],
    ['SIP / 2.0 / TLS \t a : 5061 ; branch = z9', 'TLS', 'a', 5061],
    ['SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks', 'WSS', 'df7jal23ls0d.invalid', undefined],
    ['SIP/2.0/TCP [2001:DB8::9:1]:5070', 'TCP', '[2001:db8::9:1]', 5070],
    ['SIP/2.0/UDP [::1];received=::2;rport', 'UDP', '[::1]', undefined],
    ['SIP/7.0/UDP c.example.com', 'UDP', 'c.example.com', undefined],
  ])('is read: %s', (text, transport, host, port) => {
    expect(parseVia(text)).toMatchObject({ transport, host, port });
  });

  it.each([
    ['', 'Via: not SIP/2.0/transport sent-by'],
    ['SIP/2.0/UDP', 'Via: not SIP/2.0/transport sent-by'],
    ['SIP/2.0 a', 'Via: not SIP/2.0/transport sent-by'],
    ['HTTP/1.1/TCP a', 'Via: not SIP/2.0/transport sent-by'],
    ['SIP/2.0/UDP a b', 'Via: text after the value'],
    ['SIP/2.0/UDP a:', 'Via: text after the value'],
    ['SIP/2.0/UDP a:b', 'Via: text after the value'],
    ['SIP/2.0/UDP a:65536', 'Via: port out of range'],
    ['SIP/2.0/UDP a:123456', 'Via: text after the value'],
    ['SIP/2.0/UDP [::1', 'Via: not SIP/2.0/transport sent-by'],
    ['SIP/2.0/UDP [x]', 'bad host'],
    ['SIP/2.0/UDP 2001:db8::1', 'Via: text after the value'],
    ['SIP/2.0/UDP a;branch=1;branch=2', 'Via: parameter branch twice'],
  ])('that is wrong is refused: %s: %s', (text, why) => {
    expect(() => parseVia(text)).toThrow(why);
  });

  it('is written', () => {
    const text = 'SIP/2.0/UDP [::1]:5070;branch=z9hG4bKa;rport;received="x"';
    expect(writeVia(parseVia(text))).toBe(text);
  });

  it.each([
    ['192.0.2.1', true],
    ['a.example.com', true],
    ['[2001:db8::1]', true],
    ['255.255.255.255', false],
    ['224.0.1.75', false],
    ['0.0.0.0', false],
    ['[ff02::1]', false],
    ['[::]', false],
  ])('names one host or not: %s: %s', (host, unicast) => {
    expect(isUnicastSentBy(parseVia(`SIP/2.0/UDP ${host}`))).toBe(unicast);
  });
});
