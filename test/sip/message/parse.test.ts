import { describe, expect, it } from 'vitest';
import { parseDatagram } from '../../../src/sip/message/parse.js';
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

function request(text: string): SipRequest {
  const parsed = parseDatagram(Buffer.from(text));
  if (parsed.kind !== 'request') throw new Error(JSON.stringify(parsed));
  return parsed.message;
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
    const octets = Buffer.concat([
      Buffer.from(register.slice(0, -2).replace('Subject: one', 'Subject: ')),
      Buffer.from('hi'),
    ]);
    const at = octets.indexOf('Subject: ') + 9;
    const data = Buffer.concat([octets.subarray(0, at), Buffer.from([0xff, 0xfe]), octets.subarray(at)]);
    const parsed = parseDatagram(data);
    expect(parsed.kind).toBe('request');
    if (parsed.kind === 'request')
      expect(serialize(parsed.message).includes(Buffer.from([0xff, 0xfe]))).toBe(true);
  });

  it('says what is wrong with a message that it cannot use', () => {
    expect(parseDatagram(Buffer.from(register.replace('CSeq: 1', 'CSeq: 9999999999')))).toMatchObject({
      kind: 'malformed',
      status: 400,
      why: 'bad header field: CSeq: not a number below 2**31 and a method',
    });
    expect(parseDatagram(Buffer.from(register.replace('Call-ID: a@b\r\n', '')))).toMatchObject({
      why: 'no Call-ID header field',
    });
    expect(parseDatagram(Buffer.from(register.replace('Length: 2', 'Length: 9')))).toMatchObject({
      why: 'body shorter than Content-Length',
    });
  });
});
