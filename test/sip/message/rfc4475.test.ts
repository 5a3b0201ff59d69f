import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseDatagram, type Parsed } from '../../../src/sip/message/parse.js';
import type { SipMessage, SipRequest, SipResponse } from '../../../src/sip/message/message.js';
import { serialize } from '../../../src/sip/message/serialize.js';
import { StreamFramer } from '../../../src/sip/message/framer.js';
import { sameUri, normalizeEscapes } from '../../../src/sip/message/uri.js';
import { unescape } from '../../../src/sip/message/escapes.js';
import { isUnicastSentBy } from '../../../src/sip/message/via.js';
import {
  inspectAsProxy,
  inspectAsUas,
  refuseAnswer,
  type UasAbilities,
} from '../../../src/sip/message/validate.js';
import { parseMultipart } from '../../../src/sip/message/multipart.js';
import { parseDate } from '../../../src/sip/message/date.js';
import { parseExpires, retryAfterSeconds } from '../../../src/sip/message/times.js';
import { parseWarning } from '../../../src/sip/message/warning.js';

const folder = join(import.meta.dirname, '../../fixtures/rfc4475');
const octets = (name: string): Buffer => readFileSync(join(folder, `${name}.dat`));

function read(name: string): Parsed {
  return parseDatagram(octets(name));
}

function request(name: string): SipRequest {
  const parsed = read(name);
  if (parsed.kind !== 'request') throw new Error(JSON.stringify(parsed));
  return parsed.message;
}

function response(name: string): SipResponse {
  const parsed = read(name);
  if (parsed.kind !== 'response') throw new Error(JSON.stringify(parsed));
  return parsed.message;
}

const fields = (message: SipMessage): (readonly [string, string])[] =>
  [...message.headers].filter(([key]) => key !== 'content-length').map(([key, , value]) => [key, value]);

const proxy = { schemes: new Set(['sip', 'sips', 'tel']), extensions: new Set<string>() };
const endpoint: UasAbilities = {
  ...proxy,
  methods: new Set(['INVITE', 'ACK', 'BYE', 'CANCEL', 'OPTIONS', 'REGISTER', 'MESSAGE']),
  contentTypes: new Set(['application/sdp', 'text/plain']),
};

/** Messages that the RFC calls well-formed at the level of the parser. */
const wellFormed: Record<string, string> = {
  wsinv: '3.1.1.1', intmeth: '3.1.1.2', esc01: '3.1.1.3', escnull: '3.1.1.4', esc02: '3.1.1.5', lwsdisp: '3.1.1.6',
  longreq: '3.1.1.7', dblreq: '3.1.1.8', semiuri: '3.1.1.9', transports: '3.1.1.10', mpart01: '3.1.1.11',
  unreason: '3.1.1.12', noreason: '3.1.1.13', unkscm: '3.3.2', novelsc: '3.3.3', unksm2: '3.3.4', bext01: '3.3.5',
  invut: '3.3.6', regaut01: '3.3.7', bcast: '3.3.10', zeromf: '3.3.11', cparam01: '3.3.12', cparam02: '3.3.13',
  regescrt: '3.3.14', sdp01: '3.3.15', inv2543: '3.4.1',
  // malformed where nobody has to look: only who needs the field refuses the message
  baddate: '3.1.2.12', regbadct: '3.1.2.13',
}; // prettier-ignore

