import { bad, parseNumber } from './lexer.js';

/** What a PRACK acknowledges (RFC 3262 §7.2). */
export interface RAck {
  /** RSeq of the provisional response. */
  readonly rseq: number;
  /** CSeq of the request it answered. */
  readonly cseq: number;
  readonly method: string;
}

const RACK = /^(\d{1,20})[ \t]+(\d{1,20})[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)$/;

/** @throws ParleyError `sip-bad-header` */
export function parseRAck(text: string): RAck {
  const match = RACK.exec(text);
  const rseq = match ? parseNumber(match[1]!, 0xffff_ffff) : undefined;
  const cseq = match ? parseNumber(match[2]!, 0x7fff_ffff) : undefined;
  if (!match || !rseq || cseq === undefined) throw bad('RAck', 'not two numbers and a method');
  return { rseq, cseq, method: match[3]! };
}

export function writeRAck({ rseq, cseq, method }: RAck): string {
  return `${rseq} ${cseq} ${method}`;
}

/** An RSeq value, 1 to 2**32 - 1 (RFC 3262 §7.1). @throws ParleyError `sip-bad-header` */
export function parseRSeq(text: string): number {
  const rseq = parseNumber(text, 0xffff_ffff);
  if (!rseq) throw bad('RSeq', 'not a number from 1 to 2**32 - 1');
  return rseq;
}
