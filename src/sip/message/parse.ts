import { isAscii, isUtf8 } from 'node:buffer';
import { ParleyError } from '../../base/errors.js';
import type { Headers } from './headers.js';
import { parseNumber } from './lexer.js';
import { SipRequest, SipResponse, type Charset, type SipMessage } from './message.js';
import { knownMethods, TOKEN } from './names.js';
import { readHeaders } from './read-headers.js';
import { MAGIC_COOKIE } from './via.js';

/** Limits on one message. Bodies are limited by the transport, which sees their announced length first. */
export interface ParseLimits {
  /** Octets of start line and header fields. */
  readonly headBytes: number;
  readonly headerCount: number;
}

export const defaultLimits: ParseLimits = { headBytes: 65_535, headerCount: 512 };

/**
 * What parsing gives. `malformed` says why in words fit for a reason phrase; `request` is there when enough could
 * be read to answer it (RFC 4475 asks for a 400 with an informative reason), and `status` is what to answer.
 * Of `request`, only the texts of header fields and the method are sure: its decoding getters may throw.
 */
export type Parsed =
  | { readonly kind: 'request'; readonly message: SipRequest }
  | { readonly kind: 'response'; readonly message: SipResponse }
  | {
      readonly kind: 'malformed';
      readonly why: string;
      readonly status: number;
      readonly request: SipRequest | undefined;
      /** The header fields as far as they could be read. */
      readonly headers: Headers | undefined;
    };

const malformed = (why: string, request?: SipRequest, status = 400, headers = request?.headers): Parsed => ({
  kind: 'malformed',
  why: asReason(why),
  status,
  request,
  headers,
});

