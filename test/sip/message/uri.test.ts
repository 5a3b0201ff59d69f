import { describe, expect, it } from 'vitest';
import { parseUri, sameUri } from '../../../src/sip/message/uri.js';

const same = (a: string, b: string): boolean => sameUri(parseUri(a), parseUri(b));

describe('a SIP URI', () => {
  it('is taken apart', () => {
    const uri = parseUri(
      'sip:alice:se%63ret@Example.COM:5070;Transport=TCP;lr?Subject=a%20b&Priority=urgent',
    );
    expect(uri).toMatchObject({
      scheme: 'sip',
      user: 'alice',
      password: 'se%63ret',
      host: 'example.com',
      port: 5070,
      headers: 'Subject=a%20b&Priority=urgent',
    });
    expect([...uri.params]).toEqual([
      ['transport', 'TCP'],
      ['lr', null],
    ]);
    expect(uri.param('lr')).toBe('');
    expect(uri.param('maddr')).toBeUndefined();
  });

  it.each([
    'sip:alice@example.com',
    'sips:example.com',
    'sip:+1-212-555-1212:1234@gateway.com;user=phone',
    'sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com',
    'sip:alice;day=tuesday@atlanta.com',
    'sip:[2001:db8::10]',
    'sip:[2001:db8::9:1]:5070;lr=on',
    'sip:[::ffff:192.0.2.10]',
    'sip:user@192.0.2.4:5060;lr',
    'sip:alice@ims.test;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
    'sip:what?ever@example.com',
    'sip:a_b@under_score.example.com.',
  ])('is written as it was read: %s', (text) => {
    expect(parseUri(text).toString()).toBe(text);
  });

  it('has the user part up to the only @, with ; and ? in it (RFC 3261 §19.1.1)', () => {
    expect(parseUri('sip:alice;day=tuesday@atlanta.com')).toMatchObject({ user: 'alice;day=tuesday' });
    expect(parseUri('sip:what?a=b@atlanta.com')).toMatchObject({ user: 'what?a=b', host: 'atlanta.com' });
  });

  it('keeps lr=on, the way older proxies write lr', () => {
    expect(parseUri('sip:p1.example.com;lr=on').param('lr')).toBe('on');
  });

  it.each([
    ['sip:', 'bad host'],
    ['sip:@example.com', 'bad user part'],
    ['sip:a@b@c', 'bad host'],
    ['sip:alice@', 'bad host'],
    ['sip:alice@exa mple.com', 'bad host'],
    ['sip:al ice@example.com', 'bad user part'],
    ['sip:al%2gice@example.com', 'bad user part'],
    ['sip:al%', 'bad host'],
    ['sip:é@example.com', 'bad user part'],
    ['sip:a:pass word@example.com', 'bad password'],
    ['sip:example.com:', 'bad port'],
    ['sip:example.com:65536', 'bad port'],
    ['sip:example.com:99999999999999999999', 'bad port'],
    ['sip:example.com:-1', 'bad port'],
    ['sip:[2001:db8::10', 'bad host'],
    ['sip:[2001:db8::10::1]', 'bad host'],
    ['sip:[fe80::1%25eth0]', 'bad host'],
    ['sip:[1.2.3.4]', 'bad host'],
    ['sip:2001:db8::10', 'bad port'],
    ['sip:example.com;', 'bad URI parameter'],
    ['sip:example.com;;lr', 'bad URI parameter'],
    ['sip:example.com;=x', 'bad URI parameter'],
    ['sip:example.com;x=', 'bad URI parameter'],
    ['sip:example.com;lr;LR', 'URI parameter lr twice'],
    ['sip:example.com;lr;%6C%72', 'URI parameter lr twice'],
    ['sip:example.com;n%6%61=x', 'bad URI parameter'],
    ['sip:example.com?Subject=<x>', 'bad URI header'],
    ['sip:example.com\r\nEvil: 1', 'bad host'],
    ['tel:+1 2', 'character not allowed'],
    ['1sip:example.com', 'no scheme'],
    ['example.com', 'no scheme'],
    ['', 'no scheme'],
  ])('that is wrong is refused: %j: %s', (text, why) => {
    expect(() => parseUri(text)).toThrow(`bad URI: ${why}`);
  });

  it('of another scheme is kept as text', () => {
    expect(parseUri('TEL:+1-201-555-0123;phone-context=x')).toMatchObject({
      scheme: 'tel',
      opaque: '+1-201-555-0123;phone-context=x',
      isSip: false,
    });
    expect(parseUri('urn:service:sos').toString()).toBe('urn:service:sos');
  });

  describe('is compared as RFC 3261 §19.1.4 says', () => {
    it.each([
      ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtLanTa.CoM;Transport=tcp'],
      ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
      ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
      [
        'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
        'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
      ],
      [
        'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
        'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
      ],
      ['SIP:bob@biloxi.com', 'sip:bob@biloxi.com'],
      ['sip:a:%70w@x.com', 'sip:a:pw@x.com'],
    ])('%s equals %s', (a, b) => {
      expect([same(a, b), same(b, a)]).toEqual([true, true]);
    });

    it.each([
      ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
      ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
      ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
      ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
      ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
      ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
      ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
      ['sip:bob@biloxi.com', 'sips:bob@biloxi.com'],
      ['sip:biloxi.com', 'sip:bob@biloxi.com'],
      ['sip:bob:@biloxi.com', 'sip:bob@biloxi.com'],
      ['sip:bob@biloxi.com;maddr=1.2.3.4', 'sip:bob@biloxi.com'],
      ['sip:bob@biloxi.com;user=ip', 'sip:bob@biloxi.com'],
      ['sip:a%40b@biloxi.com', 'sip:a%41b@biloxi.com'],
      ['tel:+1', 'tel:+2'],
    ])('%s differs from %s', (a, b) => {
      expect([same(a, b), same(b, a)]).toEqual([false, false]);
    });
  });

  it('can be copied and changed without changing the first', () => {
    const uri = parseUri('sip:a@b.c;lr');
    const copy = uri.clone();
    copy.params.delete('lr');
    copy.user = 'x';
    expect([uri.toString(), copy.toString()]).toEqual(['sip:a@b.c;lr', 'sip:x@b.c']);
  });

  it('without parameters takes one later, and its copy does without', () => {
    const uri = parseUri('sip:alice@ims.test');
    const copy = uri.clone();
    uri.params.set('lr', null);
    expect([String(uri), String(copy)]).toEqual(['sip:alice@ims.test;lr', 'sip:alice@ims.test']);
    expect([uri.param('lr'), copy.param('lr'), copy.params.size]).toEqual(['', undefined, 0]);
  });
});
