import { bad, parseParams } from './lexer.js';
import { deltaSeconds } from './times.js';

/** A Session-Expires value (RFC 4028 §4). */
export interface SessionExpires {
  /** Seconds. */
  readonly interval: number;
  readonly refresher: 'uac' | 'uas' | undefined;
}

/** @throws ParleyError `sip-bad-header` */
export function parseSessionExpires(text: string): SessionExpires {
  const { seconds, params } = secondsAndParams(text, 'Session-Expires');
  const refresher = params.get('refresher')?.toLowerCase();
  if (refresher !== undefined && refresher !== 'uac' && refresher !== 'uas')
    throw bad('Session-Expires', 'refresher is neither uac nor uas');
  return { interval: seconds, refresher };
}

export function writeSessionExpires({ interval, refresher }: SessionExpires): string {
  return refresher === undefined ? String(interval) : `${interval};refresher=${refresher}`;
}

/** Seconds of a Min-SE value (RFC 4028 §5). @throws ParleyError `sip-bad-header` */
export function parseMinSE(text: string): number {
  return secondsAndParams(text, 'Min-SE').seconds;
}

function secondsAndParams(text: string, field: string) {
  const semicolon = text.indexOf(';');
  const end = semicolon < 0 ? text.length : semicolon;
  const seconds = deltaSeconds(text.slice(0, end));
  if (seconds === undefined) throw bad(field, 'not a number of seconds');
  return { seconds, params: parseParams(text, end, field) };
}