/** Words that may quote the message, short and fit for a reason phrase. */
function asReason(words: string): string {
  const clean = words.replace(/\p{Cc}/gu, ' ');
  return clean.length > 120 ? `${clean.slice(0, 117)}...` : clean;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** Index of the CRLF CRLF that ends the head, searched from `from`; -1 when it is not there. */
export function findHeadEnd(data: Buffer, from = 0): number {
  return data.indexOf(HEAD_END, from);
}

/**
 * Parses one whole datagram (RFC 3261 §18.3): the body is what Content-Length says, or all that follows.
 * Never throws.
 */
export function parseDatagram(data: Buffer, limits: ParseLimits = defaultLimits): Parsed {
  let start = 0;
  while (data[start] === 13 && data[start + 1] === 10) start += 2;
  const end = findHeadEnd(data, start);
  if (end < 0) {
    // a head without its empty line: read what is there, so that it can be answered
    const ended = data.length >= start + 2 && data[data.length - 2] === 13 && data[data.length - 1] === 10;
    const parsed = parseHead(data, start, ended ? data.length - 2 : data.length, limits);
    return parsed.kind === 'malformed'
      ? parsed
      : malformed('no empty line after the header fields', requestOf(parsed));
  }
  const parsed = parseHead(data, start, end, limits);
  if (parsed.kind === 'malformed') return parsed;
  const bodyStart = end + 4;
  const available = data.length - bodyStart;
  const announced = contentLength(parsed.message.headers) ?? available;
  if (typeof announced === 'string') return malformed(announced, requestOf(parsed));
  if (announced > available) return malformed('body shorter than Content-Length', requestOf(parsed));
  if (announced > 0) parsed.message.body = data.subarray(bodyStart, bodyStart + announced);
  return parsed;
}

function requestOf(parsed: Exclude<Parsed, { kind: 'malformed' }>): SipRequest | undefined {
  return parsed.kind === 'request' ? parsed.message : undefined;
}

/** The number in Content-Length, undefined when the field is absent, or what is wrong with it. */
export function contentLength(headers: Headers): number | string | undefined {
  const text = headers.getByKey('content-length');
  if (text === undefined) return undefined;
  return parseNumber(text, 0x7fff_ffff) ?? 'Content-Length is not a number';
}

/** Parses start line and header fields of `data[start..end)`, without the empty line; the body is left empty. Never throws. */
export function parseHead(
  data: Buffer,
  start: number,
  end: number,
  limits: ParseLimits = defaultLimits,
): Parsed {
  if (end - start > limits.headBytes) return malformed('header fields too large', undefined, 513);
  const octets = data.subarray(start, end);
  const ascii = isAscii(octets);
  const charset: Charset = ascii || isUtf8(octets) ? 'utf8' : 'latin1';
  const text = octets.toString(ascii ? 'latin1' : charset);
  const lineEnd = text.indexOf('\r\n');
  const { headers, wrong } = readHeaders(text, lineEnd < 0 ? text.length : lineEnd + 2, limits.headerCount);
  const startLine = lineEnd < 0 ? text : text.slice(0, lineEnd);
  return startsWithVersion(startLine)
    ? finishResponse(startLine, headers, charset, wrong)
    : finishRequest(startLine, headers, charset, wrong);
}

/** No method holds a slash, so this tells responses from requests. */
function startsWithVersion(line: string): boolean {
  return line.startsWith('/', 3) && /^sip/i.test(line);
}

const REQUEST_LINE = /^[A-Za-z0-9\-.!%*_+`'~]+ [^\s<]\S* SIP\/2\.0$/i;

function finishRequest(line: string, headers: Headers, charset: Charset, wrong: string | undefined): Parsed {
  const good = REQUEST_LINE.test(line);
  const methodEnd = line.indexOf(' ');
  const method = methodEnd < 0 ? line : line.slice(0, methodEnd);
  // without a method and a Via there is nobody to answer
  if (headers.getByKey('via') === undefined || (!good && !TOKEN.test(method)))
    return malformed('not a SIP request', undefined, 400, headers);
  const uri = good ? line.slice(methodEnd + 1, -8) : 'sip:invalid';
  const request = new SipRequest(method, uri, headers, undefined, charset);
  if (!good) return refuseRequestLine(line, request);
  const broken = wrong ?? violation(request) ?? requestViolation(request);
  if (broken !== undefined) return malformed(broken, request);
  if (request.cseq.method === method) return { kind: 'request', message: request };
  // RFC 4475 §3.1.2.18: for a method that we do not know, 501 says more
  return malformed('CSeq method is not the request method', request, knownMethods.has(method) ? 400 : 501);
}

/** RFC 3261 §7.1: method, URI and version with one space between each and none elsewhere. */
function refuseRequestLine(line: string, request: SipRequest): Parsed {
  const rest = line.slice(request.method.length + 1);
  const last = rest.lastIndexOf(' ');
  if (last < 0) return malformed('request line without URI and version', request);
  if (/^ | {2}| $/.test(rest)) return malformed('extra spaces in the request line', request);
  if (!/^SIP\/\d+\.\d+$/i.test(rest.slice(last + 1)))
    return malformed('request line without SIP version', request);
  if (rest.startsWith('<')) return malformed('angle brackets around the Request-URI', request);
  return /\s/.test(rest.slice(0, last))
    ? malformed('white space in the Request-URI', request)
    : malformed('version not supported', request, 505);
}

/** What makes a message unfit for any processing, in words. Decoding here is remembered by the message. */
function violation(message: SipMessage): string | undefined {
  try {
    void message.via;
    void message.cseq;
    if (message.fromTag === '' || message.toTag === '') return 'empty tag';
    if (isBadCallId(message.callId)) return 'bad Call-ID';
    void message.number('Max-Forwards', 255);
  } catch (error) {
    return words(error);
  }
  return undefined;
}

function isBadCallId(text: string): boolean {
  return text === '' || text.includes(' ') || text.includes('\t');
}

/** What only requests are refused for. */
function requestViolation(request: SipRequest): string | undefined {
  try {
    if (request.requestUri.headers !== undefined) return 'header fields in the Request-URI'; // RFC 3261 §19.1.1, table 1
    // RFC 4475 §3.2.1: the cookie promises an identifier behind it
    return request.via.params.get('branch') === MAGIC_COOKIE ? 'Via: branch without identifier' : undefined;
  } catch (error) {
    return words(error);
  }
}

function words(error: unknown): string {
  if (error instanceof ParleyError) return error.message;
  throw error;
}

const STATUS_LINE = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/i;

function finishResponse(line: string, headers: Headers, charset: Charset, wrong: string | undefined): Parsed {
  const match = STATUS_LINE.exec(line);
  if (!match) return malformed('bad status line', undefined, 400, headers);
  const response = new SipResponse(Number(match[1]), match[2] ?? '', headers, undefined, charset);
  const broken = wrong ?? violation(response);
  return broken === undefined
    ? { kind: 'response', message: response }
    : malformed(broken, undefined, 400, headers);
}
