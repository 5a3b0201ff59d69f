import { bad, quote, skipQuoted, unquote } from './lexer.js';

/** One Warning value (RFC 3261 §20.43). */
export interface Warning {
  /** 300 to 399 in use, any three digits in the grammar. */
  readonly code: number;
  /** Host and port or pseudonym of who warns. */
  readonly agent: string;
  readonly text: string;
}

const WARNING = /^(\d{3}) ([^\s,"]+) (?=")/;

/** @throws ParleyError `sip-bad-header` */
export function parseWarning(value: string): Warning {
  if (!/^\d{3} /.test(value)) throw bad('Warning', 'no code of three digits');
  const match = WARNING.exec(value);
  if (!match) throw bad('Warning', 'not code, agent and quoted text');
  const start = match[0].length;
  if (skipQuoted(value, start) !== value.length) throw bad('Warning', 'the text does not end');
  return { code: Number(match[1]), agent: match[2]!, text: unquote(value.slice(start)) };
}

export function writeWarning({ code, agent, text }: Warning): string {
  return `${String(code).padStart(3, '0')} ${agent} ${quote(text)}`;
}
