import { describe, expect, it } from 'vitest';
import { defaultFramerLimits, StreamFramer, type Frame } from '../../../src/sip/message/framer.js';

function message(
  callId: string,
  body: string,
  length: string | null = String(Buffer.byteLength(body)),
): string {
  return [
    'MESSAGE sip:bob@ims.test SIP/2.0',
    'Via: SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bKabc',
    'Max-Forwards: 70',
    'From: <sip:alice@ims.test>;tag=1',
    'To: <sip:bob@ims.test>',
    `Call-ID: ${callId}`,
    'CSeq: 1 MESSAGE',
    ...(length === null ? [] : [`Content-Length: ${length}`]),
    '',
    body,
  ].join('\r\n');
}

/** What came, in short: call-id and body of messages, else the kind. */
function brief(frames: Frame[]): string[] {
  return frames.map((frame) => {
    if (frame.kind === 'request')
      return `${frame.message.callId} ${Buffer.from(frame.message.body).toString()}`;
    if (frame.kind === 'malformed') return `${frame.status} ${frame.why}${frame.close ? ', close' : ''}`;
    return frame.kind;
  });
}

function feed(stream: string | Buffer, size: number, framer = new StreamFramer()): string[] {
  const data = Buffer.from(stream as string);
  const frames: Frame[] = [];
  for (let i = 0; i < data.length; i += size)
    frames.push(...framer.push(Buffer.from(data.subarray(i, i + size))));
  return brief(frames);
}

