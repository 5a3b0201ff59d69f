import type { Headers } from '../../sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../sip/message/message.js';
import { parseMinSE, parseSessionExpires, writeSessionExpires } from '../../sip/message/session-timer.js';

/** Seconds of the Session-Expires of a message; undefined without one. */
export function sessionInterval(message: SipRequest | SipResponse): number | undefined {
  const value = message.get('Session-Expires');
  return value === undefined ? undefined : parseSessionExpires(value).interval;
}

/** A proxy may ask for a session timer that the caller can do and did not ask for, no shorter than its Min-SE (RFC 4028 §8.1). */
export function askForTimer(headers: Headers, seconds: number): void {
  if (headers.has('Session-Expires') || !headers.hasToken('Supported', 'timer')) return;
  const least = headers.get('Min-SE');
  headers.set('Session-Expires', Math.max(seconds, least === undefined ? 0 : parseMinSE(least)));
}

/** When the callee knows no session timers, the caller alone refreshes (RFC 4028 §8.2). */
export function answerTimer(answer: SipResponse, asked: number | undefined, callerCanTimer: boolean): void {
  if (asked === undefined || !callerCanTimer || answer.has('Session-Expires')) return;
  answer.headers.set('Session-Expires', writeSessionExpires({ interval: asked, refresher: 'uac' }));
  if (!answer.headers.hasToken('Require', 'timer')) answer.headers.append('Require', 'timer');
}
