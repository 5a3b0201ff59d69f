import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../../src/base/errors.js';
import {
  accepts,
  answerSetup,
  connectAddress,
  formatAnswer,
  formatFileSelector,
  formatOffer,
  offererIsActive,
  parseFileSelector,
  parseMsrpMedia,
  rewriteMsrpMedia,
  type LocalMedia,
} from '../../../src/msrp/sdp/index.js';
import { parseMsrpPath } from '../../../src/msrp/uri.js';
import { fixture } from '../tools/messages.js';

const own: LocalMedia = {
  path: parseMsrpPath('msrp://192.0.2.60:2855/own;tcp'),
  setup: 'passive',
  cema: true,
  acceptTypes: ['message/cpim'],
};
const origin = { sessionId: '1', version: 1 };
const codeOf = (sdp: string | Buffer): string => {
  try {
    parseMsrpMedia(sdp);
  } catch (error) {
    return (error as ParleyError).code;
  }
  return 'no error';
};
const offerWith = (attributes: string, media = 'm=message 7394 TCP/MSRP *'): string =>
  `v=0\r\no=- 1 1 IN IP4 a\r\ns=-\r\nc=IN IP4 a\r\nt=0 0\r\n${media}\r\n${attributes}`;

describe('an MSRP media description', () => {
  it('is read as RFC 4975 §8.7 writes it', () => {
    const media = parseMsrpMedia(fixture('sdp/rfc4975-figure-9.dat'));
    expect(media).toMatchObject({
      port: 7394,
      protocol: 'TCP/MSRP',
      host: 'alice.example.com',
      acceptTypes: ['message/cpim', 'text/plain', 'text/html'],
      acceptWrappedTypes: [],
      setup: undefined,
      cema: false,
      direction: 'sendrecv',
    });
    expect(media.path.map((uri) => uri.text)).toEqual(['msrp://alice.example.com:7394/2s93i93idj;tcp']);
  });

  it('carries the fingerprint of a certificate (RFC 4975 §14.4)', () => {
    expect(parseMsrpMedia(fixture('sdp/rfc4975-figure-19.dat')).fingerprint).toBe(
      'SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB',
    );
  });

  it('carries what RCS clients and file transfers add (RFC 6135, 6714, 7701, 5547)', () => {
    const media = parseMsrpMedia(fixture('sdp/rcs-chat-offer.dat'));
    expect(media).toMatchObject({
      setup: 'actpass',
      cema: true,
      maxSize: 1_048_576,
      acceptWrappedTypes: ['text/plain', 'message/imdn+xml'],
      chatroom: ['nickname', 'private-messages'],
    });
    expect(media.file!.transferId).toBe('Q6LMoGymJdh0IKIgD6wD0jkcfgva4xvE');
    const file = parseFileSelector(media.file!.selector!);
    expect(file).toMatchObject({ name: 'My cool picture.jpg', type: 'image/jpeg', size: 4092 });
    expect(file.hashes).toEqual([
      { algorithm: 'sha-1', digest: '72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E' },
    ]);
    expect(formatFileSelector(file)).toBe(media.file!.selector);
  });

  it('escapes what a file name must not hold (RFC 5547 §6)', () => {
    const file = { name: 'a"b%c\r\n', type: undefined, size: undefined, hashes: [] };
    expect(formatFileSelector(file)).toBe('name:"a%22b%25c%0D%0A"');
    expect(parseFileSelector(formatFileSelector(file)).name).toBe(file.name);
  });

  it.each([
    ['no a=path', offerWith('a=accept-types:*\r\n')],
    ['an empty a=path', offerWith('a=path:\r\n')],
    ['a path that is no MSRP URI', offerWith('a=path:http://a/b\r\n')],
    ['a path without a port', offerWith('a=path:msrp://a/x;tcp\r\n')],
    ['a path without a session-id', offerWith('a=path:msrp://a:1;tcp\r\n')],
    ['a path of more URIs than any relay chain', offerWith(`a=path:${'msrp://a:1/x;tcp '.repeat(20)}\r\n`)],
    ['another protocol', offerWith('a=path:msrp://a:1/x;tcp\r\n', 'm=message 1 UDP/XMPP *')],
    ['no section for messages', offerWith('', 'm=audio 1 RTP/AVP 0')],
  ])('is unacceptable with %s (488)', (_what, sdp) => {
    expect(codeOf(sdp)).toBe('msrp-sdp-unacceptable');
  });

  it.each([
    ['nothing', ''],
    ['no SDP', 'hello'],
    ['a port that is none', offerWith('a=path:msrp://a:1/x;tcp\r\n', 'm=message 70000 TCP/MSRP *')],
    ['64 KiB and more', 'v=0\r\n'.padEnd(70_000, 'a=x\r\n')],
  ])('is malformed with %s (400)', (_what, sdp) => {
    expect(codeOf(sdp)).toBe('msrp-sdp-malformed');
  });

  it('ignores setup holdconn (RFC 6135 §4.2.1) and a refused section needs no path', () => {
    expect(
      parseMsrpMedia(offerWith('a=setup:holdconn\r\na=path:msrp://a:1/x;tcp\r\n')).setup,
    ).toBeUndefined();
    expect(parseMsrpMedia(offerWith('', 'm=message 0 TCP/MSRP *')).port).toBe(0);
  });

  it('throws nothing but ParleyError', () => {
    const line = fc.constantFrom(
      'v=0',
      'm=message 1 TCP/MSRP *',
      'm=message',
      'c=IN IP4 a',
      'a=path:msrp://a:1/x;tcp',
      'a=path',
      'a=setup:x',
      'a=fingerprint:',
      'a=max-size:-1',
      'a=__proto__:1',
      'a=constructor:1',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.string({ maxLength: 20 })), { maxLength: 12 }), (lines) => {
        expect(['no error', 'msrp-sdp-malformed', 'msrp-sdp-unacceptable']).toContain(
          codeOf(lines.join('\r\n')),
        );
      }),
    );
  });
});

