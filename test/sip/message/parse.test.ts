import { describe, expect, it } from 'vitest';
import { defaultLimits, parseDatagram, type ParseLimits } from '../../../src/sip/message/parse.js';
import { serialize } from '../../../src/sip/message/serialize.js';
import type { SipRequest } from '../../../src/sip/message/message.js';

const register = [
  'REGISTER sip:ims.test SIP/2.0',
  'v: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKabc;rport, SIP/2.0/TCP 10.0.0.1',
  'Max-Forwards: 70',
  'f: "Alice \\"A\\" <x>" <sip:alice@ims.test>;tag=1',
  'To: sip:alice@ims.test',
  'Call-ID: a@b',
  'CSeq: 1 REGISTER',
  'Contact: <sip:alice@127.0.0.1:5070>;+sip.instance="<urn:uuid:3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40>"',
  'Subject: one',
  '  two',
  'Content-Length: 2',
  '',
  'hi',
].join('\r\n');

function request(text: string | Buffer): SipRequest {
  const parsed = parseDatagram(Buffer.from(text as string));
  if (parsed.kind !== 'request') throw new Error(JSON.stringify(parsed));
  return parsed.message;
}

/** Status and reason of a refusal, and the method of what can be answered. */
function refusal(text: string | Buffer, limits?: ParseLimits): [number, string, string | undefined] {
  const parsed = parseDatagram(Buffer.from(text as string), limits);
  if (parsed.kind !== 'malformed') throw new Error(`a good ${parsed.kind}`);
  return [parsed.status, parsed.why, parsed.request?.method];
}

