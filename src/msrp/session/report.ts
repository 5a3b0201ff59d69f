import { firstOf } from '../connection/connection.js';
import { formatByteRange, statusText, type ByteRange, type MessageHead } from '../message/index.js';

/** What a REPORT says (RFC 4975 §7.1.2). */
export interface Report {
  readonly messageId: string;
  /** Of the namespace 000, the same as in a response. */
  readonly status: number;
  readonly range: ByteRange | undefined;
}

/** @returns undefined for a REPORT that names no message or carries no status which we know. */
export function readReport(head: MessageHead): Report | undefined {
  const status = /^000 (\d{3})(?: |$)/.exec(head.reportStatus ?? '');
  if (!status || head.messageId === undefined || head.fault !== undefined) return undefined;
  try {
    return { messageId: head.messageId, status: Number(status[1]), range: head.range() };
  } catch {
    return undefined;
  }
}

/** The header lines of a REPORT about octets `first` to `last`. @param total of the whole message, if known. */
export function reportFields(
  messageId: string,
  status: number,
  first: number,
  last: number,
  total: number | undefined,
): string {
  return `Message-ID: ${messageId}\r\nByte-Range: ${formatByteRange(first, last, total)}\r\nStatus: 000 ${statusText(status)}\r\n`;
}

/** The header lines of a REPORT that is passed on. */
export function sameReportFields(head: MessageHead): string {
  return (
    `Message-ID: ${head.messageId}\r\n` +
    (head.byteRange === undefined ? '' : `Byte-Range: ${head.byteRange}\r\n`) +
    head.others.map((line) => `${line}\r\n`).join('') +
    `Status: ${head.reportStatus}\r\n`
  );
}

/** The session-id that a request is meant for, without taking the whole URI apart; undefined without one. */
export function sessionIdOf(toPath: string): string | undefined {
  const first = firstOf(toPath);
  const authority = first.indexOf('://');
  const slash = first.indexOf('/', authority + 3);
  const semicolon = first.indexOf(';', slash);
  return authority < 0 || slash < 0 || semicolon < 0 ? undefined : first.slice(slash + 1, semicolon);
}
