import { describe, expect, it } from 'vitest';
import {
  clientKey,
  formatClientIdFields,
  parseClientIdFields,
  readClientId,
} from '../../../src/imps/address/client-id.js';
import { ownerOf, parseResourceId, parseUserId } from '../../../src/imps/address/wv-address.js';
import { element } from '../../../src/imps/codec/element.js';

describe('an address', () => {
  it.each([
    ['wv:ada@example.net', 'wv:ada@example.net'],
    ['WV:Ada@Example.NET', 'wv:ada@example.net'],
    ['ada', 'wv:ada@home.test'],
    ['ada@example.net', 'wv:ada@example.net'],
    ['wv:+46701234567', 'wv:+46701234567@home.test'],
    ['wv:john doe@example.net', 'wv:john doe@example.net'],
  ])('of a user "%s" is %s', (text, canonical) => {
    expect(parseUserId(text, 'home.test')).toBe(canonical);
  });

  it.each([
    '',
    'wv:',
    'wv:@example.net',
    'wv:ada@',
    'wv:a+b@example.net',
    'wv:+4670x@example.net',
    'wv:ada/friends@example.net',
    'wv:ädä@example.net',
    'wv:a\tb@example.net',
    `wv:${'a'.repeat(200)}@example.net`,
  ])('of a user is not "%s"', (text) => {
    expect(parseUserId(text, 'home.test')).toBeUndefined();
  });

  it('of a list or group names its owner, and a group of the server has none', () => {
    const list = parseResourceId('wv:Ada/~PEP1.0_x@example.net', 'home.test');
    expect(list).toBe('wv:ada/~pep1.0_x@example.net');
    expect(ownerOf(list!)).toBe('wv:ada@example.net');
    const group = parseResourceId('/managers', 'home.test');
    expect(group).toBe('wv:/managers@home.test');
    expect(ownerOf(group!)).toBeUndefined();
    expect(parseResourceId('wv:ada@example.net', 'home.test')).toBeUndefined();
    expect(parseResourceId('wv:ada/@example.net', 'home.test')).toBeUndefined();
    expect(parseResourceId('wv:ada/a/b@example.net', 'home.test')).toBeUndefined();
  });
});

describe('a Client-ID', () => {
  it('of the implementation guidelines has its six fields', () => {
    const example = 'wv:ZOMI2.0.*$NoWire@FLY.X95.384759';
    const fields = {
      softwareName: 'ZOMI',
      softwareVersion: '2.0.*',
      operator: 'NoWire',
      vendor: 'FLY',
      model: 'X95',
      uniqueId: '384759',
    };
    expect(parseClientIdFields(example)).toEqual(fields);
    expect(formatClientIdFields(fields)).toBe(example);
  });

  it.each([
    ['wv:IM2Go1.0$op@v.m.1', 'IM2Go', '1.0'],
    ['wv:IM2$op@v.m.1', 'IM', '2'],
    ['wv:Chat$op@v.m.1', 'Chat', ''],
    ['wv:2Go-x$op@v.m.1', '2Go-x', ''],
  ])('%s has software %s of version "%s"', (text, name, version) => {
    expect(parseClientIdFields(text)).toMatchObject({ softwareName: name, softwareVersion: version });
  });

  it('may have dots in the model, which lies between the first and the last dot', () => {
    expect(parseClientIdFields('wv:A1$o@v.m.2.b.99')).toMatchObject({
      vendor: 'v',
      model: 'm.2.b',
      uniqueId: '99',
    });
  });

  it.each([
    'JiMMY',
    'http://www.example.net/client/1',
    'WV:InstantMessenger-1@COLIBRIA.PC-CLIENT',
    'wv:A1$o@v.1',
    'wv:A1$o@v.m.',
    'wv:$o@v.m.1',
  ])('%s is valid without having the recommended form', (text) => {
    expect(parseClientIdFields(text)).toBeUndefined();
    expect(readClientId(element('Login-Request', element('ClientID', element('URL', text))))).toEqual({
      url: text,
      msisdn: undefined,
    });
  });

  it('is told apart by its URI alone, exactly as written, and by the number only without one', () => {
    const of = (url: string | undefined, msisdn: string | undefined): string => clientKey({ url, msisdn });
    expect(of('wv:a', '+461')).toBe(of('wv:a', undefined));
    expect(of('wv:a', undefined)).not.toBe(of('wv:A', undefined));
    expect(of(undefined, '+461')).not.toBe(of(undefined, '+462'));
  });

  it('is none when empty or over 255 characters', () => {
    const read = (text: string) => readClientId(element('x', element('ClientID', element('URL', text))));
    expect(read('')).toBeUndefined();
    expect(read('u'.repeat(256))).toBeUndefined();
    expect(readClientId(element('x'))).toBeUndefined();
  });
});
