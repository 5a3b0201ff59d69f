import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipRequest, SipResponse } from '../../../src/sip/message/message.js';
import { parseDatagram } from '../../../src/sip/message/parse.js';
import { serialize } from '../../../src/sip/message/serialize.js';

const samples = join(import.meta.dirname, '../../fixtures/cpm');

describe('the serializer', () => {
  it.each(readdirSync(samples))('writes the sample %s octet for octet, Content-Length last', (name) => {
    const octets = readFileSync(join(samples, name));
    const parsed = parseDatagram(octets);
    if (parsed.kind === 'malformed') throw new Error(parsed.why);
    const text = octets.toString('latin1');
    const length = /Content-Length: \d+\r\n/.exec(text)![0];
    const expected = text.replace(length, '').replace('\r\n\r\n', `\r\n${length}\r\n`);
    expect(serialize(parsed.message).toString('latin1')).toBe(expected);
  });

  it('writes characters beyond ASCII as UTF-8, and counts the body in octets', () => {
    const headers = Headers.from({ Subject: 'Füße €' });
    const message = new SipResponse(200, 'Gefällt', headers, Buffer.from('é'));
    expect(serialize(message)).toEqual(
      Buffer.from('SIP/2.0 200 Gefällt\r\nSubject: Füße €\r\nContent-Length: 2\r\n\r\né', 'utf8'),
    );
  });

  it('adds UTF-8 to a message in ASCII that came from the wire', () => {
    const parsed = parseDatagram(readFileSync(join(samples, '10.sip')));
    if (parsed.kind !== 'request') throw new Error('not a request');
    parsed.message.headers.set('Subject', 'Čau');
    expect(serialize(parsed.message).includes(Buffer.from('Subject: Čau\r\n', 'utf8'))).toBe(true);
  });

  it('never lets a character become a line break in a message that came as Latin-1', () => {
    const headers = Headers.from({ Subject: 'x\u010d\u010aEvil: 1', Organization: '\xff\xfe' });
    const octets = serialize(new SipRequest('INFO', 'sip:a@b', headers, undefined, 'latin1')).toString(
      'latin1',
    );
    expect(octets).toBe(
      'INFO sip:a@b SIP/2.0\r\nSubject: x\xc4\x8d\xc4\x8aEvil: 1\r\nOrganization: \xff\xfe\r\nContent-Length: 0\r\n\r\n',
    );
  });

  it('refuses a start line with a line break', () => {
    const headers = new Headers();
    for (const message of [
      new SipRequest('INFO', 'sip:a@b SIP/2.0\r\nEvil: 1\r\nx:', headers),
      new SipRequest('INFO\nx', 'sip:a@b', headers),
      new SipResponse(200, 'OK\r\nEvil: 1', headers),
      new SipResponse(200, 'OK\rEvil: 1', headers),
    ])
      expect(() => serialize(message)).toThrow('line break in the start line');
  });
});
