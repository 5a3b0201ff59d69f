import { bad, parseNumber, parseParams, quote, skipToken, splitList, unquote } from './lexer.js';

/** One Reason value: why a request was sent or a response given (RFC 3326 §2). */
export interface Reason {
  /** `SIP`, `Q.850` or another token. */
  readonly protocol: string;
  /** A status code or a Q.850 cause. */
  readonly cause: number | undefined;
  readonly text: string | undefined;
}

/** All values of the Reason lines of a message. @throws ParleyError `sip-bad-header` */
export function parseReasons(lines: readonly string[]): Reason[] {
  return lines.flatMap(splitList).map(parseReason);
}

function parseReason(value: string): Reason {
  const end = skipToken(value, 0);
  if (end === 0) throw bad('Reason', 'no protocol');
  const params = parseParams(value, end, 'Reason');
  const cause = params.get('cause');
  const number = cause === undefined ? undefined : parseNumber(cause ?? '', 0xffff);
  if (cause !== undefined && number === undefined) throw bad('Reason', 'cause is not a number');
  const text = params.get('text');
  return { protocol: value.slice(0, end), cause: number, text: text ? unquote(text) : undefined };
}

/** `SIP;cause=200;text="Call completed elsewhere"` */
export function writeReason({ protocol, cause, text }: Reason): string {
  const words = text === undefined ? '' : `;text=${quote(text)}`;
  return `${protocol}${cause === undefined ? '' : `;cause=${cause}`}${words}`;
}
