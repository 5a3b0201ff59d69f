import { isAscii, isUtf8 } from 'node:buffer';
import { ParleyError } from '../../base/errors.js';
import { Headers } from './headers.js';
import { parseNumber } from './lexer.js';
import { SipRequest, SipResponse, type Charset, type SipMessage } from './message.js';
import { headerKey, knownKey, TOKEN } from './names.js';

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
  why,
  status,
  request,
  headers,
});

/** Index of the CRLF CRLF that ends the head, searched from `from`; -1 when it is not there. */
export function findHeadEnd(data: Buffer, from = 0): number {
  return data.indexOf('\r\n\r\n', from, 'latin1');
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
    const last = data.length >= 2 && data[data.length - 1] === 10 ? data.length - 2 : data.length;
    const parsed = parseHead(data, start, last, limits);
    return parsed.kind === 'request'
      ? malformed('no empty line after the header fields', parsed.message)
      : parsed;
  }
  const parsed = parseHead(data, start, end, limits);
  if (parsed.kind === 'malformed') return parsed;
  const bodyStart = end + 4;
  const available = data.length - bodyStart;
  const announced = contentLength(parsed.message.headers);
  const request = parsed.kind === 'request' ? parsed.message : undefined;
  if (typeof announced === 'string') return malformed(announced, request);
  if (announced !== undefined && announced > available)
    return malformed('body shorter than Content-Length', request);
  parsed.message.body = data.subarray(bodyStart, bodyStart + (announced ?? available));
  return parsed;
}

/** The number in Content-Length, undefined when the field is absent, or what is wrong with it. */
export function contentLength(headers: Headers): number | string | undefined {
  const text = headers.get('Content-Length');
  if (text === undefined) return undefined;
  const lines = headers.lines('Content-Length');
  if (lines.length > 1 && lines.some((line) => line !== text))
    return 'Content-Length twice with different values';
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
  const charset: Charset = isAscii(octets) || !isUtf8(octets) ? 'latin1' : 'utf8';
  const text = data.toString(charset, start, end);
  const lineEnd = text.indexOf('\r\n');
  const startLine = lineEnd < 0 ? text : text.slice(0, lineEnd);
  const headers = new Headers();
  const wrong = lineEnd < 0 ? 'no header fields' : readHeaders(text, lineEnd + 2, headers, limits);
  return startLine.startsWith('SIP/')
    ? finishResponse(startLine, headers, charset, wrong)
    : finishRequest(startLine, headers, charset, wrong);
}

/** Fills `headers` from the lines of `text` after `pos`. @returns what is wrong, if anything. */
function readHeaders(text: string, pos: number, headers: Headers, limits: ParseLimits): string | undefined {
  let wrong: string | undefined;
  let count = 0;
  while (pos < text.length) {
    let end = text.indexOf('\r\n', pos);
    if (end < 0) end = text.length;
    let folded = false;
    let next = end + 2;
    while (next < text.length && (text.charCodeAt(next) === 32 || text.charCodeAt(next) === 9)) {
      folded = true; // RFC 3261 §7.3.1: a line that begins with white space goes on
      end = text.indexOf('\r\n', next);
      if (end < 0) end = text.length;
      next = end + 2;
    }
    if (++count > limits.headerCount) return 'too many header fields';
    wrong ??= readHeader(text, pos, end, folded, headers);
    pos = next;
  }
  return wrong;
}

function readHeader(
  text: string,
  start: number,
  end: number,
  folded: boolean,
  headers: Headers,
): string | undefined {
  const colon = text.indexOf(':', start);
  if (colon < 0 || colon >= end) return 'header field without colon';
  let name = text.slice(start, colon);
  let key = knownKey(name);
  if (key === undefined) {
    name = name.trimEnd();
    if (!TOKEN.test(name)) return 'bad header field name';
    key = headerKey(name);
  }
  let from = colon + 1;
  while (from < end && (text.charCodeAt(from) === 32 || text.charCodeAt(from) === 9)) from++;
  let to = end;
  while (to > from && (text.charCodeAt(to - 1) === 32 || text.charCodeAt(to - 1) === 9)) to--;
  let value = text.slice(from, to);
  if (folded) value = value.replace(/[ \t]*\r\n[ \t]+/g, ' ').trim();
  headers.push(key, name, value);
  return /[\r\n\0]/.test(value) ? `control character in ${name}` : undefined;
}

const mandatory = ['via', 'from', 'to', 'call-id', 'cseq'] as const;
const single = ['from', 'to', 'call-id', 'cseq', 'max-forwards', 'content-type', 'expires'] as const;

/** What makes a message unfit for any processing, in words. Decoding here is remembered by the message. */
function violation(message: SipMessage): string | undefined {
  const { headers } = message;
  for (const key of mandatory) if (!headers.has(key)) return `no ${key} header field`;
  for (const key of single) if (headers.lines(key).length > 1) return `more than one ${key} header field`;
  try {
    void message.via;
    void message.from;
    void message.to;
    void message.cseq;
    if (message.callId === '' || /\s/.test(message.callId)) return 'bad Call-ID';
    void message.number('Max-Forwards', 255);
  } catch (error) {
    if (error instanceof ParleyError) return error.message;
    throw error;
  }
  return undefined;
}

const REQUEST_LINE = /^([A-Za-z0-9\-.!%*_+`'~]+) ([^\s<>]+) SIP\/(\d+)\.(\d+)$/i;

function finishRequest(line: string, headers: Headers, charset: Charset, wrong: string | undefined): Parsed {
  const match = REQUEST_LINE.exec(line);
  if (!match) {
    const loose = /^([A-Za-z0-9\-.!%*_+`'~]+)\s/.exec(line);
    // answerable when it looks like a request at all: RFC 4475 §3.1.2.7 to 3.1.2.10
    const request =
      loose && headers.has('via')
        ? new SipRequest(loose[1]!, 'sip:invalid.invalid', headers, undefined, charset)
        : undefined;
    return malformed('bad request line', request);
  }
  const request = new SipRequest(match[1]!, match[2]!, headers, undefined, charset);
  if (match[3] !== '2' || match[4] !== '0') return malformed('version not supported', request, 505);
  const broken = wrong ?? violation(request);
  if (broken !== undefined) return malformed(broken, request);
  if (request.cseq.method !== request.method)
    return malformed('CSeq method is not the request method', request);
  return { kind: 'request', message: request };
}

const STATUS_LINE = /^SIP\/2\.0 ([1-6]\d\d) (.*)$/i;

function finishResponse(line: string, headers: Headers, charset: Charset, wrong: string | undefined): Parsed {
  const match = STATUS_LINE.exec(line) ?? /^SIP\/2\.0 ([1-6]\d\d)()$/i.exec(line);
  if (!match) return malformed('bad status line');
  const response = new SipResponse(Number(match[1]), match[2]!, headers, undefined, charset);
  const broken = wrong ?? violation(response);
  return broken === undefined
    ? { kind: 'response', message: response }
    : malformed(broken, undefined, 400, headers);
}
