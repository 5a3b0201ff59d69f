import { isUtf8 } from 'node:buffer';
import { msrpError } from '../errors.js';
import { parseCpimAddress, type CpimAddress } from './address.js';
import { unescapeCpim } from './escapes.js';

/** Namespace of the header fields without a prefix (RFC 3862 §4). */
export const CPIM_NAMESPACE = 'urn:ietf:params:cpim-headers:';
/** Namespace of the header fields of RFC 5438 §6. */
export const IMDN_NAMESPACE = 'urn:ietf:params:imdn';

/** One message header field. */
export interface CpimField {
  /** URI of the namespace; undefined when its prefix was never declared. */
  readonly namespace: string | undefined;
  readonly name: string;
  /** As written, escapes included; {@link unescapeCpim} gives the text. */
  readonly value: string;
  /** Parameters between colon and value, such as `lang=fr`, or an empty text (RFC 3862 §3.3). */
  readonly parameters: string;
  /** The whole line without its CRLF. */
  readonly line: string;
}

export interface CpimLimits {
  /** Octets of both header sections together. */
  readonly octets: number;
  /** Header fields of both sections together. */
  readonly fields: number;
}

export const defaultCpimLimits: CpimLimits = { octets: 16_384, fields: 128 };

/** Everything of a Message/CPIM before its content: message header fields and MIME header fields (RFC 3862 §2). */
export class CpimHead {
  readonly fields: readonly CpimField[];
  /** Whole lines of the MIME section, without CRLF; a folded line is one entry. */
  readonly mimeLines: readonly string[];
  /** Octets before the content. */
  readonly length: number;

  constructor(fields: readonly CpimField[], mimeLines: readonly string[], length: number) {
    this.fields = fields;
    this.mimeLines = mimeLines;
    this.length = length;
  }

  /** Values with escapes resolved, in order. Names are case-sensitive (RFC 3862 §4). */
  values(name: string, namespace = CPIM_NAMESPACE): string[] {
    return this.fields
      .filter((field) => field.name === name && field.namespace === namespace)
      .map((field) => unescapeCpim(field.value));
  }

  /** The first value, or undefined. */
  value(name: string, namespace = CPIM_NAMESPACE): string | undefined {
    return this.values(name, namespace)[0];
  }

  /** @throws ParleyError `cpim-malformed` when there is a From that is no address, or there are two. */
  get from(): CpimAddress | undefined {
    const all = this.#addresses('From');
    if (all.length > 1) throw msrpError('cpim-malformed', 'two From header fields');
    return all[0];
  }

  /** @throws ParleyError `cpim-malformed` when one is no address. */
  get to(): CpimAddress[] {
    return this.#addresses('To');
  }

  /** The MIME header field of that name in any case, or undefined. */
  mime(name: string): string | undefined {
    const prefix = `${name.toLowerCase()}:`;
    const line = this.mimeLines.find((candidate) => candidate.toLowerCase().startsWith(prefix));
    return line
      ?.slice(prefix.length)
      .replace(/\r\n[ \t]+/g, ' ')
      .trim();
  }

  /** Media type of the content in lower case without parameters. */
  get mediaType(): string | undefined {
    return this.mime('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  }

  #addresses(name: string): CpimAddress[] {
    return this.fields
      .filter((field) => field.name === name && field.namespace === CPIM_NAMESPACE)
      .map((field) => parseCpimAddress(field.value));
  }
}

/** `Name:;param=value text`, the name perhaps with a prefix. */
const fieldPattern =
  /^(?:([A-Za-z0-9!#$%&'*+^_`|~-]+)\.)?([A-Za-z0-9!#$%&'*+^_`|~-]+):((?:;[^\s;"]+(?:"[^"]*")?)*) ?(.*)$/su;
const mimeFieldPattern = /^[A-Za-z0-9!#$%&'*+^_`|~.-]+:/u;
const CRLF_CRLF = Buffer.from('\r\n\r\n');

/**
 * Reads the head of a Message/CPIM from the octets that have arrived.
 * @returns undefined while its end has not arrived.
 * @throws ParleyError `cpim-malformed` or `cpim-too-large`.
 */
export function readCpimHead(octets: Buffer, limits: CpimLimits = defaultCpimLimits): CpimHead | undefined {
  const endOfFields = octets.indexOf(CRLF_CRLF);
  // the section of MIME header fields may be empty no more than that of message header fields
  const endOfMime = endOfFields < 0 ? -1 : octets.indexOf(CRLF_CRLF, endOfFields + 4);
  if (endOfMime < 0) {
    if (octets.length > limits.octets) throw msrpError('cpim-too-large');
    return undefined;
  }
  if (endOfMime + 4 > limits.octets) throw msrpError('cpim-too-large');
  if (!isUtf8(octets.subarray(0, endOfMime))) throw msrpError('cpim-malformed', 'not UTF-8');
  const lines = octets.toString('utf8', 0, endOfFields).split('\r\n');
  const mimeLines = octets.toString('utf8', endOfFields + 4, endOfMime).split(/\r\n(?![ \t])/);
  if (lines.length + mimeLines.length > limits.fields) throw msrpError('cpim-too-large', 'header fields');
  if (!mimeLines.every((line) => mimeFieldPattern.test(line)))
    throw msrpError('cpim-malformed', 'MIME header section');
  const head = new CpimHead(readFields(lines), mimeLines, endOfMime + 4);
  if (head.mediaType === undefined) throw msrpError('cpim-malformed', 'Content-Type is missing');
  return head;
}

function readFields(lines: readonly string[]): CpimField[] {
  // Clients write imdn fields without declaring the prefix, and look for it literally in what they receive.
  const prefixes = new Map<string, string>([['imdn', IMDN_NAMESPACE]]);
  let defaultNamespace = CPIM_NAMESPACE;
  return lines.map((line) => {
    const found = fieldPattern.exec(line);
    if (!found || /[\r\n\0]/.test(line)) throw msrpError('cpim-malformed', 'message header section');
    const [, prefix, name, parameters, value] = found;
    const namespace = prefix === undefined ? defaultNamespace : prefixes.get(prefix);
    if (prefix === undefined && name === 'NS') {
      const declared = /^(?:([A-Za-z0-9!#$%&'*+^_`|~-]+) )? *<([^<>\s]+)>$/u.exec(value!.trim());
      if (!declared) throw msrpError('cpim-malformed', 'NS');
      if (declared[1] === undefined) defaultNamespace = declared[2]!;
      else prefixes.set(declared[1], declared[2]!);
      return { namespace: CPIM_NAMESPACE, name, value: value!, parameters: '', line };
    }
    return { namespace, name: name!, value: value!, parameters: parameters!.slice(1), line };
  });
}
