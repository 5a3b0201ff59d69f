import type { Clock, Timer } from '../../base/clock.js';
import { parseNumber, parseParams } from '../message/lexer.js';
import type { SipMessage, SipRequest, SipResponse } from '../message/message.js';

export type Refresher = 'uac' | 'uas';

/** The value of Session-Expires (RFC 4028 §4). */
export interface SessionExpires {
  readonly seconds: number;
  readonly refresher: Refresher | undefined;
}

/** RFC 4028 §5: the smallest Session-Expires that anybody may insist on. */
export const MIN_SE_SECONDS = 90;

/** A request without answer takes that long to fail: 64·T1 of RFC 3261. */
const ANSWER_MS = 32_000;

/** Reads Session-Expires; undefined when it is absent or cannot be read. */
export function sessionExpiresOf(message: SipMessage): SessionExpires | undefined {
  const text = message.get('Session-Expires');
  if (text === undefined) return undefined;
  const semicolon = text.indexOf(';');
  const seconds = parseNumber((semicolon < 0 ? text : text.slice(0, semicolon)).trim(), 0xffff_ffff);
  if (seconds === undefined) return undefined;
  const value = semicolon < 0 ? undefined : parseParams(text, semicolon, 'Session-Expires').get('refresher');
  const refresher = value?.toLowerCase();
  return { seconds, refresher: refresher === 'uac' || refresher === 'uas' ? refresher : undefined };
}

export function minSeOf(message: SipMessage): number {
  const text = message.get('Min-SE')?.split(';')[0]?.trim() ?? '';
  return parseNumber(text, 0xffff_ffff) ?? MIN_SE_SECONDS;
}

/** What a UAS answers to a request that may start or refresh a session timer. */
export type TimerAnswer =
  | { readonly kind: 'none' }
  | { readonly kind: 'too-small' }
  | {
      readonly kind: 'timer';
      readonly seconds: number;
      readonly refresher: Refresher;
      /** The 2xx carries `Require: timer`. */
      readonly require: boolean;
    };

/**
 * Decides as UAS (RFC 4028 §9 and table 2).
 * @param wanted Session-Expires that we ask for when the client supports timers and names no interval; seconds.
 * @param current the refresher now, who stays when the request does not say otherwise.
 */
export function answerTimer(
  request: SipRequest,
  minSe: number,
  wanted?: number,
  current?: 'we' | 'peer',
): TimerAnswer {
  const asked = sessionExpiresOf(request);
  const supported = request.headers.hasToken('Supported', 'timer');
  if (!asked) {
    if (!supported || wanted === undefined) return { kind: 'none' };
    return { kind: 'timer', seconds: Math.max(wanted, minSeOf(request)), refresher: 'uac', require: true };
  }
  if (!supported) return { kind: 'timer', seconds: asked.seconds, refresher: 'uas', require: false };
  if (asked.seconds < minSe) return { kind: 'too-small' };
  const refresher = asked.refresher ?? (current === 'we' ? 'uas' : 'uac');
  return { kind: 'timer', seconds: asked.seconds, refresher, require: true };
}

/** What the timer of a session does to its dialog. */
export interface SessionTimerUser {
  /** Half the interval is over and it is ours to refresh (RFC 4028 §10). */
  refreshSession(): void;
  /** No refresh came in time. */
  sessionExpired(): void;
}

/** The session interval of one dialog. */
export class SessionTimer {
  readonly #clock: Clock;
  readonly #user: SessionTimerUser;
  #refresh: Timer | undefined;
  #expiry: Timer | undefined;
  /** Seconds that we ask for, as a server, where the client asks for none; undefined when we want no timer. */
  wanted: number | undefined;
  /** Seconds of the interval that runs; undefined without session timer. */
  seconds: number | undefined;
  refresher: 'we' | 'peer' = 'peer';
  /** The largest Min-SE heard in this dialog (RFC 4028 §7.4). */
  minSe: number | undefined;

  constructor(clock: Clock, user: SessionTimerUser) {
    this.#clock = clock;
    this.#user = user;
  }

  /** A 2xx to a session refresh was sent or received: the interval starts anew. */
  start(seconds: number, refresher: 'we' | 'peer'): void {
    this.stop();
    this.seconds = seconds;
    this.refresher = refresher;
    if (refresher === 'we') this.#refreshWithin(seconds * 1_000);
    const margin = refresher === 'we' ? 0 : Math.min(32, seconds / 3);
    this.#expiry = this.#clock.after((seconds - margin) * 1_000, () => this.#user.sessionExpired());
  }

  /** Half of what is left, and once more while it stays without effect and enough is left for an answer. */
  #refreshWithin(ms: number): void {
    this.#refresh = this.#clock.after(ms / 2, () => {
      if (ms / 4 > ANSWER_MS) this.#refreshWithin(ms / 2);
      this.#user.refreshSession();
    });
  }

  /** A 2xx without Session-Expires turns the timer off (RFC 4028 §7.2). */
  stop(): void {
    this.#refresh?.cancel();
    this.#expiry?.cancel();
    this.seconds = undefined;
  }

  /** As client: a 2xx came. A server that does not know timers leaves them to us (RFC 4028 §7.2). */
  startAsClient(request: SipRequest, response: SipResponse): void {
    const answered = sessionExpiresOf(response);
    const asked = sessionExpiresOf(request);
    if (answered) this.start(answered.seconds, answered.refresher === 'uas' ? 'peer' : 'we');
    else if (asked) this.start(asked.seconds, 'we');
    else this.stop();
  }

  /** As server: a 2xx is about to go out, and gets its Session-Expires (RFC 4028 §9). */
  startAsServer(request: SipRequest, built: SipResponse): void {
    const answer = answerTimer(request, 0, this.seconds ?? this.wanted, this.refresher);
    if (answer.kind !== 'timer') {
      // a client that does not know timers leaves them to us (RFC 4028 §7.2)
      if (this.wanted === undefined) this.stop();
      else this.start(this.wanted, 'we');
      return;
    }
    built.headers.set('Session-Expires', `${answer.seconds};refresher=${answer.refresher}`);
    if (answer.require && !built.headers.hasToken('Require', 'timer'))
      built.headers.append('Require', 'timer');
    this.start(answer.seconds, answer.refresher === 'uas' ? 'we' : 'peer');
  }

  noteMinSe(message: SipMessage): void {
    if (message.has('Min-SE')) this.minSe = Math.max(this.minSe ?? 0, minSeOf(message));
  }

  /** Session-Expires and Min-SE of a refresh that we send (RFC 4028 §7.4). */
  refreshHeaders(): Record<string, string> {
    if (this.seconds === undefined) return {};
    const seconds = Math.max(this.seconds, this.minSe ?? MIN_SE_SECONDS);
    return {
      'Session-Expires': `${seconds};refresher=${this.refresher === 'we' ? 'uac' : 'uas'}`,
      ...(this.minSe === undefined ? {} : { 'Min-SE': String(this.minSe) }),
    };
  }
}
