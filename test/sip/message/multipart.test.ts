import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseContentId } from '../../../src/sip/message/content.js';
import { parseDatagram } from '../../../src/sip/message/parse.js';
import {
  buildMultipart,
  defaultMultipartLimits,
  leafParts,
  parseMultipart,
  type BodyPart,
} from '../../../src/sip/message/multipart.js';

const type = 'multipart/mixed;boundary=b';
const parts = (text: string, contentType = type): BodyPart[] =>
  parseMultipart(Buffer.from(text), contentType);
const bodies = (found: readonly BodyPart[]): string[] =>
  found.map((part) => Buffer.from(part.body).toString());

function sample(name: string): { type: string; body: Uint8Array } {
  const parsed = parseDatagram(readFileSync(join(import.meta.dirname, '../../fixtures/cpm', name)));
  if (parsed.kind !== 'request') throw new Error(name);
  return { type: parsed.message.get('Content-Type')!, body: parsed.message.body };
}

describe('a multipart body', () => {
  it('gives its parts octet for octet, preamble and epilogue left out (RFC 2046 §5.1.1)', () => {
    const found = parts(
      'preamble\r\n--b \t\r\nContent-Type: text/plain\r\n\r\none\r\n\r\n--b\r\n\r\ntwo\n--b--x\r\n--b--\r\nepilogue --b--',
    );
    expect(bodies(found)).toEqual(['one\r\n', 'two\n--b--x']);
    expect(found[0]?.headers.get('Content-Type')).toBe('text/plain');
    expect(found[1]?.headers.length).toBe(0);
  });

  it('knows empty parts, parts of header fields alone, and boundaries that begin like its own', () => {
    expect(bodies(parts('--b\r\n\r\n\r\n--b\r\n\r\n--b--'))).toEqual(['', '']);
    const [only] = parts('--b\r\nContent-Type: text/plain\r\n--b--');
    expect([only?.headers.get('c'), only?.body.length]).toEqual(['text/plain', 0]);
    expect(bodies(parts('--b\r\n\r\n--bb\r\n--b--'))).toEqual(['--bb']);
  });

  it('reads a quoted boundary and a folded header field', () => {
    const [part] = parts(
      '--a b\r\nContent-Disposition: attachment;\r\n filename=x\r\n\r\ny\r\n--a b--',
      'multipart/mixed; boundary="a b"',
    );
    expect(part?.headers.get('Content-Disposition')).toBe('attachment; filename=x');
  });

  it('holds others, to a depth', () => {
    const inner = buildMultipart(
      [{ headers: { 'Content-Type': 'text/plain' }, body: 'deep' }],
      'multipart/alternative',
      'i',
    );
    const outer = buildMultipart(
      [
        { headers: { 'Content-Type': inner.contentType }, body: inner.body },
        { headers: {}, body: 'flat' },
      ],
      'multipart/mixed',
      'o',
    );
    const found = parseMultipart(outer.body, outer.contentType);
    expect(bodies(found[0]!.parts)).toEqual(['deep']);
    expect(bodies(leafParts(found))).toEqual(['deep', 'flat']);
    expect(() =>
      parseMultipart(outer.body, outer.contentType, { ...defaultMultipartLimits, depth: 1 }),
    ).toThrow('multipart: nested too deep');
    expect(() =>
      parseMultipart(outer.body, outer.contentType, { ...defaultMultipartLimits, parts: 2 }),
    ).toThrow('multipart: too many parts');
  });

  it.each([
    ['', 'boundary missing'],
    ['--b\r\n\r\nx', 'boundary missing'],
    ['--bc\r\n\r\nx\r\n--bc--', 'boundary missing'],
    ['--b--', 'no parts'],
    ['--b\r\nno colon\r\n\r\nx\r\n--b--', 'header field without colon'],
    [`--b\r\nSubject: ${'x'.repeat(20_000)}\r\n\r\nx\r\n--b--`, 'header fields of a part too large'],
  ])('is refused when it is not one: %j', (text, why) => {
    expect(() => parts(text)).toThrow(`multipart: ${why}`);
  });

  it.each([
    'multipart/mixed',
    'multipart/mixed;boundary=""',
    `multipart/mixed;boundary=${'x'.repeat(71)}`,
    'text/plain;boundary=b',
  ])('is refused for its type: %s', (contentType) => {
    expect(() => parts('--b\r\n\r\nx\r\n--b--', contentType)).toThrow('multipart: no');
  });

  it('is built so that every octet comes back', () => {
    const octets = Uint8Array.from({ length: 256 }, (_, i) => i);
    const built = buildMultipart([
      { headers: { 'Content-Type': 'application/octet-stream', 'Content-ID': '<a@b>' }, body: octets },
      { headers: { 'Content-Type': 'text/plain;charset=utf-8' }, body: 'é\r\n' },
    ]);
    const found = parseMultipart(built.body, built.contentType);
    expect(Buffer.from(found[0]!.body)).toEqual(Buffer.from(octets));
    expect(parseContentId(found[0]!.headers.get('Content-ID')!)).toBe('a@b');
    expect(Buffer.from(found[1]!.body).toString()).toBe('é\r\n');
  });

  it('is not built with a boundary that a part holds, or with a header field that holds a line break', () => {
    expect(() => buildMultipart([{ headers: {}, body: 'x--b' }], 'multipart/mixed', 'b')).toThrow(
      'the boundary occurs',
    );
    expect(() => buildMultipart([], 'multipart/mixed', 'b\r\n')).toThrow('no usable boundary');
    expect(() => buildMultipart([{ headers: { Subject: 'a\r\nb' }, body: '' }])).toThrow('line break');
  });

  it.each(['03.sip', '08.sip', '09.sip'])('of the sample %s is built again octet for octet', (name) => {
    const { type: contentType, body } = sample(name);
    const boundary = /boundary="?([^";]+)/.exec(contentType)![1]!;
    const rebuilt = buildMultipart(
      parseMultipart(body, contentType).map((part) => ({
        headers: Object.fromEntries([...part.headers].map(([, field, value]) => [field, value])),
        body: part.body,
      })),
      'multipart/mixed',
      boundary,
    );
    expect(rebuilt.body.toString('latin1')).toBe(Buffer.from(body).toString('latin1'));
  });
});