describe('the parser', () => {
  it('reads compact forms, folding, quoted display names and several values a line', () => {
    const message = request(register);
    expect(message.method).toBe('REGISTER');
    expect(message.via).toMatchObject({ transport: 'UDP', host: '127.0.0.1', port: 5070 });
    expect(message.headers.list('Via')).toHaveLength(2);
    expect(message.from.displayName).toBe('Alice "A" <x>');
    expect(message.fromTag).toBe('1');
    expect(message.get('Subject')).toBe('one two');
    expect(message.contacts[0]?.params.get('+sip.instance')).toBe(
      '"<urn:uuid:3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40>"',
    );
    expect(Buffer.from(message.body).toString()).toBe('hi');
  });

  it('writes a message as it was read, but for folding, with Content-Length last', () => {
    const lines = serialize(request(register)).toString().split('\r\n');
    expect(lines[1]).toBe('v: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKabc;rport, SIP/2.0/TCP 10.0.0.1');
    expect(lines.at(-3)).toBe('Content-Length: 2');
    expect(lines.at(-1)).toBe('hi');
  });

  it('keeps octets that are not UTF-8', () => {
    const [head, tail] = register.split('one');
    const data = Buffer.concat([Buffer.from(head!), Buffer.from([0xff, 0xfe]), Buffer.from(tail!)]);
    expect(serialize(request(data)).includes(Buffer.from([0xff, 0xfe]))).toBe(true);
  });

  it('reads UTF-8 as characters and trims no white space but SP and HT', () => {
    const message = request(register.replace('Subject: one', 'Subject: \t\u00a0Füße\u00a0 \t'));
    expect(message.get('Subject')).toBe('\u00a0Füße\u00a0 \t two');
    const plain = request(register.replace('Subject: one\r\n  two', 'Subject: \t\ufeffx\u00a0 \t'));
    expect(plain.get('Subject')).toBe('\ufeffx\u00a0');
  });

  it('takes white space before the colon and any case of names', () => {
    const message = request(register.replace('To:', 'tO \t:').replace('CSeq:', 'CSEQ :'));
    expect(message.to.uriText).toBe('sip:alice@ims.test');
    expect(message.cseq.number).toBe(1);
  });

  it('takes a body up to the end without Content-Length, and CRLFs before the request', () => {
    expect(request(`\r\n\r\n${register.replace('Content-Length: 2\r\n', '')} there`).body.toString()).toBe(
      'hi there',
    );
  });

  it('takes any case of SIP/2.0', () => {
    expect(request(register.replace('SIP/2.0', 'sip/2.0')).method).toBe('REGISTER');
    const answer = register.replace(/^.*/, 'sip/2.0 200 OK');
    expect(parseDatagram(Buffer.from(answer))).toMatchObject({ kind: 'response', message: { status: 200 } });
  });

  it('tells a wildcard Contact from addresses', () => {
    const message = request(register.replace(/Contact:.*/, 'Contact: *'));
    expect([message.hasWildcardContact, message.contacts]).toEqual([true, []]);
    expect(request(register).hasWildcardContact).toBe(false);
    const both = request(register.replace('Contact:', 'm: *\r\nContact:'));
    expect(() => both.contacts).toThrow('bad URI');
    const listed = request(register.replace('Contact:', 'm: *,'));
    expect(() => listed.contacts).toThrow('bad URI');
  });

  it.each<[string, string | RegExp, string, number, string]>([
    [
      'no CSeq number',
      'CSeq: 1',
      'CSeq: one',
      400,
      'bad header field: CSeq: not a number below 2**31 and a method',
    ],
    [
      'CSeq too large',
      'CSeq: 1',
      'CSeq: 2147483648',
      400,
      'bad header field: CSeq: not a number below 2**31 and a method',
    ],
    ['no Via', /v:.*\r\n/, '', 400, 'not a SIP request'],
    ['no From', /f:.*\r\n/, '', 400, 'no From header field'],
    ['no To', /To:.*\r\n/, '', 400, 'no To header field'],
    ['no Call-ID', /Call-ID:.*\r\n/, '', 400, 'no Call-ID header field'],
    ['no CSeq', /CSeq:.*\r\n/, '', 400, 'no CSeq header field'],
    ['empty Via', /v:.*\r\n/, 'v:\r\n', 400, 'bad header field: Via: not SIP/2.0/transport sent-by'],
    ['empty Call-ID', 'a@b', '', 400, 'bad Call-ID'],
    ['Call-ID with a space', 'a@b', 'a b', 400, 'bad Call-ID'],
    ['an empty tag', 'tag=1', 'tag=', 400, 'empty tag'],
    ['two From', 'To:', 'From: <sip:x>;tag=2\r\nTo:', 400, 'more than one From header field'],
    ['two To', 'To:', 't: <sip:x>\r\nTo:', 400, 'more than one To header field'],
    ['Max-Forwards too large', ': 70', ': 256', 400, 'bad header field: Max-Forwards: not a number in range'],
    ['negative Max-Forwards', ': 70', ': -1', 400, 'bad header field: Max-Forwards: not a number in range'],
    ['two Max-Forwards', 'To:', 'Max-Forwards: 1\r\nTo:', 400, 'more than one Max-Forwards header field'],
    ['a body too short', 'Length: 2', 'Length: 9', 400, 'body shorter than Content-Length'],
    ['two lengths', 'Subject', 'l: 3\r\nSubject', 400, 'more than one Content-Length header field'],
    ['a length that is none', 'Length: 2', 'Length: 0x2', 400, 'Content-Length is not a number'],
    ['a huge length', 'Length: 2', `Length: ${'9'.repeat(500)}`, 400, 'Content-Length is not a number'],
    ['a line without colon', 'Subject: one', 'Subject one', 400, 'header field without colon'],
    ['a name that is no token', 'Subject:', 'Sub ject:', 400, 'bad header field name'],
    ['an empty name', 'Subject:', ':', 400, 'bad header field name'],
    ['a folded first line', 'v:', ' v:', 400, 'not a SIP request'],
    ['a bare LF', 'Subject: one', 'Subject: o\nEvil: 1', 400, 'control character in Subject'],
    ['a bare CR', 'Subject: one', 'Subject: o\rEvil: 1', 400, 'control character in Subject'],
    ['a NUL', 'Subject: one', 'Subject: o\0e', 400, 'control character in Subject'],
    ['no empty line', /\r\n\r\nhi$/, '', 400, 'no empty line after the header fields'],
    ['another method in CSeq', '1 REGISTER', '1 INVITE', 400, 'CSeq method is not the request method'],
    ['a method in lower case', '1 REGISTER', '1 register', 400, 'CSeq method is not the request method'],
    ['version 3.0', 'SIP/2.0', 'SIP/3.0', 505, 'version not supported'],
    ['no version', ' SIP/2.0', '', 400, 'request line without URI and version'],
    ['another protocol', 'SIP/2.0', 'HTTP/1.1', 400, 'request line without SIP version'],
    ['a tab in the request line', 'REGISTER sip', 'REGISTER\tsip', 400, 'not a SIP request'],
    ['leading spaces', 'REGISTER sip', ' REGISTER sip', 400, 'not a SIP request'],
    ['two spaces', 'REGISTER sip', 'REGISTER  sip', 400, 'extra spaces in the request line'],
    ['spaces at the end', 'test SIP/2.0', 'test SIP/2.0 ', 400, 'extra spaces in the request line'],
    ['a bad Request-URI', 'sip:ims.test', 'sip:ims.test:0x1', 400, 'bad URI: bad port in sip:ims.test:0x1'],
    ['a Request-URI without scheme', 'sip:ims.test', 'ims.test', 400, 'bad URI: no scheme in ims.test'],
    ['the cookie alone', 'z9hG4bKabc', 'z9hG4bK', 400, 'Via: branch without identifier'],
  ])('says what is wrong with a request that has %s', (_what, from, to, status, why) => {
    expect(refusal(register.replace(from, to)).slice(0, 2)).toEqual([status, why]);
  });

  it('gives back a request to answer as long as it has a method and a Via', () => {
    expect(refusal(register.replace('CSeq: 1', 'CSeq: x'))[2]).toBe('REGISTER');
    expect(refusal(register.replace(/^.*/, 'REGISTER'))[2]).toBe('REGISTER');
    expect(refusal(register.replace(/v:.*\r\n/, ''))[2]).toBeUndefined();
    expect(refusal(register.replace(/^.*/, 'SIP/2.0 99 x'))[2]).toBeUndefined();
  });

  it('gives reasons that are short and printable, whatever they quote', () => {
    const long = refusal(register.replace('tag=1', `${'x'.repeat(500)};${'x'.repeat(500)}`))[1];
    expect(long).toMatch(/^bad header field: From: parameter x{10,}\.\.\.$/);
    expect(long).toHaveLength(120);
    expect(refusal(register.replace('sip:ims.test', 'sip:\x07\x1b'))[1]).toBe('bad URI: bad host in sip:  ');
  });

  it('hands on no line break in a malformed message: what is copied into the answer is clean', () => {
    const parsed = parseDatagram(Buffer.from(register.replace('Call-ID: a@b', 'Call-ID: a\nEvil: 1')));
    if (parsed.kind !== 'malformed') throw new Error('not malformed');
    expect(parsed.headers?.get('Call-ID')).toBe('a');
  });

  it.each([
    '',
    '\r\n',
    '\r\n\r\n',
    '\0',
    'x',
    ' ',
    'SIP/2.0',
    'SIP/2.0 200',
    'SIP/2.0 200 OK\r\n\r\n',
    'a b c\r\n\r\n',
  ])('answers nobody for %j', (text) => {
    expect(refusal(text)[2]).toBeUndefined();
  });

  it('limits the octets and the number of header fields', () => {
    const long = register.replace('one', 'x'.repeat(defaultLimits.headBytes));
    expect(refusal(long).slice(0, 2)).toEqual([513, 'header fields too large']);
    const many = register.replace('Subject', 'X-A: 1\r\n'.repeat(600) + 'Subject');
    expect(refusal(many)).toEqual([400, 'too many header fields', 'REGISTER']);
    expect(refusal(register, { headBytes: 1000, headerCount: 8 })).toEqual([
      400,
      'too many header fields',
      'REGISTER',
    ]);
    expect(parseDatagram(Buffer.from(register), { headBytes: 1000, headerCount: 9 }).kind).toBe('request');
  });

  it.each([
    ['spaces inside a folded value', `Subject: one${' '.repeat(60_000)}x\r\n  two`],
    ['spaces after sent-by', `v: SIP/2.0/UDP h${' '.repeat(60_000)}x\r\nSubject: one`],
    ['slashes and spaces', `v: SIP/2.0${' '.repeat(30_000)}/${' '.repeat(30_000)}UDP\r\nSubject: one`],
    ['open quotes', `m: ${'"'.repeat(60_001)}\r\nSubject: one`],
    ['backslashes', `m: "${'\\'.repeat(60_000)}\r\nSubject: one`],
    ['commas', `Route: ${','.repeat(60_000)}\r\nSubject: one`],
    ['angle brackets', `m: ${'<'.repeat(60_000)}\r\nSubject: one`],
    [
      'parameters',
      `m: <sip:a@b>${Array.from({ length: 10_000 }, (_, i) => `;p${i}`).join('')}\r\nSubject: one`,
    ],
    ['escapes', `m: <sip:${'%41'.repeat(20_000)}@b>\r\nSubject: one`],
    ['words', `m: ${'a '.repeat(30_000)}\r\nSubject: one`],
    ['folds', `Subject: one${'\r\n '.repeat(20_000)}`],
  ])('takes linear time for many %s', (_what, field) => {
    const data = Buffer.from(register.replace('Subject: one', field));
    const started = process.cpuUsage();
    const parsed = parseDatagram(data);
    if (parsed.kind === 'request') {
      parsed.message.headers.list('Route');
      try {
        for (const contact of parsed.message.contacts) void contact.uri;
      } catch {
        // wrong is fine, slow is not
      }
    }
    const { user, system } = process.cpuUsage(started);
    expect(user + system).toBeLessThan(200_000);
  });
});
