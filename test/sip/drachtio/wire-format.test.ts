import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, writeFrame } from '../../../src/sip/drachtio/frames.js';
import { FREE_OCTETS, Pacing } from '../../../src/sip/drachtio/pacing.js';
import { parseDrachtioSettings } from '../../../src/sip/drachtio/settings.js';

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    const frame = fc.tuple(
      fc.stringMatching(/^[a-z|é]{1,30}$/),
      fc.option(fc.uint8Array({ maxLength: 200 }), { nil: undefined }),
    );
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 50 }),
        (frames, step) => {
          const stream = Buffer.concat(
            frames.map(([head, body]) => writeFrame(head, body && Buffer.from(body))),
          );
          const reader = new FrameReader();
          const read = [];
          for (let i = 0; i < stream.length; i += step)
            read.push(...reader.push(stream.subarray(i, i + step)));
          expect(read.map(({ fields, message }) => [fields.join('|'), message && [...message]])).toEqual(
            frames.map(([head, body]) => [head, body && [...body]]),
          );
        },
      ),
    );
  });

  it.each(['#x', 'a#x', '12x', '999999999#', '-1#'])('that begin with %s end the connection', (text) => {
    expect(() => new FrameReader().push(Buffer.from(text))).toThrow(/no frame/);
  });
});

describe('pacing', () => {
  it('lets nothing follow a frame of more than 4,000 octets until its reply', () => {
    const written: number[] = [];
    const pacing = new Pacing((frame) => written.push(frame.length));
    pacing.send('a', Buffer.alloc(100));
    pacing.send('b', Buffer.alloc(FREE_OCTETS + 1));
    pacing.send('c', Buffer.alloc(200));
    pacing.send('d', Buffer.alloc(FREE_OCTETS + 2));
    pacing.send('e', Buffer.alloc(300));
    expect(written).toEqual([100, 4_001]);
    pacing.replied('a');
    expect(written).toEqual([100, 4_001]);
    pacing.replied('b');
    expect(written).toEqual([100, 4_001, 200, 4_002]);
    pacing.replied('d');
    expect(written.at(-1)).toBe(300);
    expect(pacing.octets).toBe(0);
  });

  it('counts what waits, and sends a ping before it', () => {
    const written: number[] = [];
    const pacing = new Pacing((frame) => written.push(frame.length));
    pacing.send('a', Buffer.alloc(FREE_OCTETS + 1));
    pacing.send('b', Buffer.alloc(FREE_OCTETS + 2));
    pacing.send('ping', Buffer.alloc(10), true);
    expect(pacing.octets).toBe(4_012);
    pacing.replied('a');
    expect(written).toEqual([4_001, 10, 4_002]);
    expect(pacing.octets).toBe(0);
  });
});

describe('drachtio://', () => {
  it('names servers, secret, tags, TLS and where servers may connect to us', () => {
    const settings = parseDrachtioSettings(
      'drachtio://:s%40cret@a.example:9023,[::1]?tags=one,two&tls=on&listen=0.0.0.0:9021&from=192.0.2.1,::1',
    );
    expect(settings).toEqual({
      servers: [
        { host: 'a.example', port: 9_023 },
        { host: '::1', port: 9_022 },
      ],
      secret: 's@cret',
      tags: ['one', 'two'],
      tls: {},
      listen: { host: '0.0.0.0', port: 9_021 },
      listenTls: undefined,
      from: ['192.0.2.1', '::1'],
    });
  });

  it.each([
    'drachtio://',
    'drachtio://:x@h:99999',
    'drachtio://:x@h?tag=a',
    'drachtio://:x@h?tags=a%20b',
    'drachtio://:a%7Cb@h',
    'drachtio://:x@h,h:9022',
    'drachtio://:x@h?listen=:1&from=host.example',
    'drachtio://:x@h?from=192.0.2.1',
    'drachtio://:x@h?tls=maybe',
    'drachtio://:x@h?listen=0.0.0.0:1&cert=/some.pem',
    'drachtio://:x@h?cert=package.json&key=package.json',
    'drachtio://:x@h?listen=0.0.0.0:1&cert=package.json&key=package.json',
    'drachtio://:x@h?tls=on&ca=/no/such',
  ])('refuses %s', (text) => expect(() => parseDrachtioSettings(text)).toThrow(/not a drachtio-server/));
});
