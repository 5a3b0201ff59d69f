import { describe, expect, it } from 'vitest';
import { Headers, isListHeader } from '../../../src/sip/message/headers.js';

const lines = (headers: Headers): string[] => headers.toWire().split('\r\n').slice(0, -1);

function some(): Headers {
  return Headers.from({
    Via: ['SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b', 'SIP/2.0/TCP c'],
    Route: '<sip:r1;lr>, <sip:r2;lr>',
    Subject: 'one, two',
  });
}

describe('header fields', () => {
  it('are found by every spelling: case and compact form do not matter', () => {
    const headers = new Headers();
    headers.push('call-id', 'i', 'x');
    for (const name of ['Call-ID', 'call-id', 'CALL-ID', 'I', 'i', 'cAlL-iD']) {
      expect(headers.get(name)).toBe('x');
      expect(headers.has(name)).toBe(true);
    }
    expect(headers.toWire()).toBe('i: x\r\n');
  });

  it('keep the spelling in which they are set, and get the usual one for a key', () => {
    const headers = Headers.from({ 'X-odd': 1, 'call-id': 'a', 'x-new-thing': 'b', cseq: '1 BYE' });
    expect(lines(headers)).toEqual(['X-odd: 1', 'Call-ID: a', 'X-New-Thing: b', 'CSeq: 1 BYE']);
  });

  it('give the values of a list over all its lines, quotes and brackets respected', () => {
    expect(some().list('v')).toEqual(['SIP/2.0/UDP a;branch=z9hG4bK1', 'SIP/2.0/UDP b', 'SIP/2.0/TCP c']);
    const contact = Headers.from({ Contact: '"a, \\"b" <sip:a,b@c>;x="1,2" , ,<sip:d>,' });
    expect(contact.list('m')).toEqual(['"a, \\"b" <sip:a,b@c>;x="1,2"', '<sip:d>']);
    expect(some().list('Require')).toEqual([]);
    expect(Headers.from({ Supported: '' }).list('Supported')).toEqual([]);
  });

  it('find a token of a list without regard to case', () => {
    const headers = Headers.from({ Supported: ['Path, gruu', 'outbound'] });
    expect(headers.hasToken('k', 'path')).toBe(true);
    expect(headers.hasToken('Supported', 'OUTBOUND')).toBe(true);
    expect(headers.hasToken('Supported', 'gru')).toBe(false);
  });

  it('are set in the place of the first of their name', () => {
    const headers = some();
    headers.set('via', 'SIP/2.0/UDP new');
    expect(lines(headers)).toEqual([
      'Via: SIP/2.0/UDP new',
      'Route: <sip:r1;lr>, <sip:r2;lr>',
      'Subject: one, two',
    ]);
    headers.set('Route', ['<sip:x>', '<sip:y>']);
    expect(lines(headers)).toEqual([
      'Via: SIP/2.0/UDP new',
      'Route: <sip:x>',
      'Route: <sip:y>',
      'Subject: one, two',
    ]);
    headers.set('Route', []);
    expect(headers.has('Route')).toBe(false);
    headers.set('Expires', 0);
    expect(lines(headers).at(-1)).toBe('Expires: 0');
  });

  it('grow at the end with append and before the first of their name with prepend', () => {
    const headers = some();
    headers.append('Route', ['<sip:r3;lr>', '<sip:r4;lr>']);
    headers.prepend('Route', ['<sip:p1>', '<sip:p2>']);
    headers.prepend('Path', '<sip:path>');
    expect(lines(headers)).toEqual([
      'Path: <sip:path>',
      'Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b',
      'Via: SIP/2.0/TCP c',
      'Route: <sip:p1>',
      'Route: <sip:p2>',
      'Route: <sip:r1;lr>, <sip:r2;lr>',
      'Subject: one, two',
      'Route: <sip:r3;lr>',
      'Route: <sip:r4;lr>',
    ]);
  });

  it('lose their first value with shift, and the line with its last value', () => {
    const headers = some();
    expect(headers.shift('Via')).toBe('SIP/2.0/UDP a;branch=z9hG4bK1');
    expect(headers.lines('Via')).toEqual(['SIP/2.0/UDP b', 'SIP/2.0/TCP c']);
    expect(headers.shift('v')).toBe('SIP/2.0/UDP b');
    expect(headers.shift('VIA')).toBe('SIP/2.0/TCP c');
    expect(headers.shift('Via')).toBeUndefined();
    expect(headers.has('Via')).toBe(false);
  });

  it('shift over lines that hold no value', () => {
    const headers = Headers.from({ Route: ['', ' , ', '<sip:a>'] });
    expect(headers.shift('Route')).toBe('<sip:a>');
    expect(headers.has('Route')).toBe(false);
  });

  it('have their first value replaced, the others of the line left', () => {
    const headers = some();
    headers.replaceFirst('Via', 'SIP/2.0/UDP x');
    headers.replaceFirst('Path', '<sip:p>');
    expect(headers.lines('Via')).toEqual(['SIP/2.0/UDP x, SIP/2.0/UDP b', 'SIP/2.0/TCP c']);
    expect(lines(headers)[0]).toBe('Path: <sip:p>');
  });

  it('are removed, copied and cloned line by line', () => {
    const headers = some();
    const copy = headers.clone();
    expect(headers.remove('via')).toBe(true);
    expect(headers.remove('via')).toBe(false);
    expect(copy.lines('Via')).toHaveLength(2);
    headers.copyFrom(copy, 'v');
    expect(headers.lines('Via')).toEqual(copy.lines('Via'));
    headers.assign({ Subject: undefined, Route: '<sip:z>' });
    expect(headers.get('Subject')).toBe('one, two');
    expect([...headers].map(([key, name]) => [key, name])).toEqual([
      ['route', 'Route'],
      ['subject', 'Subject'],
      ['via', 'Via'],
      ['via', 'Via'],
    ]);
  });

  it('leave Content-Length to the serializer', () => {
    expect(Headers.from({ 'Content-Length': 99, Subject: 'x' }).toWire()).toBe('Subject: x\r\n');
  });

  it.each(['a\r\nEvil: 1', 'a\nEvil: 1', 'a\rEvil: 1', '\r\n'])(
    'take no line break from a caller: %j',
    (value) => {
      const headers = some();
      const before = headers.toWire();
      const attempts = [
        () => headers.set('Subject', value),
        () => headers.set('Organization', value),
        () => headers.set('Route', ['<sip:a>', value]),
        () => headers.append('Subject', value),
        () => headers.append('Subject', ['x', value]),
        () => headers.prepend('Via', value),
        () => headers.prepend('Via', [value]),
        () => headers.replaceFirst('Via', value),
        () => headers.replaceFirst('Path', value),
        () => headers.assign({ Subject: value }),
        () => Headers.from({ Subject: value }),
      ];
      for (const attempt of attempts)
        expect(attempt).toThrow(/bad header field: [\w-]+: line break in the value/);
      expect(headers.toWire()).toBe(before);
    },
  );

  it.each(['', 'a b', 'a:', 'a\r\nb', 'ä', 'a\0'])('take no name that is not a token: %j', (name) => {
    expect(() => new Headers().set(name, 'x')).toThrow('not a header field name');
    expect(() => new Headers().append(name, 'x')).toThrow('not a header field name');
    expect(() => new Headers().prepend(name, 'x')).toThrow('not a header field name');
  });

  it('know which of them are lists', () => {
    expect(['Via', 'm', 'Supported', 'Path'].map(isListHeader)).toEqual([true, true, true, true]);
    expect(['Subject', 'Date', 'f', 'X-Unknown'].map(isListHeader)).toEqual([false, false, false, false]);
  });
});