/** Messages that are answered as malformed: file, clause, status, reason. */
const refused: [string, string, number, string][] = [
  ['badinv01', '3.1.2.1', 400, 'bad header field: Via: empty parameter'],
  ['clerr', '3.1.2.2', 400, 'body shorter than Content-Length'],
  ['ncl', '3.1.2.3', 400, 'Content-Length is not a number'],
  ['scalar02', '3.1.2.4', 400, 'bad header field: CSeq: not a number below 2**31 and a method'],
  ['quotbal', '3.1.2.6', 400, 'bad header field: To: display name does not end'],
  ['ltgtruri', '3.1.2.7', 400, 'angle brackets around the Request-URI'],
  ['lwsruri', '3.1.2.8', 400, 'white space in the Request-URI'],
  ['lwsstart', '3.1.2.9', 400, 'extra spaces in the request line'],
  ['trws', '3.1.2.10', 400, 'extra spaces in the request line'],
  ['escruri', '3.1.2.11', 400, 'header fields in the Request-URI'],
  ['badaspec', '3.1.2.14', 400, 'bad URI: white space or no scheme in " sip:t.watson@example.org "'],
  ['baddn', '3.1.2.15', 400, 'bad header field: From: display name needs quotes'],
  ['badvers', '3.1.2.16', 505, 'version not supported'],
  ['mismatch01', '3.1.2.17', 400, 'CSeq method is not the request method'],
  ['mismatch02', '3.1.2.18', 501, 'CSeq method is not the request method'],
  ['badbranch', '3.2.1', 400, 'Via: branch without identifier'],
  ['insuf', '3.3.1', 400, 'no From header field'],
  ['multi01', '3.3.8', 400, 'more than one CSeq header field'],
  ['mcl01', '3.3.9', 400, 'more than one Content-Length header field'],
];

/** Responses that are dropped: nobody may answer them. */
const dropped: [string, string, string][] = [
  ['scalarlg', '3.1.2.5', 'bad header field: CSeq: not a number below 2**31 and a method'],
  ['bigcode', '3.1.2.19', 'bad status line'],
];

