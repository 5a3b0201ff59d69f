import { describe, expect, it } from 'vitest';
import {
  acceptsType,
  contentIdOfUri,
  defaultDisposition,
  mediaParam,
  parseContentId,
  parseDisposition,
  parseMediaType,
} from '../../../src/sip/message/content.js';
import { parseDate, writeDate } from '../../../src/sip/message/date.js';
import { escapeHeaderValue, escapeUser, unescape } from '../../../src/sip/message/escapes.js';
import {
  parseEvent,
  parseSubscriptionState,
  sameEvent,
  writeSubscriptionState,
} from '../../../src/sip/message/event.js';
import { parseReasons, writeReason } from '../../../src/sip/message/reason.js';
import { parseReferTo } from '../../../src/sip/message/refer-to.js';
import { parseRAck, parseRSeq, writeRAck } from '../../../src/sip/message/reliability.js';
import { parseReplaces, writeReplaces } from '../../../src/sip/message/replaces.js';
import {
  parseMinSE,
  parseSessionExpires,
  writeSessionExpires,
} from '../../../src/sip/message/session-timer.js';
import { deltaSeconds, parseExpires, retryAfterSeconds } from '../../../src/sip/message/times.js';
import { isHonoured, parseUriHeaders, writeUriHeaders } from '../../../src/sip/message/uri-headers.js';
import { parseWarning, writeWarning } from '../../../src/sip/message/warning.js';

describe('Date', () => {
  it('is GMT (RFC 3261 §20.17)', () => {
    expect(parseDate('Sat, 13 Nov 2010 23:29:00 GMT')).toBe(1289690940000);
    expect(writeDate(1289690940000)).toBe('Sat, 13 Nov 2010 23:29:00 GMT');
    expect(parseDate('Thu, 29 Feb 2024 00:00:00 GMT')).toBe(1709164800000);
  });

  it.each([
    'Fri, 01 Jan 2010 16:00:00 EST',
    'Fri, 01 Jan 2010 16:00:00 UTC',
    'Fri, 1 Jan 2010 16:00:00 GMT',
    'Thu, 30 Feb 2010 16:00:00 GMT',
    'Fri, 01 Jan 2010 24:00:00 GMT',
    'Fri, 01 Jan 2010 10:60:00 GMT',
    'Friday, 01 Jan 2010 16:00:00 GMT',
    '2010-01-01T16:00:00Z',
    '',
  ])('is nothing when it is not: %s', (text) => {
    expect(parseDate(text)).toBeUndefined();
  });
});

describe('seconds', () => {
  it('go from 0 to 2**32 - 1', () => {
    expect(['0', '007', '4294967295', ' 5 '].map(deltaSeconds)).toEqual([0, 7, 4294967295, 5]);
    expect(['4294967296', '-1', '1.5', '', '1e3', '0x10', '9'.repeat(400)].map(deltaSeconds)).toEqual(
      Array(7).fill(undefined),
    );
  });

  it('of a malformed Expires are 3600 (RFC 3261 §20.10)', () => {
    expect([parseExpires('60'), parseExpires('soon'), parseExpires('1' + '0'.repeat(100))]).toEqual([
      60, 3600, 3600,
    ]);
  });

  it('of Retry-After come before comment and parameters (RFC 3261 §20.33)', () => {
    expect(
      ['18000;duration=3600', "120 (I'm in a meeting)", '5', '', 'x', '9'.repeat(30)].map(retryAfterSeconds),
    ).toEqual([18000, 120, 5, undefined, undefined, undefined]);
  });
});

describe('Warning', () => {
  it('has code, agent and text (RFC 3261 §20.43)', () => {
    const text = '301 isi.edu:5060 "Incompatible \\"network\\" address type \'E.164\'"';
    expect(parseWarning(text)).toEqual({
      code: 301,
      agent: 'isi.edu:5060',
      text: 'Incompatible "network" address type \'E.164\'',
    });
    expect(writeWarning(parseWarning(text))).toBe(text);
    expect(writeWarning({ code: 9, agent: 'a', text: 'x' })).toBe('009 a "x"');
  });

  it.each(['1812 a "x"', '30 a "x"', '399 a', '399 a x', '399 a "x', '399 a "x" y', '399  "x"', ''])(
    'is refused: %s',
    (text) => {
      expect(() => parseWarning(text)).toThrow('Warning: ');
    },
  );
});

describe('Session-Expires and Min-SE', () => {
  it('hold seconds and who refreshes (RFC 4028 §4, §5)', () => {
    expect(parseSessionExpires('4000;refresher=UAC')).toEqual({ interval: 4000, refresher: 'uac' });
    expect(parseSessionExpires('90 ;x=y')).toEqual({ interval: 90, refresher: undefined });
    expect(writeSessionExpires({ interval: 90, refresher: 'uas' })).toBe('90;refresher=uas');
    expect(writeSessionExpires({ interval: 90, refresher: undefined })).toBe('90');
    expect(parseMinSE('120;x')).toBe(120);
  });

  it('are refused', () => {
    expect(() => parseSessionExpires('90;refresher=me')).toThrow('refresher is neither uac nor uas');
    expect(() => parseSessionExpires('soon')).toThrow('Session-Expires: not a number of seconds');
    expect(() => parseMinSE('')).toThrow('Min-SE: not a number of seconds');
  });
});

