import type { ContinuationFlag } from './head.js';

/** Phrases of the status codes (RFC 4975 §10, RFC 4976 §10.3, RFC 7701 §6.2, §7.1). */
const phrases: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  413: 'Stop Sending Message',
  415: 'Unsupported Media Type',
  423: 'Interval Out-of-Bounds',
  424: 'Malformed Nickname',
  425: 'Nickname Usage Failed',
  428: 'Private Messages Not Supported',
  481: 'Session Does Not Exist',
  501: 'Unknown Method',
  506: 'Session Already Bound',
};

/** Code and phrase as they stand in a response or a Status header field. */
export function statusText(status: number): string {
  const phrase = phrases[status];
  return phrase === undefined ? String(status) : `${status} ${phrase}`;
}

/**
 * The head of a request, up to and including the CRLF of the last header field.
 * @param fields whole lines, each with its CRLF, in order; Content-Type must be the last (RFC 4975 §7.1).
 */
export function formatRequestHead(
  transactionId: string,
  method: string,
  toPath: string,
  fromPath: string,
  fields: string,
): string {
  return `MSRP ${transactionId} ${method}\r\nTo-Path: ${toPath}\r\nFrom-Path: ${fromPath}\r\n${fields}`;
}

/** The end-line after a head without a body. */
export function formatEndLine(transactionId: string, flag: ContinuationFlag): string {
  return `-------${transactionId}${flag}\r\n`;
}

/**
 * A whole response (RFC 4975 §7.2).
 * @param fields further lines, each with its CRLF.
 */
export function formatResponse(
  transactionId: string,
  status: number,
  toPath: string,
  fromPath: string,
  fields = '',
): string {
  return `MSRP ${transactionId} ${statusText(status)}\r\nTo-Path: ${toPath}\r\nFrom-Path: ${fromPath}\r\n${fields}-------${transactionId}$\r\n`;
}