describe('the torture messages of RFC 4475', () => {
  it('are all here, each with its outcome', () => {
    const files = readdirSync(folder).map((file) => file.replace('.dat', ''));
    const known = [
      ...Object.keys(wellFormed),
      ...refused.map(([name]) => name),
      ...dropped.map(([name]) => name),
    ];
    expect(files.sort()).toEqual(known.sort());
    expect(files).toHaveLength(49);
  });

  describe('that are well-formed', () => {
    it.each(Object.entries(wellFormed))('%s (§%s) survives being written and read again', (name) => {
      const parsed = read(name);
      if (parsed.kind === 'malformed') throw new Error(parsed.why);
      const again = parseDatagram(serialize(parsed.message));
      if (again.kind === 'malformed') throw new Error(again.why);
      expect(again.message.startLine()).toBe(parsed.message.startLine());
      expect(fields(again.message)).toEqual(fields(parsed.message));
      expect(Buffer.from(again.message.body)).toEqual(Buffer.from(parsed.message.body));
    });
  });

  describe('that are refused', () => {
    it.each(refused)('%s (§%s) is answered %i: %s', (name, _clause, status, why) => {
      const parsed = read(name);
      expect(parsed).toMatchObject({ kind: 'malformed', status, why });
      if (parsed.kind === 'malformed') expect(parsed.request?.headers.has('Via')).toBe(true);
    });
  });

  describe('that are dropped', () => {
    it.each(dropped)('%s (§%s) is a response nobody answers: %s', (name, _clause, why) => {
      expect(read(name)).toMatchObject({ kind: 'malformed', why, request: undefined });
    });
  });

  describe('§3.1.1 valid messages', () => {
    it('wsinv: folding, white space around separators, escapes, leading zeros', () => {
      const message = request('wsinv');
      expect(message.toTag).toBe('1918181833n');
      expect(message.to.uriText).toBe('sip:vivekg@chair-dnrc.example.com');
      expect(message.from.displayName).toBe('J Rosenberg \\"');
      expect(message.fromTag).toBe('98asjd8');
      expect(message.number('Max-Forwards')).toBe(68);
      expect(message.cseq).toEqual({ number: 9, method: 'INVITE' });
      expect(message.via).toMatchObject({ transport: 'UDP', host: '192.0.2.2', port: undefined });
      expect(message.via.params.get('branch')).toBe('390skdjuw');
      expect(message.headers.list('Via').map((via) => via.replace(/\s+/g, ''))).toEqual([
        'SIP/2.0/UDP192.0.2.2;branch=390skdjuw',
        'SIP/2.0/TCPspindle.example.com;branch=z9hG4bK9ikj8',
        'SIP/2.0/UDP192.168.255.111;branch=z9hG4bK30239',
      ]);
      expect(message.get('Subject')).toBe('');
      expect(message.get('NewFangledHeader')).toBe('newfangled value continued newfangled value');
      expect(message.get('UnknownHeaderWithUnusualValue')).toBe(';;,,;;,;');
      const [contact] = message.contacts;
      expect(contact?.displayName).toBe('Quoted string ""');
      expect(Object.fromEntries(contact!.params)).toEqual({
        newparam: 'newvalue',
        secondparam: null,
        q: '0.33',
      });
      expect(message.requestUri.param('unknownparam')).toBe('');
      expect(message.addresses('Route')[0]?.uri.param('unknown-no-value')).toBe('');
      expect(message.body).toHaveLength(150);
    });

    it('intmeth: the whole range of token, word and user characters, control characters in quoted pairs', () => {
      const message = request('intmeth');
      const method = "!interesting-Method0123456789_*+`.%indeed'~";
      expect(message.method).toBe(method);
      expect(message.cseq).toEqual({ number: 139122385, method });
      expect(message.requestUri).toMatchObject({
        user: "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
        password: "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
        host: 'example.com',
      });
      expect(message.via.params.get('branch')).toBe("z9hG4bK-.!%66*_+`'~");
      expect(message.to.displayName).toBe('BEL:\x07 NUL:\0 DEL:\x7f');
      expect(message.from.displayName).toBe("token1~` token2'+_ token3*%!.-");
      expect(message.fromTag).toBe("_token~1'+`*%!-.");
      expect(message.from.params.get("fromparam''~+*_!.-%")).toBe('"работающий"');
      expect(message.callId).toBe('intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{');
      expect(message.get("extensionHeader-!.%*+_`'~")).toBe('\ufeff大停電');
      expect(inspectAsUas(message, endpoint)).toMatchObject({
        status: 501,
        headers: { Allow: 'INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, MESSAGE' },
      });
      expect(inspectAsProxy(message, proxy)).toBeUndefined();
    });

    it('esc01: an escape stands for its character in URIs, once and not recursively', () => {
      const message = request('esc01');
      expect(message.requestUri).toMatchObject({ user: 'sips%3Auser%40example.com', host: 'example.net' });
      expect(unescape(message.requestUri.user!)).toBe('sips:user@example.com');
      expect(normalizeEscapes(message.to.uri.user!)).toBe('user');
      expect(unescape(message.from.uri.user!)).toBe('I have spaces');
      const { uri } = message.contacts[0]!;
      expect(normalizeEscapes(uri.user!)).toBe('caller');
      expect([...uri.params.keys()]).toEqual(['lr', 'name']);
      expect(unescape(uri.param('name')!)).toBe('value%41');
    });

    it('escnull: escaped NULs are characters, and two contacts differ by them', () => {
      const message = request('escnull');
      expect(unescape(message.to.uri.user!)).toBe('null-\0-null');
      const [one, two] = message.contacts;
      expect(unescape(one!.uri.user!)).toBe('\0');
      expect(unescape(two!.uri.user!)).toBe('\0\0');
      expect(sameUri(one!.uri, two!.uri)).toBe(false);
    });

    it('esc02: % is no escape in methods, display names and header field names', () => {
      const message = request('esc02');
      expect(message.method).toBe('RE%47IST%45R');
      expect(message.to.displayName).toBe('%Z%45');
      expect(message.contacts.map(({ uriText }) => uriText)).toEqual([
        'sip:alias1@host1.example.com',
        'sip:alias3@host3.example.com',
      ]);
      expect(message.get('C%6Fntact')).toBe('<sip:alias2@host2.example.com>');
      expect(inspectAsUas(message, endpoint)).toMatchObject({ status: 501 });
    });

    it('lwsdisp: no white space is needed between display name and <', () => {
      expect(request('lwsdisp').from).toMatchObject({
        displayName: 'caller',
        uriText: 'sip:caller@example.com',
      });
    });

    it('longreq: long values are read whole', () => {
      const message = request('longreq');
      expect(message.to.displayName).toBe(`I have a user name of ${'extreme'.repeat(10)} proportion`);
      expect(message.to.uri.param(`longparam${'name'.repeat(25)}`)).toBe('shortvalue');
      expect(message.fromTag).toBe(`12${'982'.repeat(50)}424`);
      expect(message.headers.list('Via')).toHaveLength(34);
      expect(message.via.host).toBe('sip33.example.com');
      expect(message.callId).toBe(`longreq.one${'really'.repeat(20)}longcallid`);
      expect(message.contacts[0]?.uri.user).toBe('amazinglylongcallername'.repeat(5));
    });

    it('dblreq: octets behind the body of a datagram are dropped', () => {
      const message = request('dblreq');
      expect(message.method).toBe('REGISTER');
      expect(message.body).toHaveLength(0);
      expect(serialize(message).includes('INVITE')).toBe(false);
    });

    it('semiuri: a user part keeps its semicolon and escaped @', () => {
      const { user, host, params } = request('semiuri').requestUri;
      expect([user, host, params.size]).toEqual(['user;par=u%40example.net', 'example.com', 0]);
      expect(unescape(user!)).toBe('user;par=u@example.net');
    });

    it('transports: Via takes every transport', () => {
      const vias = request('transports').headers.list('Via');
      expect(vias.map((via) => via.split(/[/ ]/)[2])).toEqual(['UDP', 'SCTP', 'TLS', 'UNKNOWN', 'TCP']);
    });

    it('mpart01: a binary part with NULs is framed octet for octet', () => {
      const message = request('mpart01');
      const parts = parseMultipart(message.body, message.get('Content-Type')!);
      expect(parts.map((part) => part.headers.get('Content-Type'))).toEqual([
        'text/plain',
        'application/octet-stream',
      ]);
      expect(Buffer.from(parts[0]!.body).toString()).toBe('Hello');
      expect(parts[1]!.body).toHaveLength(342);
      expect(Buffer.from(parts[1]!.body).subarray(0, 8).toString('hex')).toBe('3082015206092a86');
      expect(parseDate(message.get('Date')!)).toBe(Date.UTC(2005, 9, 15, 4, 44, 56));
    });

    it('unreason and noreason: a reason phrase may be UTF-8 or empty', () => {
      expect(response('unreason').reason).toBe('= 2**3 * 5**2 но сто девяносто девять - простое');
      expect(response('noreason')).toMatchObject({ status: 100, reason: '' });
      expect(serialize(response('noreason')).toString().startsWith('SIP/2.0 100 \r\n')).toBe(true);
    });
  });

  describe('§3.1.2 invalid messages, where the element may choose', () => {
    it('clerr: on a stream the missing octets are waited for', () => {
      const framer = new StreamFramer();
      expect(framer.push(octets('clerr'))).toEqual([]);
      expect(framer.pendingBytes).toBeGreaterThan(0);
    });

    it.each(['ncl', 'mcl01'])('%s: on a stream the connection is lost', (name) => {
      expect(new StreamFramer().push(octets(name))).toMatchObject([{ kind: 'malformed', close: true }]);
    });

    it('scalar02: expiry out of range counts as 3600', () => {
      const parsed = read('scalar02');
      if (parsed.kind !== 'malformed') throw new Error('not malformed');
      expect(parseExpires(parsed.request!.get('Expires')!)).toBe(3600);
      expect(parseExpires(parsed.request!.contacts[0]!.params.get('expires')!)).toBe(3600);
    });

    it('scalarlg: neither Retry-After nor Warning can be used', () => {
      const parsed = read('scalarlg');
      if (parsed.kind !== 'malformed') throw new Error('not malformed');
      expect(retryAfterSeconds(parsed.headers!.get('Retry-After')!)).toBeUndefined();
      expect(() => parseWarning(parsed.headers!.get('Warning')!)).toThrow('Warning: no code of three digits');
    });

    it('baddate: only who needs the date minds its time zone', () => {
      expect(parseDate(request('baddate').get('Date')!)).toBeUndefined();
    });

    it('regbadct: a registrar that reads the Contact refuses it', () => {
      expect(() => request('regbadct').contacts).toThrow(
        'bad header field: Contact: a URI with comma or question mark needs angle brackets',
      );
    });
  });

  describe('§3.3 messages whose meaning the element decides on', () => {
    it('unkscm and novelsc: a Request-URI of a scheme that is not served gets 416', () => {
      for (const name of ['unkscm', 'novelsc']) {
        expect(inspectAsProxy(request(name), proxy)).toMatchObject({ status: 416 });
        expect(inspectAsUas(request(name), endpoint)).toMatchObject({ status: 416 });
      }
    });

    it('unksm2: the schemes in To, From and Contact are read; a registrar sees that To is no SIP URI', () => {
      const message = request('unksm2');
      expect(message.to.uri).toMatchObject({ scheme: 'isbn', opaque: '2983792873', isSip: false });
      expect(message.from.uri.scheme).toBe('http');
      expect(message.contacts[0]!.uri.scheme).toBe('name');
      expect(inspectAsProxy(message, proxy)).toBeUndefined();
    });

    it('bext01: 420 lists what the role does not understand', () => {
      expect(inspectAsUas(request('bext01'), endpoint)).toMatchObject({
        status: 420,
        headers: { Unsupported: 'nothingSupportsThis, nothingSupportsThisEither' },
      });
      expect(inspectAsProxy(request('bext01'), proxy)).toMatchObject({
        status: 420,
        headers: { Unsupported: 'noProxiesSupportThis, norDoAnyProxiesSupportThis' },
      });
    });

    it('invut: an endpoint answers 415 with Accept, a proxy does not look', () => {
      expect(inspectAsUas(request('invut'), endpoint)).toMatchObject({
        status: 415,
        headers: { Accept: 'application/sdp, text/plain' },
      });
      expect(inspectAsProxy(request('invut'), proxy)).toBeUndefined();
    });

    it('regaut01: credentials of an unknown scheme are carried as they are', () => {
      expect(serialize(request('regaut01')).toString()).toContain(
        'Authorization: NoOneKnowsThisScheme opaque-data=here\r\n',
      );
    });

    it('bcast: a response is not forwarded to a broadcast address', () => {
      const message = response('bcast');
      expect(message.headers.list('Via')).toHaveLength(2);
      message.headers.shift('Via');
      expect(message.via.host).toBe('255.255.255.255');
      expect(isUnicastSentBy(message.via)).toBe(false);
    });

    it('zeromf: a proxy answers 483, an endpoint goes on', () => {
      expect(inspectAsProxy(request('zeromf'), proxy)).toMatchObject({ status: 483 });
      expect(inspectAsUas(request('zeromf'), endpoint)).toBeUndefined();
    });

    it('cparam01, cparam02: a parameter belongs to the field without angle brackets, to the URI inside them', () => {
      const [field] = request('cparam01').contacts;
      expect([field?.params.has('unknownparam'), field?.uri.params.has('unknownparam')]).toEqual([
        true,
        false,
      ]);
      const [uri] = request('cparam02').contacts;
      expect([uri?.params.has('unknownparam'), uri?.uri.params.has('unknownparam')]).toEqual([false, true]);
    });

    it('regescrt: the escaped header stays in the contact URI', () => {
      const { uri } = request('regescrt').contacts[0]!;
      expect(uri.headers).toBe('Route=%3Csip:sip.example.com%3E');
      expect(uri.toString()).toBe('sip:user@example.com?Route=%3Csip:sip.example.com%3E');
    });

    it('sdp01: 406 when the answer cannot be SDP', () => {
      expect(refuseAnswer(request('sdp01'), 'application/sdp')).toMatchObject({ status: 406 });
      expect(refuseAnswer(request('invut'), 'application/sdp')).toBeUndefined();
    });

    it('inv2543: without branch, From tag, Max-Forwards and Content-Length', () => {
      const message = request('inv2543');
      expect([message.via.params.get('branch'), message.fromTag, message.number('Max-Forwards')]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      expect(message.from.uri.param('user')).toBe('phone');
      expect(message.body).toHaveLength(105);
    });
  });
});