describe('RAck and RSeq', () => {
  it('are numbers and a method (RFC 3262 §7)', () => {
    expect(parseRAck('776656 1 INVITE')).toEqual({ rseq: 776656, cseq: 1, method: 'INVITE' });
    expect(writeRAck({ rseq: 776656, cseq: 1, method: 'INVITE' })).toBe('776656 1 INVITE');
    expect([parseRSeq('1'), parseRSeq('4294967295')]).toEqual([1, 4294967295]);
  });

  it.each(['0', '4294967296', '-1', 'x', ''])('RSeq is refused: %s', (text) => {
    expect(() => parseRSeq(text)).toThrow('RSeq');
  });

  it.each(['1 INVITE', '0 1 INVITE', '1 1', '1 4294967296 INVITE', '1 1 INVITE x', ''])(
    'RAck is refused: %s',
    (text) => {
      expect(() => parseRAck(text)).toThrow('RAck');
    },
  );
});

describe('Replaces', () => {
  it('names a dialog by its Call-ID and tags (RFC 3891 §6.1)', () => {
    expect(parseReplaces('12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only')).toEqual({
      callId: '12adf2f34456gs5',
      toTag: '12345',
      fromTag: '54321',
      earlyOnly: true,
    });
    const text = '87134@171.161.34.23;to-tag=24796;from-tag=0';
    expect(writeReplaces(parseReplaces(text))).toBe(text);
  });

  it.each([
    '',
    ';to-tag=1;from-tag=2',
    'a;to-tag=1',
    'a;from-tag=1',
    'a b;to-tag=1;from-tag=2',
    'a;to-tag=1;to-tag=2;from-tag=3',
  ])('is refused: %s', (text) => {
    expect(() => parseReplaces(text)).toThrow('Replaces: ');
  });
});

describe('Reason', () => {
  it('gives protocol, cause and text, several over several lines (RFC 3326 §2)', () => {
    expect(
      parseReasons([
        'SIP ;cause=200 ;text="Call completed elsewhere"',
        'Q.850 ;cause=16 ;text="Terminated", preemption',
      ]),
    ).toEqual([
      { protocol: 'SIP', cause: 200, text: 'Call completed elsewhere' },
      { protocol: 'Q.850', cause: 16, text: 'Terminated' },
      { protocol: 'preemption', cause: undefined, text: undefined },
    ]);
    expect(writeReason({ protocol: 'SIP', cause: 200, text: 'Call completed elsewhere' })).toBe(
      'SIP;cause=200;text="Call completed elsewhere"',
    );
  });

  it.each(['SIP;cause=', 'SIP;cause', 'SIP;cause=x', ';cause=1', 'SIP cause=1'])('is refused: %s', (text) => {
    expect(() => parseReasons([text])).toThrow('Reason: ');
  });
});

describe('Event and Subscription-State', () => {
  it('are compared by package and id (RFC 6665 §8.2.1)', () => {
    const event = parseEvent('presence.winfo; id=7 ;x');
    expect([event.type, event.id, event.params.has('x')]).toEqual(['presence.winfo', '7', true]);
    expect(sameEvent(event, parseEvent('presence.winfo;id=7'))).toBe(true);
    expect(sameEvent(event, parseEvent('presence.winfo;id=8'))).toBe(false);
    expect(sameEvent(event, parseEvent('presence.winfo'))).toBe(false);
    expect(() => parseEvent('')).toThrow('Event: no event type');
    expect(() => parseEvent('reg x')).toThrow('Event: text after the value');
  });

  it('say how long and why (RFC 6665 §8.2.3)', () => {
    expect(parseSubscriptionState('Terminated;reason=Probation;retry-after=60')).toEqual({
      state: 'terminated',
      expires: undefined,
      reason: 'probation',
      retryAfter: 60,
    });
    const text = 'active;expires=3600';
    expect(writeSubscriptionState(parseSubscriptionState(text))).toBe(text);
    const quoted = 'terminated;reason="a;b"';
    expect(writeSubscriptionState(parseSubscriptionState(quoted))).toBe(quoted);
    expect(() => parseSubscriptionState('active;expires=soon')).toThrow('expires is not a number of seconds');
    expect(() => parseSubscriptionState(';expires=1')).toThrow('no state');
  });
});

