import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/base/errors.js';
import { makeMsrpUri, parseMsrpPath, parseMsrpUri, sameMsrpUri } from '../../src/msrp/uri.js';

const same = (a: string, b: string): boolean => sameMsrpUri(parseMsrpUri(a), parseMsrpUri(b));
const base = 'msrp://host.example.com:8493/asfd34;tcp';

describe('an MSRP URI', () => {
  it('has scheme, host, port, session-id and transport (RFC 4975 §6)', () => {
    expect(parseMsrpUri('msrps://alice@Host.Example.com:8493/asfd34/x+=;TCP;p=1')).toEqual({
      text: 'msrps://alice@Host.Example.com:8493/asfd34/x+=;TCP;p=1',
      secure: true,
      user: 'alice',
      host: 'host.example.com',
      port: 8493,
      sessionId: 'asfd34/x+=',
      transport: 'tcp',
    });
  });

  it('may name a relay without port and session-id, as in an AUTH request (RFC 4976 §5.1)', () => {
    const uri = parseMsrpUri('msrps://intra.example.com;tcp');
    expect([uri.port, uri.sessionId]).toEqual([undefined, undefined]);
  });

  it.each([
    ['the scheme in another case', 'MSRP://host.example.com:8493/asfd34;tcp'],
    ['the host in another case', 'msrp://HOST.example.COM:8493/asfd34;tcp'],
    ['the transport in another case', 'msrp://host.example.com:8493/asfd34;TCP'],
    ['a user part', 'msrp://alice@host.example.com:8493/asfd34;tcp'],
    ['an escaped unreserved character in the host', 'msrp://%68ost.example.com:8493/asfd34;tcp'],
    ['a URI parameter', 'msrp://host.example.com:8493/asfd34;tcp;x=y'],
  ])('is the same with %s (RFC 4975 §6.1)', (_what, other) => {
    expect(same(base, other)).toBe(true);
  });

  it.each([
    ['another scheme', 'msrps://host.example.com:8493/asfd34;tcp'],
    ['another port', 'msrp://host.example.com:8494/asfd34;tcp'],
    ['no port', 'msrp://host.example.com/asfd34;tcp'],
    ['the session-id in another case', 'msrp://host.example.com:8493/ASFD34;tcp'],
    ['no session-id', 'msrp://host.example.com:8493;tcp'],
    ['another transport', 'msrp://host.example.com:8493/asfd34;ws'],
  ])('is another with %s (RFC 4975 §6.1)', (_what, other) => {
    expect(same(base, other)).toBe(false);
  });

  it('compares IPv6 addresses by value, not by spelling', () => {
    expect(same('msrp://[2001:db8:0:0::1]:2855/a;tcp', 'msrp://[2001:DB8::1]:2855/a;tcp')).toBe(true);
  });

  it.each([
    'http://host:1/a;tcp',
    'msrp://host:1/a',
    'msrp://:2855/a;tcp',
    'msrp://host:70000/a;tcp',
    'msrp://host:0/a;tcp',
    'msrp://192.0.2.1/a;tcp',
    'msrp://a:b@host:1/a;tcp',
    'msrp://[::1/a;tcp',
    'msrp://host:1/a b;tcp',
    'msrp://host:1/a;tcp\r\nX: y',
    '',
    `msrp://${'h'.repeat(2000)}:1/a;tcp`,
  ])('is refused when it is %j', (text) => {
    expect(() => parseMsrpUri(text)).toThrow(ParleyError);
  });

  it('is written with brackets around an IPv6 address', () => {
    expect(makeMsrpUri({ secure: true, host: '::1', port: 2855, sessionId: 'x', transport: 'ws' }).text).toBe(
      'msrps://[::1]:2855/x;ws',
    );
  });

  it('stands in a path from the first hop to the last, at most sixteen of them', () => {
    expect(parseMsrpPath('msrp://a:1/x;tcp msrp://b:2/y;tcp').map((uri) => uri.host)).toEqual(['a', 'b']);
    expect(() => parseMsrpPath(Array(17).fill('msrp://a:1/x;tcp').join(' '))).toThrow('too many');
  });
});
