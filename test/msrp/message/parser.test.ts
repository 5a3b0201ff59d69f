import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../../src/base/errors.js';
import { MessageParser, utf8 } from '../../../src/msrp/message/index.js';
import { fixture, parseAll } from '../tools/messages.js';

const names = readdirSync(join(import.meta.dirname, '../fixtures/message'));
const text = (value: string): Buffer => Buffer.from(value.replaceAll('\n', '\r\n'), 'latin1');
const head = (lines: string): Buffer =>
  text(`MSRP abcd1234 SEND\nTo-Path: msrp://a:1/x;tcp\nFrom-Path: msrp://b:2/y;tcp\n${lines}`);
const codeOf = (octets: Buffer): string => {
  try {
    parseAll([octets]);
  } catch (error) {
    return (error as ParleyError).code;
  }
  return 'no error';
};

describe('the MSRP parser', () => {
  it('takes a SEND and its response apart (RFC 4975 §4)', () => {
    const [send, response] = parseAll([fixture('message/send-and-response.msrp')]);
    expect(send).toMatchObject({
      head: {
        transactionId: 'a786hjs2',
        method: 'SEND',
        toPath: 'msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp',
        fromPath: 'msrp://atlanta.example.com:7654/jshA7weztas;tcp',
        messageId: '87652491',
        contentType: 'text/plain',
      },
      body: 'Hey Bob, are you there?',
      flag: '$',
    });
    expect(send!.head.range()).toEqual({ start: 1, end: 25, total: 25 });
    expect(response).toMatchObject({ head: { method: undefined, status: 200 }, body: undefined, flag: '$' });
  });

  it('gives the two chunks of a message with their flags (RFC 4975 §5.1)', () => {
    const chunks = parseAll([fixture('message/chunked.msrp')]);
    expect(chunks.map(({ head, body, flag }) => [head.range(), body, flag])).toEqual([
      [{ start: 1, end: undefined, total: 8 }, 'abcd', '+'],
      [{ start: 5, end: 8, total: 8 }, 'EFGH', '$'],
    ]);
  });

  it('tells a request without content from one with an empty body (RFC 4975 §7.1)', () => {
    expect(parseAll([fixture('message/bodiless-send.msrp')])[0]!.body).toBeUndefined();
    expect(parseAll([head('Content-Type: text/plain\n\n\n-------abcd1234$\n')])[0]!.body).toBe('');
  });

  it('accepts a blank line before the end-line of a request without content', () => {
    const [send] = parseAll([fixture('message/bodiless-send-with-blank-line.msrp')]);
    expect(send).toMatchObject({ head: { contentType: undefined }, body: '', flag: '$' });
  });

  it('does not end a body at lines that only look like its end-line', () => {
    const [send] = parseAll([fixture('message/body-with-hyphens.msrp')]);
    expect(send!.body).toBe(
      text('-------abcd123\n-------abcd1234\n-------abcd1234$ not yet\n-------abcd1234!\n-------').toString(),
    );
    expect(send!.flag).toBe('+');
  });

  it('ends a chunk at its end-line and not where Byte-Range promised (RFC 4975 §7.3.1)', () => {
    const octets = head('Byte-Range: 1-1000/2000\nContent-Type: a/b\n\nshort\n-------abcd1234+\n');
    expect(parseAll([octets, octets]).map((message) => message.body)).toEqual(['short', 'short']);
  });

  it('reads REPORT, AUTH and NICKNAME like any request', () => {
    const [report] = parseAll([fixture('message/report.msrp')]);
    expect(report!.head).toMatchObject({ method: 'REPORT', reportStatus: '000 200 OK' });
    const [auth] = parseAll([fixture('message/auth.msrp')]);
    expect(auth!.head.other('authorization')).toContain('username="Alice"');
    const [nickname] = parseAll([fixture('message/nickname.msrp')]);
    expect(nickname!.head.other('Use-Nickname')).toBe('"Alice the great"');
  });

  it('keeps the octets of header values and gives their UTF-8 text', () => {
    const [request] = parseAll([
      Buffer.concat([head('Use-Nickname: "'), Buffer.from('Zoë'), text('"\n-------abcd1234$\n')]),
    ]);
    expect(utf8(request!.head.other('use-nickname')!)).toBe('"Zoë"');
  });

  it('knows a header field in any case and skips CRLF between messages', () => {
    const octets = text(
      '\n\nMSRP abcd1234 SEND\nto-path: msrp://a:1/x;tcp\nFROM-PATH:msrp://b:2/y;tcp\nmessage-id: m1\n-------abcd1234$\n\n',
    );
    expect(parseAll([octets])[0]!.head).toMatchObject({ fromPath: 'msrp://b:2/y;tcp', messageId: 'm1' });
  });

  it('treats an absent Failure-Report as yes and an absent Success-Report as no (RFC 4975 §7.1.1)', () => {
    expect(parseAll([fixture('message/chunked.msrp')])[0]!.head).toMatchObject({
      failureReport: 'yes',
      successReport: false,
    });
  });

  it('finds the same messages wherever the octets are split', () => {
    for (const name of names) {
      const octets = Buffer.concat([fixture(`message/${name}`), fixture('message/report.msrp')]);
      const whole = parseAll([octets]);
      expect(whole.length).toBeGreaterThan(1);
      for (let at = 1; at < octets.length; at++)
        expect(parseAll([octets.subarray(0, at), octets.subarray(at)])).toEqual(whole);
      expect(parseAll(Array.from(octets, (octet) => Buffer.from([octet])))).toEqual(whole);
    }
  });

  it('hands a body on as it arrives and holds back only what may be the end-line', () => {
    let received = 0;
    const parser = new MessageParser({
      head() {},
      body(piece) {
        received += piece.length;
      },
      end() {},
    });
    parser.push(head('Byte-Range: 1-*/*\nContent-Type: a/b\n\n'));
    for (let i = 1; i <= 100; i++) {
      parser.push(Buffer.alloc(10_000, 'x'));
      expect(received).toBe(i * 10_000);
    }
    parser.push(text('x\n-------abcd1234'));
    expect(received).toBe(1_000_001);
  });

  it.each([
    ['something else than MSRP', text('GET / HTTP/1.1\nHost: a\n\n')],
    ['a transaction identifier of three characters', text('MSRP abc SEND\nTo-Path: x\n-------abc$\n')],
    ['a request without From-Path', text('MSRP abcd SEND\nTo-Path: msrp://a:1/x;tcp\n-------abcd$\n')],
    ['To-Path twice', head('To-Path: msrp://c:1/x;tcp\n-------abcd1234$\n')],
    ['an end-line of another transaction', head('-------abcd1235$\n')],
    ['an end-line with an unknown flag', head('-------abcd1234%\n')],
    ['NUL in a header field', head('X: a\0b\n-------abcd1234$\n')],
    [
      'a bare LF in a header field',
      Buffer.concat([head('X: a'), Buffer.from('\nY: b\r\n-------abcd1234$\r\n')]),
    ],
    [
      'a response with a body',
      text('MSRP abcd1234 200 OK\nTo-Path: x\nFrom-Path: y\n\nbody\n-------abcd1234$\n'),
    ],
  ])('refuses %s', (_what, octets) => {
    expect(codeOf(octets)).toBe('msrp-malformed');
  });

  it.each([
    ['a header field without a colon', 'nonsense'],
    ['a space before the colon', 'Message-ID : m'],
    ['Failure-Report: maybe', 'Failure-Report: maybe'],
    ['a Message-ID with a space', 'Message-ID: a b'],
    ['Message-ID twice', 'Message-ID: a\nMessage-ID: a'],
    ['an empty Content-Type', 'Content-Type: '],
  ])('goes on after a request that has %s, for it can be answered with 400', (_what, line) => {
    const octets = head(`${line}\n-------abcd1234$\n`);
    const messages = parseAll([octets, octets]);
    expect(messages.length).toBe(2);
    expect(messages[1]!.head.fault).toBeDefined();
  });

  it('refuses a header section above its limit, in one piece and in many', () => {
    const octets = head(`X: ${'x'.repeat(17_000)}\n-------abcd1234$\n`);
    expect(codeOf(octets)).toBe('msrp-header-too-large');
    expect(() => parseAll(Array.from(octets, (octet) => Buffer.from([octet])))).toThrow('header section');
  });

  it('refuses a REPORT body above 10240 octets (RFC 4975 §7.1)', () => {
    const report = (size: number): Buffer =>
      text(
        `MSRP abcd1234 REPORT\nTo-Path: x\nFrom-Path: y\nContent-Type: a/b\n\n${'x'.repeat(size)}\n-------abcd1234$\n`,
      );
    expect(codeOf(report(10_241))).toBe('msrp-body-too-large');
    expect(codeOf(report(10_240))).toBe('no error');
  });

  it.each(['1', '0-1/2', '2-0/2', '1-9/8', '1-*', '1-2/3/4', '-1-2/3', '1-1e3/*', '9999999999999999-*/*'])(
    'refuses the Byte-Range %s',
    (range) => {
      const [message] = parseAll([head(`Byte-Range: ${range}\n-------abcd1234$\n`)]);
      expect(() => message!.head.range()).toThrow(ParleyError);
    },
  );

  it('throws nothing but ParleyError, and gives the same however octets are split', () => {
    const token = fc.constantFrom(
      'MSRP abcd1234 SEND\r\n',
      'MSRP abcd1234 200 OK\r\n',
      'MSRP abcd1234 REPORT\r\n',
      'To-Path: msrp://a:1/x;tcp\r\n',
      'From-Path: msrp://b:1/x;tcp\r\n',
      'Message-ID: 1234\r\n',
      'Byte-Range: 1-4/4\r\n',
      'Content-Type: text/plain\r\n',
      '\r\n',
      '\r',
      '\n',
      '-------abcd1234$\r\n',
      '\r\n-------abcd1234+\r\n',
      '-------',
      'abcd1234',
    );
    const wild = fc.uint8Array({ maxLength: 12 }).map((octets) => Buffer.from(octets).toString('latin1'));
    const stream = fc
      .array(fc.oneof({ weight: 8, arbitrary: token }, { weight: 1, arbitrary: wild }), { maxLength: 40 })
      .map((parts) => Buffer.from(parts.join(''), 'latin1'));
    const outcome = (pieces: Buffer[]): unknown => {
      const seen: unknown[] = [];
      let body: string[] = [];
      const parser = new MessageParser({
        head: (value, hasBody) => seen.push({ ...value, hasBody }),
        body: (piece) => body.push(piece.toString('latin1')),
        end: (flag) => {
          seen.push(body.join(''), flag);
          body = [];
        },
      });
      try {
        for (const piece of pieces) parser.push(piece);
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error;
        seen.push(error.code);
      }
      return seen;
    };
    fc.assert(
      fc.property(stream, fc.array(fc.nat(400), { maxLength: 6 }), (octets, cuts) => {
        const edges = [
          0,
          ...cuts.map((cut) => Math.min(cut, octets.length)).sort((a, b) => a - b),
          octets.length,
        ];
        const pieces = edges.slice(1).map((end, i) => octets.subarray(edges[i], end));
        const whole = outcome([octets]);
        expect(outcome(pieces)).toEqual(whole);
        expect(outcome(Array.from(octets, (octet) => Buffer.from([octet])))).toEqual(whole);
      }),
      { numRuns: 1500 },
    );
  });
});