describe('Content-Type, Content-Disposition, Content-ID, Accept', () => {
  it('read a media type with its parameters', () => {
    const media = parseMediaType('Message/CPIM ; Charset="utf-8"');
    expect([media.type, mediaParam(media, 'charset'), mediaParam(media, 'x')]).toEqual([
      'message/cpim',
      'utf-8',
      undefined,
    ]);
    expect(() => parseMediaType('text')).toThrow('Content-Type: not a media type');
    expect(() => parseMediaType('text/plain x')).toThrow('Content-Type: text after the value');
  });

  it('read a disposition, whose handling is required unless it says optional', () => {
    expect(parseDisposition('Recipient-List; handling=Optional')).toMatchObject({
      type: 'recipient-list',
      handling: 'optional',
    });
    expect(parseDisposition('session').handling).toBe('required');
    expect(defaultDisposition('application/sdp').type).toBe('session');
    expect(defaultDisposition('text/plain').type).toBe('render');
    expect(() => parseDisposition('')).toThrow('no disposition type');
  });

  it('find a part by the URI of its Content-ID (RFC 2392 §2)', () => {
    expect(parseContentId('<1234567890@atlanta.example.com>')).toBe('1234567890@atlanta.example.com');
    expect(contentIdOfUri('cid:1234567890%40atlanta.example.com')).toBe('1234567890@atlanta.example.com');
    expect(contentIdOfUri('sip:a@b')).toBeUndefined();
    expect(() => parseContentId('a@b')).toThrow('Content-ID');
  });

  it('accept SDP alone without Accept, nothing with an empty one (RFC 3261 §20.1)', () => {
    expect(acceptsType([], 'application/sdp')).toBe(true);
    expect(acceptsType([], 'text/plain')).toBe(false);
    expect(acceptsType([''], 'application/sdp')).toBe(false);
    expect(acceptsType(['text/*, application/sdp;q=0'], 'text/plain')).toBe(true);
    expect(acceptsType(['*/*, application/sdp;q=0'], 'application/sdp')).toBe(false);
    expect(acceptsType(['text/html', '*/*;q=0.1'], 'application/sdp')).toBe(true);
  });
});

describe('escapes and URI header fields', () => {
  it('are undone once, octets read as UTF-8', () => {
    expect(unescape('%41%25%34%31')).toBe('A%41');
    expect(unescape('%E2%82%AC%')).toBe('€%');
    expect(unescape('100%zz')).toBe('100%zz');
    expect(escapeUser('+1;ext=5 é@#')).toBe('+1;ext=5%20%C3%A9%40%23');
    expect(escapeHeaderValue('a@b;to-tag=1 "x" &')).toBe('a%40b%3Bto-tag%3D1%20%22x%22%20%26');
  });

  it('are read with their names expanded and written escaped', () => {
    const raw = writeUriHeaders([
      ['Replaces', '12345@192.168.118.3;to-tag=12345;from-tag=5FFE-3994'],
      ['s', 'a&b'],
    ]);
    expect(raw).toBe('Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994&s=a%26b');
    expect(parseUriHeaders(raw)).toEqual([
      { key: 'replaces', name: 'Replaces', value: '12345@192.168.118.3;to-tag=12345;from-tag=5FFE-3994' },
      { key: 'subject', name: 's', value: 'a&b' },
    ]);
    expect(parseUriHeaders('')).toEqual([]);
  });

  it('cannot smuggle header fields in', () => {
    expect(() => parseUriHeaders('Subject=x%0D%0AEvil:%201')).toThrow('line break in header field Subject');
    expect(() => parseUriHeaders('Sub%0Aject=x')).toThrow('bad header field name');
    expect(() => parseUriHeaders('a&&b')).toThrow('bad header field name');
    expect(parseUriHeaders('body=a%0D%0Ab')[0]?.value).toBe('a\r\nb');
  });

  it('are honoured unless they forge who asks or where it goes (RFC 3261 §19.1.5)', () => {
    const honoured = parseUriHeaders('f=x&Route=y&Replaces=z&User-Agent=u&Accept-Contact=*&Subject=s').filter(
      isHonoured,
    );
    expect(honoured.map(({ key }) => key)).toEqual(['replaces', 'accept-contact', 'subject']);
  });
});

describe('Refer-To', () => {
  it('gives target, method and header fields (RFC 3515 §2.1)', () => {
    expect(
      parseReferTo(
        '<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>',
      ),
    ).toMatchObject({
      method: 'INVITE',
      target: 'sip:dave@denver.example.org',
      headers: [{ key: 'replaces', value: '12345@192.168.118.3;to-tag=12345;from-tag=5FFE-3994' }],
    });
    expect(parseReferTo('<sip:carol@cleveland.example.org;method=SUBSCRIBE>')).toMatchObject({
      method: 'SUBSCRIBE',
      target: 'sip:carol@cleveland.example.org',
      headers: [],
    });
    expect(parseReferTo('http://www.ietf.org')).toMatchObject({ target: 'http://www.ietf.org', headers: [] });
    expect(() => parseReferTo('<nonsense>')).toThrow('bad URI');
  });
});