describe('an offer and its answer', () => {
  it('hold what was put into them', () => {
    const offer = formatOffer(
      {
        ...own,
        setup: 'actpass',
        acceptWrappedTypes: ['text/plain', '*'],
        maxSize: 5000,
        direction: 'sendonly',
        fingerprint: 'SHA-256 AB:CD',
        chatroom: [],
        file: { selector: 'size:4092' },
      },
      origin,
    );
    expect(parseMsrpMedia(offer)).toEqual({
      port: 2855,
      protocol: 'TCP/MSRP',
      host: '192.0.2.60',
      path: own.path,
      setup: 'actpass',
      cema: true,
      acceptTypes: ['message/cpim'],
      acceptWrappedTypes: ['text/plain', '*'],
      maxSize: 5000,
      direction: 'sendonly',
      fingerprint: 'SHA-256 AB:CD',
      chatroom: [],
      file: { selector: 'size:4092' },
    });
  });

  it('give port 9 where we are to open the connection (RFC 6135 §4.2.2)', () => {
    expect(parseMsrpMedia(formatOffer({ ...own, setup: 'active' }, origin)).port).toBe(9);
  });

  it('refuse every other section of the offer (RFC 3264 §6)', () => {
    const answer = formatAnswer(fixture('sdp/rcs-chat-offer.dat'), own, origin);
    expect(answer.match(/^m=.*$/gm)).toEqual([
      'm=audio 0 RTP/AVP 0',
      'm=message 2855 TCP/MSRP *',
      'm=video 0 RTP/AVP 31',
    ]);
    expect(() => formatAnswer(offerWith('', 'm=audio 1 RTP/AVP 0'), own, origin)).toThrow(ParleyError);
  });

  it.each([
    ['actpass', false, 'passive'],
    ['actpass', true, 'active'],
    ['active', true, 'passive'],
    ['passive', false, 'active'],
    [undefined, false, 'passive'],
  ] as const)(
    'answer setup %s (behind NAT: %s) with %s (RFC 6135 §4.2.2)',
    (offered, behindNat, answered) => {
      expect(answerSetup(offered, behindNat)).toBe(answered);
    },
  );

  it('make the offerer connect unless the answerer says active (RFC 4975 §5.4)', () => {
    expect([undefined, 'passive', 'active'].map((setup) => offererIsActive(setup as undefined))).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('name the address to connect to: c= and m= of a middlebox (RFC 6714 §4.2), the first of several URIs', () => {
    expect(connectAddress(parseMsrpMedia(fixture('sdp/rcs-chat-offer.dat')))).toEqual({
      host: '198.51.100.7',
      port: 31_002,
    });
    expect(connectAddress(parseMsrpMedia(fixture('sdp/rfc4976-11-answer.dat')))).toEqual({
      host: 'relay.example.com',
      port: 9000,
    });
    const active = parseMsrpMedia(offerWith('a=path:msrp://b:7/x;tcp\r\n', 'm=message 9 TCP/MSRP *'));
    expect(connectAddress(active)).toEqual({ host: 'b', port: 7 });
  });
});

describe('a description on its way through a B2BUA', () => {
  it('changes path, address and role of the MSRP section and nothing else', () => {
    const before = fixture('sdp/rcs-chat-offer.dat').toString();
    const after = rewriteMsrpMedia(before, { ...own, setup: 'actpass', cema: false });
    const changed = (text: string, other: string): string[] =>
      text.split('\r\n').filter((line) => !other.split('\r\n').includes(line));
    expect(changed(before, after)).toEqual([
      'm=message 31002 TCP/MSRP *',
      'a=path:msrp://10.20.1.17:20000/9fA1kq0Zr3;tcp',
      'a=msrp-cema',
    ]);
    expect(changed(after, before)).toEqual([
      'm=message 2855 TCP/MSRP *',
      'c=IN IP4 192.0.2.60',
      'a=path:msrp://192.0.2.60:2855/own;tcp',
    ]);
    expect(parseMsrpMedia(after)).toEqual({
      ...parseMsrpMedia(before),
      port: 2855,
      host: '192.0.2.60',
      path: own.path,
      cema: false,
    });
  });
});

describe('a description that two readers could read in two ways', () => {
  const path = 'a=path:msrp://a:1/s;tcp\r\n';

  it('is refused with a CR alone, or NUL', () => {
    expect(codeOf(offerWith(`a=x\ra=y\r\n${path}`))).toBe('msrp-sdp-malformed');
    expect(codeOf(offerWith(`a=x\0\r\n${path}`))).toBe('msrp-sdp-malformed');
  });

  it('has the same section read and rewritten, whatever else its m= line holds', () => {
    const section = `m=message 9 TCP/MSRP%41 *\r\n${path}`;
    const offer = offerWith(`a=rtpmap:0 PCMU/8000\r\n${section}`, 'm=audio 1 RTP/AVP 0');
    const after = rewriteMsrpMedia(offer, own);
    expect(after).toContain('m=audio 1 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=message 2855 TCP/MSRP *\r\n');
    expect(parseMsrpMedia(after).path).toEqual(own.path);
  });

  it('may have attributes and addresses that look like numbers', () => {
    const media = parseMsrpMedia(offerWith(`a=5\r\nc=IN IP4 7\r\n${path}`));
    expect(media.host).toBe('7');
    expect(media.path).toHaveLength(1);
  });
});

describe('accepted media types', () => {
  it('are matched by name, family or *, without parameters (RFC 4975 §8.6)', () => {
    expect(accepts(['text/*'], 'Text/Plain;charset=UTF-8')).toBe(true);
    expect(accepts(['message/cpim'], 'message/CPIM')).toBe(true);
    expect(accepts(['*'], 'image/png')).toBe(true);
    expect(accepts(['text/plain', 'image/*'], 'text/html')).toBe(false);
    expect(accepts([], 'text/html')).toBe(false);
  });
});
