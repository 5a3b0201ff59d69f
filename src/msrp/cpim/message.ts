import { msrpError } from '../errors.js';
import { formatCpimAddress, type CpimAddress } from './address.js';
import { escapeCpim } from './escapes.js';
import { CPIM_NAMESPACE, defaultCpimLimits, readCpimHead, type CpimHead, type CpimLimits } from './head.js';

/** A Message/CPIM in memory. `content` is a view of the octets parsed, byte for byte. */
export interface CpimMessage {
  readonly head: CpimHead;
  readonly content: Buffer;
}

/** Messages in messages that {@link innermostCpim} follows. */
const MAX_DEPTH = 4;

/**
 * @param octets the whole message.
 * @throws ParleyError `cpim-malformed`, also when a header section does not end, or `cpim-too-large`.
 */
export function parseCpim(octets: Uint8Array, limits: CpimLimits = defaultCpimLimits): CpimMessage {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const head = readCpimHead(buffer, limits);
  if (!head) throw msrpError('cpim-malformed', 'a header section does not end');
  return { head, content: buffer.subarray(head.length) };
}

/**
 * The message that is not itself a Message/CPIM, where one wraps another (RFC 3862 §6).
 * @throws ParleyError `cpim-nested-too-deep` beyond four levels, and what {@link parseCpim} throws.
 */
export function innermostCpim(octets: Uint8Array, limits: CpimLimits = defaultCpimLimits): CpimMessage {
  return unwrapCpim(parseCpim(octets, limits), limits);
}

/** The same, of a message whose outer head is parsed. @throws as {@link innermostCpim} */
export function unwrapCpim(outer: CpimMessage, limits: CpimLimits = defaultCpimLimits): CpimMessage {
  let message = outer;
  for (let depth = 1; message.head.mediaType === 'message/cpim'; depth++) {
    if (depth === MAX_DEPTH) throw msrpError('cpim-nested-too-deep');
    message = parseCpim(message.content, limits);
  }
  return message;
}

/** What {@link formatCpim} writes, in that order. */
export interface CpimParts {
  readonly from: CpimAddress;
  readonly to: readonly CpimAddress[];
  /** RFC 3339 date-time. */
  readonly dateTime?: string | undefined;
  readonly subject?: string | undefined;
  /** Further namespaces by prefix, each declared before its fields. */
  readonly namespaces?: Readonly<
    Record<string, { uri: string; fields: readonly [name: string, value: string][] }>
  >;
  /** MIME header fields; Content-Type is wanted, Content-Length is written here. */
  readonly mime: readonly [name: string, value: string][];
  readonly content: Uint8Array;
}

/** @throws ParleyError `cpim-malformed` when a part cannot be written as one line. */
export function formatCpim(parts: CpimParts): Buffer {
  const lines = [`From: ${formatCpimAddress(parts.from)}`];
  for (const to of parts.to) lines.push(`To: ${formatCpimAddress(to)}`);
  if (parts.dateTime !== undefined) lines.push(`DateTime: ${escapeCpim(parts.dateTime)}`);
  if (parts.subject !== undefined) lines.push(`Subject: ${escapeCpim(parts.subject)}`);
  for (const [prefix, { uri, fields }] of Object.entries(parts.namespaces ?? {})) {
    lines.push(`NS: ${prefix} <${uri}>`);
    for (const [name, value] of fields) lines.push(`${prefix}.${name}: ${escapeCpim(value)}`);
  }
  lines.push('');
  for (const [name, value] of parts.mime) lines.push(`${name}: ${value}`);
  lines.push(`Content-Length: ${parts.content.length}`, '', '');
  if (lines.some((line) => /[\r\n]/.test(line)))
    throw msrpError('cpim-malformed', 'a line break in a header');
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'utf8'), parts.content]);
}

/** Changes to the header fields of a message; everything else keeps its octets. */
export interface CpimChanges {
  /** Replaces From. */
  readonly from?: CpimAddress;
  /** Replaces all To. */
  readonly to?: CpimAddress;
  /** Whole lines, without CRLF, added after the last message header field. */
  readonly add?: readonly string[];
}

/**
 * The head with some fields changed; the content is to follow it unchanged.
 * Only the sender and those whom RFC 5438 §8 allows may change a message.
 */
export function rewriteCpimHead(head: CpimHead, changes: CpimChanges): Buffer {
  const lines: string[] = [];
  const replace = { From: changes.from, To: changes.to };
  for (const { name, namespace, line } of head.fields) {
    const address =
      namespace === CPIM_NAMESPACE && (name === 'From' || name === 'To') ? replace[name] : undefined;
    if (address === undefined) lines.push(line);
    else if (!lines.some((done) => done.startsWith(`${name}: `)))
      lines.push(`${name}: ${formatCpimAddress(address)}`);
  }
  lines.push(...(changes.add ?? []), '', ...head.mimeLines, '', '');
  return Buffer.from(lines.join('\r\n'), 'utf8');
}