describe('the stream framer', () => {
  const stream = message('a', 'héllo') + '\r\n\r\n' + message('b', '') + '\r\n' + message('c', 'x\r\n\r\ny');

  it.each([1, 2, 3, 7, 100, 400, 10_000])('cuts by Content-Length, in chunks of %i octets', (size) => {
    const messages = feed(stream, size).filter((text) => !/^p[io]ng$/.test(text));
    expect(messages).toEqual(['a héllo', 'b ', 'c x\r\n\r\ny']);
  });

  it('reports CRLF CRLF between messages as a ping and one CRLF as a pong', () => {
    expect(feed(stream, 10_000)).toEqual(['a héllo', 'ping', 'b ', 'pong', 'c x\r\n\r\ny']);
    expect(feed('\r\n\r\n', 4)).toEqual(['ping']);
    expect(feed('\r\n\r\n', 2)).toEqual(['pong', 'ping']);
    expect(feed('\r\n\r\n', 1)).toEqual(['pong', 'ping']);
    expect(feed('\r\n', 2)).toEqual(['pong']);
  });

  it('reports a flood of pings once a chunk', () => {
    expect(feed('\r\n\r\n'.repeat(1000), 4000)).toEqual(['ping']);
  });

  it('closes the stream after a message without Content-Length, with the request to answer', () => {
    const framer = new StreamFramer();
    const frames = framer.push(Buffer.from(message('a', 'x', null) + message('b', 'y')));
    expect(brief(frames)).toEqual(['400 no Content-Length on a stream, close']);
    expect(frames[0]).toMatchObject({ request: { method: 'MESSAGE', callId: 'a' } });
    expect(framer.push(Buffer.from(message('c', 'z')))).toEqual([]);
    expect(framer.pendingBytes).toBe(0);
  });

  it.each(['-1', '5x', '99999999999999999999999', '', '1, 1'])(
    'closes the stream after Content-Length "%s"',
    (length) => {
      expect(feed(message('a', 'x', length), 10_000)).toEqual(['400 Content-Length is not a number, close']);
    },
  );

  it('closes the stream after two Content-Length', () => {
    const twice = message('a', 'x').replace('CSeq', 'l: 4\r\nCSeq');
    expect(feed(twice, 10_000)).toEqual(['400 more than one Content-Length header field, close']);
  });

  it.each([1, 64, 10_000])('goes on behind a malformed message whose length is known, by %i', (size) => {
    const broken = message('a', 'one').replace('CSeq: 1', 'CSeq: one');
    expect(feed(broken + message('b', 'two'), size)).toEqual([
      '400 bad header field: CSeq: not a number below 2**31 and a method',
      'b two',
    ]);
  });

  it('goes on behind a malformed response', () => {
    const response = message('a', 'one').replace(/^.*/, 'SIP/2.0 200 OK').replace('CSeq: 1', 'CSeq: one');
    expect(feed(response + message('b', 'two'), 10_000)).toEqual([
      '400 bad header field: CSeq: not a number below 2**31 and a method',
      'b two',
    ]);
  });

  it.each(['\x16\x03\x01\x02\x00\x01', '\0\0', '<xml/>', '\n\n', '\rx'])(
    'closes on noise at once: %j',
    (noise) => {
      const framer = new StreamFramer();
      expect(framer.push(Buffer.from(noise))).toMatchObject([
        { kind: 'malformed', close: true, request: undefined },
      ]);
    },
  );

  it('closes when a message has more header fields than are read: another Content-Length may be among them', () => {
    const framer = new StreamFramer({ ...defaultFramerLimits, headerCount: 8 });
    const many = message('a', 'x').replace('Content', 'l: 1\r\nSubject: x\r\nContent');
    expect(feed(many + message('b', 'y'), 10_000, framer)).toEqual(['400 too many header fields, close']);
  });

  it('tells when it is in the midst of a message', () => {
    const framer = new StreamFramer({ ...defaultFramerLimits, bodyBytes: 10 });
    const head = (length: number): Buffer => Buffer.from(message('a', '', String(length)));
    const pending = (octets: Buffer): boolean => framer.push(octets) !== undefined && framer.pendingBytes > 0;
    expect(pending(head(3))).toBe(true);
    expect(pending(Buffer.from('xyz'))).toBe(false);
    expect(pending(head(11))).toBe(true);
    expect(pending(Buffer.alloc(10))).toBe(true);
    expect(pending(Buffer.alloc(1))).toBe(false);
    expect(pending(head(0).subarray(0, 9))).toBe(true);
    expect(pending(head(0).subarray(9))).toBe(false);
  });

  it('closes on another protocol', () => {
    expect(feed('POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello', 10_000)).toEqual([
      '400 not a SIP request, close',
    ]);
    expect(feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n', 10_000)).toEqual(['400 not a SIP request, close']);
  });

  it('closes when a head grows over its limit, whether or not it ends', () => {
    const framer = (): StreamFramer => new StreamFramer({ ...defaultFramerLimits, headBytes: 200 });
    const endless = 'OPTIONS sip:a@b SIP/2.0\r\nSubject: ' + 'x'.repeat(300);
    expect(feed(endless, 10, framer())).toEqual(['513 header fields too large, close']);
    expect(feed(endless + '\r\n\r\n', 10_000, framer())).toEqual(['513 header fields too large, close']);
  });

  it.each([5, 10_000])('answers 513 to a body over its limit and skips it, by %i', (size) => {
    const framer = new StreamFramer({ ...defaultFramerLimits, bodyBytes: 10 });
    const long = message('a', 'x'.repeat(11));
    expect(feed(long + message('b', 'x'.repeat(10)), size, framer)).toEqual([
      '513 body too large',
      'b xxxxxxxxxx',
    ]);
  });

  it('leaves delivered bodies alone when more arrives', () => {
    const framer = new StreamFramer();
    const text = message('a', 'first') + message('b', 'second');
    const cut = text.indexOf('first') + 2;
    framer.push(Buffer.from(text.slice(0, cut)));
    const [a] = framer.push(Buffer.from(text.slice(cut, -3)));
    framer.push(Buffer.from(text.slice(-3)));
    framer.push(Buffer.from(message('c', 'third')));
    expect(brief([a!])).toEqual(['a first']);
  });

  it('does linear work for a large body in small chunks', () => {
    const body = 'x'.repeat(1_000_000);
    const data = Buffer.from(message('a', body));
    const framer = new StreamFramer();
    let frames: Frame[] = [];
    const started = process.cpuUsage();
    for (let i = 0; i < data.length; i += 20) frames = framer.push(data.subarray(i, i + 20));
    const used = process.cpuUsage(started);
    expect(frames).toHaveLength(1);
    // quadratic copying of 50,000 chunks would be 25 GB
    expect(used.user + used.system).toBeLessThan(2_000_000);
  });
});
