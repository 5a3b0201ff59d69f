import { randomBytes } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import '../errors.js';
import { mediaParam, parseMediaType } from './content.js';
import { Headers, type HeaderMap } from './headers.js';
import { readFields } from './read-headers.js';

/** One part of a multipart body (RFC 2046 §5.1). */
export interface BodyPart {
  readonly headers: Headers;
  /** The octets between the part's empty line and the CRLF before the next boundary, as they are. */
  readonly body: Uint8Array;
  /** The parts of a part that is multipart itself, else empty. */
  readonly parts: readonly BodyPart[];
}

export interface MultipartLimits {
  /** Multiparts inside multiparts; 1 allows none inside. */
  readonly depth: number;
  /** Parts in all. */
  readonly parts: number;
  /** Octets of the header fields of one part. */
  readonly headBytes: number;
}

export const defaultMultipartLimits: MultipartLimits = { depth: 4, parts: 128, headBytes: 16_384 };

const CRLF = Buffer.from('\r\n');
const EMPTY_LINE = Buffer.from('\r\n\r\n');
const DASH = 45;

/** RFC 2046 §5.1.1: 1 to 70 characters, not ending in a space. */
const BOUNDARY = /^[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]$/;

/**
 * Takes a multipart body apart (RFC 2046 §5.1, RFC 5621). Bodies share memory with `body`.
 * @param contentType the Content-Type value with its boundary.
 * @throws ParleyError `sip-bad-message` for a body that is not what the type says or goes over a limit,
 * `sip-bad-header` for a Content-Type that cannot be read.
 */
export function parseMultipart(
  body: Uint8Array,
  contentType: string,
  limits: MultipartLimits = defaultMultipartLimits,
): BodyPart[] {
  const data = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return readParts(data, contentType, limits, { depth: 1, parts: 0 });
}

/** All parts that hold no parts themselves, in order. */
export function leafParts(parts: readonly BodyPart[]): BodyPart[] {
  return parts.flatMap((part) => (part.parts.length === 0 ? [part] : leafParts(part.parts)));
}

interface Progress {
  readonly depth: number;
  parts: number;
}

function readParts(
  data: Buffer,
  contentType: string,
  limits: MultipartLimits,
  progress: Progress,
): BodyPart[] {
  if (progress.depth > limits.depth) throw fail('nested too deep');
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`, 'latin1');
  const found: BodyPart[] = [];
  let line = firstDelimiter(data, delimiter);
  while (!line.last) {
    if (++progress.parts > limits.parts) throw fail('too many parts');
    const next = nextDelimiter(data, delimiter, line.end);
    found.push(readPart(data.subarray(line.end, next.start), limits, progress));
    line = next;
  }
  if (found.length === 0) throw fail('no parts');
  return found;
}

function boundaryOf(contentType: string): string {
  const media = parseMediaType(contentType);
  if (!media.type.startsWith('multipart/')) throw fail('not a multipart Content-Type');
  const boundary = mediaParam(media, 'boundary');
  if (boundary === undefined || !BOUNDARY.test(boundary)) throw fail('no usable boundary');
  return boundary;
}

/** A boundary line: where its CRLF begins, where the next part does, and whether it is the closing one. */
interface Delimiter {
  readonly start: number;
  readonly end: number;
  readonly last: boolean;
}

function firstDelimiter(data: Buffer, delimiter: Buffer): Delimiter {
  const dashed = delimiter.subarray(2);
  const atStart = data.subarray(0, dashed.length).equals(dashed);
  const line = atStart ? delimiterAt(data, 0, dashed.length) : undefined;
  return line ?? nextDelimiter(data, delimiter, 0);
}

function nextDelimiter(data: Buffer, delimiter: Buffer, from: number): Delimiter {
  for (let at = data.indexOf(delimiter, from); at >= 0; at = data.indexOf(delimiter, at + 2)) {
    const line = delimiterAt(data, at, at + delimiter.length);
    if (line) return line;
  }
  throw fail('boundary missing');
}

/** Reads what follows a boundary; undefined when it is only the beginning of a longer word. */
function delimiterAt(data: Buffer, start: number, pos: number): Delimiter | undefined {
  if (data[pos] === DASH && data[pos + 1] === DASH) return { start, end: pos + 2, last: true };
  let end = pos;
  while (data[end] === 32 || data[end] === 9) end++; // transport padding
  return data[end] === 13 && data[end + 1] === 10 ? { start, end: end + 2, last: false } : undefined;
}

function readPart(data: Buffer, limits: MultipartLimits, progress: Progress): BodyPart {
  const bare = data.length === 0 || data.subarray(0, 2).equals(CRLF);
  const headEnd = bare ? 0 : data.indexOf(EMPTY_LINE);
  const head = headEnd < 0 ? data : data.subarray(0, headEnd);
  if (head.length > limits.headBytes) throw fail('header fields of a part too large');
  const { headers, wrong } = readFields(head.toString('utf8'), 0, 64);
  if (wrong !== undefined) throw fail(wrong);
  const body = headEnd < 0 ? data.subarray(data.length) : data.subarray(headEnd + (bare ? 2 : 4));
  const type = headers.get('Content-Type');
  if (type === undefined || !/^multipart\//i.test(type)) return { headers, body, parts: [] };
  const inside = { depth: progress.depth + 1, parts: progress.parts };
  const parts = readParts(body, type, limits, inside);
  progress.parts = inside.parts;
  return { headers, body, parts };
}

/** A part to be written. */
export interface NewPart {
  readonly headers: HeaderMap;
  readonly body: Uint8Array | string;
}

/** A multipart body and the Content-Type that goes with it. */
export interface Multipart {
  readonly contentType: string;
  readonly body: Buffer;
}

/**
 * Writes a multipart body, octet for octet what the parts hold (RFC 2046 §5.1.1).
 * @param boundary 1 to 70 characters that occur in no part; a random one when absent.
 * @param type with parameters if need be: `multipart/related;type="application/cpim-pidf+xml"`.
 * @throws ParleyError `sip-bad-message` for a boundary that is bad or occurs in a part.
 */
export function buildMultipart(
  parts: readonly NewPart[],
  type = 'multipart/mixed',
  boundary = randomBytes(12).toString('hex'),
): Multipart {
  if (!BOUNDARY.test(boundary)) throw fail('no usable boundary');
  const delimiter = `--${boundary}`;
  const pieces: Uint8Array[] = [];
  for (const part of parts) {
    const body = typeof part.body === 'string' ? Buffer.from(part.body, 'utf8') : part.body;
    if (Buffer.from(body.buffer, body.byteOffset, body.byteLength).includes(delimiter))
      throw fail('the boundary occurs in a part');
    const head = `${delimiter}\r\n${Headers.from(part.headers).toWire()}\r\n`;
    pieces.push(Buffer.from(head, 'utf8'), body, CRLF);
  }
  pieces.push(Buffer.from(`${delimiter}--\r\n`, 'latin1'));
  const quoted = /^[A-Za-z0-9'+_\-.]+$/.test(boundary) ? boundary : `"${boundary}"`;
  return { contentType: `${type};boundary=${quoted}`, body: Buffer.concat(pieces) };
}

function fail(why: string): ParleyError {
  return new ParleyError('sip-bad-message', `multipart: ${why}`);
}
