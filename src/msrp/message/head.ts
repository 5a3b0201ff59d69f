import { malformed } from '../errors.js';
import { parseByteRange, type ByteRange } from './byte-range.js';

/** `+`: more chunks follow, `$`: the message is complete, `#`: the sender gave the message up (RFC 4975 §7.1). */
export type ContinuationFlag = '+' | '$' | '#';

export type FailureReport = 'yes' | 'no' | 'partial';

/**
 * Start line and header section of a request or a response. Values are octets read as Latin-1, so that they can
 * be written back unchanged; {@link utf8} gives the text of one that may hold more than ASCII.
 */
export class MessageHead {
  readonly transactionId: string;
  /** The method of a request, else undefined. */
  readonly method: string | undefined;
  /** The status code of a response, 0 in a request. */
  readonly status: number;
  toPath = '';
  fromPath = '';
  messageId: string | undefined;
  contentType: string | undefined;
  /** As received; {@link range} decodes it. */
  byteRange: string | undefined;
  successReport = false;
  failureReport: FailureReport = 'yes';
  /** The Status header field of a REPORT. */
  reportStatus: string | undefined;
  /** What is wrong with a header field, when framing and paths are sound: such a request is answered with 400. */
  fault: string | undefined;
  /** Every other header field as a whole line, in the order received. */
  readonly others: string[] = [];

  constructor(transactionId: string, method: string | undefined, status: number) {
    this.transactionId = transactionId;
    this.method = method;
    this.status = status;
  }

  /** The decoded Byte-Range, or undefined without one. @throws ParleyError `msrp-malformed`. */
  range(): ByteRange | undefined {
    return this.byteRange === undefined ? undefined : parseByteRange(this.byteRange);
  }

  /** The value of a header field that has no property of its own, by case-insensitive name. */
  other(name: string): string | undefined {
    for (const line of this.others) {
      if (
        line.charCodeAt(name.length) === 0x3a &&
        line.slice(0, name.length).toLowerCase() === name.toLowerCase()
      )
        return line.slice(name.length + 1).trim();
    }
    return undefined;
  }
}

/** The text of a header value that was carried as Latin-1. */
export function utf8(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}

/** The Latin-1 form under which `text` is written to the wire as UTF-8. */
export function wireText(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

const startLine = /^MSRP ([A-Za-z0-9][A-Za-z0-9.+%=-]{3,31}) (?:([A-Z]+)|([0-9]{3})(?: (.*))?)$/;
/** Control characters, a CR or LF alone among them: they would let two readers see two different messages. */
const forbidden = /[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n)|(?<!\r)\n/;
/** Longer and freer than `ident` of RFC 4975 §9, because clients put UUIDs there. */
const messageId = /^[\x21-\x7e]{1,128}$/;

/**
 * Decodes a head.
 * @param text start line and header lines, CRLF between them, none at the end, as Latin-1.
 * @throws ParleyError `msrp-malformed` when the message cannot be framed or answered; lesser faults are noted in
 * {@link MessageHead.fault}.
 */
export function parseHead(text: string): MessageHead {
  if (forbidden.test(text)) throw malformed('control character');
  let lineEnd = text.indexOf('\r\n');
  const first = lineEnd < 0 ? text : text.slice(0, lineEnd);
  const start = startLine.exec(first);
  if (!start) throw malformed('start line');
  const head = new MessageHead(start[1]!, start[2], start[3] === undefined ? 0 : Number(start[3]));
  while (lineEnd >= 0) {
    const from = lineEnd + 2;
    lineEnd = text.indexOf('\r\n', from);
    const line = lineEnd < 0 ? text.slice(from) : text.slice(from, lineEnd);
    const colon = line.indexOf(':');
    setField(head, line.slice(0, Math.max(0, colon)), line.slice(colon + 1).trim(), line);
  }
  if (head.toPath === '' || head.fromPath === '') throw malformed('To-Path or From-Path is missing');
  return head;
}

function setField(head: MessageHead, name: string, value: string, line: string): void {
  switch (name) {
    case 'To-Path':
      if (head.toPath !== '') throw malformed('To-Path appears twice');
      head.toPath = value;
      return;
    case 'From-Path':
      if (head.fromPath !== '') throw malformed('From-Path appears twice');
      head.fromPath = value;
      return;
    case 'Message-ID':
      if (head.messageId !== undefined || !messageId.test(value)) head.fault = name;
      head.messageId = value;
      return;
    case 'Byte-Range':
      if (head.byteRange !== undefined) head.fault = name;
      head.byteRange = value;
      return;
    case 'Content-Type':
      if (head.contentType !== undefined || value === '') head.fault = name;
      head.contentType = value;
      return;
    case 'Success-Report':
      if (value !== 'yes' && value !== 'no') head.fault = name;
      head.successReport = value === 'yes';
      return;
    case 'Failure-Report':
      if (value === 'yes' || value === 'no' || value === 'partial') head.failureReport = value;
      else head.fault = name;
      return;
    case 'Status':
      if (head.reportStatus !== undefined) head.fault = name;
      head.reportStatus = value;
      return;
    default: {
      const known = spelling.get(name.toLowerCase());
      if (known !== undefined && known !== name) setField(head, known, value, line);
      else if (fieldName.test(name)) head.others.push(line);
      else head.fault = 'header field name';
    }
  }
}

const fieldName = /^[A-Za-z][!#$%&'*+.^_`|~0-9A-Za-z-]*$/;
const spelling = new Map(
  [
    'To-Path',
    'From-Path',
    'Message-ID',
    'Byte-Range',
    'Content-Type',
    'Success-Report',
    'Failure-Report',
    'Status',
  ].map((name) => [name.toLowerCase(), name]),
);
