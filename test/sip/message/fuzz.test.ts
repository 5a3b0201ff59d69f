import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exercise } from '../../fuzz/exercise-sip.js';
import { mutate } from '../../fuzz/mutate.js';
import { Random } from '../../fuzz/random.js';
import { sipWords } from '../../fuzz/words-sip.js';
import { parseAddress, writeAddress } from '../../../src/sip/message/address.js';
import { escapeHeaderValue, escapeUser, unescape } from '../../../src/sip/message/escapes.js';
import { StreamFramer } from '../../../src/sip/message/framer.js';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import { buildMultipart, parseMultipart } from '../../../src/sip/message/multipart.js';
import { parseDatagram } from '../../../src/sip/message/parse.js';
import { serialize } from '../../../src/sip/message/serialize.js';
import { parseUri } from '../../../src/sip/message/uri.js';

const folders = ['rfc4475', 'cpm', 'sip-fields', 'sip-malformed'];
const fixtures = folders.flatMap((folder) => {
  const path = join(import.meta.dirname, '../../fixtures', folder);
  return readdirSync(path).map((name): [string, Buffer] => [
    `${folder}/${name}`,
    readFileSync(join(path, name)),
  ]);
});
const corpus = fixtures.map(([, octets]) => octets);

/** RFC 3261 §25.1 `token`. */
const token = fc.string({
  unit: fc.constantFrom(..."abzAZ019-.!%*_+`'~"),
  minLength: 1,
  maxLength: 12,
});
const host = fc.constantFrom('a.example.com', '192.0.2.1', '[2001:db8::1]', 'localhost');
const text = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((words) => !/[\r\n]/.test(words));

const request = fc
  .record({
    method: token,
    user: text,
    host,
    branch: token,
    name: text,
    tag: token,
    callId: token,
    cseq: fc.integer({ min: 0, max: 0x7fff_ffff }),
    field: token,
    value: fc.string({ unit: fc.constantFrom(...'abc ,;=<>"\\@:\u00e9\u20ac'), maxLength: 20 }),
    body: fc.uint8Array({ maxLength: 60 }),
  })
  .map((part) => {
    const headers = Headers.from({
      Via: `SIP/2.0/TCP ${part.host};branch=z9hG4bK${part.branch}`,
      From: writeAddress('sip:a@b', new Map([['tag', part.tag]]), part.name),
      To: '<sip:x@y>',
      'Call-ID': part.callId,
      CSeq: `${part.cseq} ${part.method}`,
      [`X-${part.field}`]: part.value,
    });
    const user = part.user === '' ? '' : `${escapeUser(part.user)}@`;
    const message = new SipRequest(part.method, `sip:${user}${part.host}`, headers, part.body);
    return { part, message, octets: serialize(message) };
  });

describe('every input', () => {
  it.each(fixtures)('%s holds the rules', (_name, octets) => {
    expect(() => exercise(octets)).not.toThrow();
  });

  it('of random octets holds the rules', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => exercise(Buffer.from(octets))));
  });

  it('that is a mutant of a fixture holds the rules', () => {
    const index = fc.nat(corpus.length - 1);
    fc.assert(
      fc.property(fc.nat(), index, index, (seed, one, other) =>
        exercise(mutate(corpus[one]!, new Random(seed), corpus[other]!, sipWords)),
      ),
      { numRuns: 1500 },
    );
  });
});

describe('a request made by the rules', () => {
  it('is read with the parts it was made of', () => {
    fc.assert(
      fc.property(request, ({ part, octets }) => {
        const parsed = parseDatagram(octets);
        if (parsed.kind !== 'request') throw new Error(JSON.stringify(parsed));
        const { message } = parsed;
        expect(message.method).toBe(part.method);
        expect(unescape(message.requestUri.user ?? '')).toBe(part.user);
        expect(message.requestUri.host).toBe(part.host);
        expect(message.via.params.get('branch')).toBe(`z9hG4bK${part.branch}`);
        expect(message.from.displayName).toBe(part.name);
        expect([message.fromTag, message.callId, message.cseq.number]).toEqual([
          part.tag,
          part.callId,
          part.cseq,
        ]);
        expect(message.get(`x-${part.field}`)).toBe(part.value.replace(/^ +| +$/g, ''));
        expect(Buffer.from(message.body)).toEqual(Buffer.from(part.body));
      }),
    );
  });

  it('comes out of a stream whole, however the stream is cut', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 4 }), sizes, (requests, cuts) => {
        const stream = Buffer.concat(requests.map(({ octets }) => octets));
        const framer = new StreamFramer();
        const bodies: Buffer[] = [];
        for (let pos = 0, i = 0; pos < stream.length; i++) {
          const size = cuts[i % cuts.length]!;
          for (const frame of framer.push(Buffer.from(stream.subarray(pos, pos + size))))
            if (frame.kind === 'request') bodies.push(Buffer.from(frame.message.body));
          pos += size;
        }
        expect(bodies).toEqual(requests.map(({ part }) => Buffer.from(part.body)));
        expect(framer.pendingBytes).toBe(0);
      }),
    );
  });
});

describe('what callers write', () => {
  it('is one line of one header field, or refused', () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'a: \r\n\0\t\u010a\u010d\u2028'), maxLength: 12 });
    fc.assert(
      fc.property(hostile, hostile, fc.constantFrom('utf8', 'latin1'), (name, value, charset) => {
        const headers = new Headers();
        try {
          headers.set(name, value);
        } catch {
          return;
        }
        const octets = serialize(new SipRequest('INFO', 'sip:a', headers, undefined, charset));
        expect(octets.toString('latin1').split(/\r\n|\r|\n/)).toHaveLength(5);
      }),
    );
  });

  it('as a display name is read again', () => {
    fc.assert(
      fc.property(text, (name) => {
        expect(parseAddress(writeAddress('sip:a@b', undefined, name), 'To').displayName).toBe(name);
      }),
    );
  });

  it('as user or header field of a URI is read again', () => {
    fc.assert(
      fc.property(text, text, (user, value) => {
        fc.pre(user !== '');
        const uri = parseUri(`sip:${escapeUser(user)}@a.b?Subject=${escapeHeaderValue(value)}`);
        expect(unescape(uri.user!)).toBe(user);
        expect(unescape(uri.headers!)).toBe(`Subject=${value}`);
      }),
    );
  });

  it('as parts of a multipart is read again', () => {
    const part = fc.record({ headers: fc.constant({ 'Content-Type': 'text/plain' }), body: fc.uint8Array() });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const built = buildMultipart(parts);
        const found = parseMultipart(built.body, built.contentType);
        expect(found.map(({ body }) => Buffer.from(body))).toEqual(
          parts.map(({ body }) => Buffer.from(body)),
        );
      }),
    );
  });
});
