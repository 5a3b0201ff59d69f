import type { Clock } from '../../base/clock.js';
import type { SipMessage, SipRequest } from '../message/message.js';
import type { SendDone, Wire } from '../transport/way.js';
import type { NextHop, TransactionTimers } from './layer.js';

/** What every transaction needs from its layer. */
export interface Environment {
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  readonly transports: Wire;
  /** Records that a response could not be sent. */
  readonly sent: SendDone;
  /** Records that a request could not be sent to a hop. @param overUdp whether it goes there over UDP instead (RFC 3261 §18.1.1). */
  readonly notSent: (error: Error, request: SipRequest, hop: NextHop, overUdp: boolean) => void;
  /** Records a refusal, and logs the error that was behind it if any. */
  readonly note: (
    code: string,
    clause: string,
    message?: SipMessage,
    detail?: string,
    error?: unknown,
  ) => void;
}

/** What a single client transaction uses of it. */
export type ClientEnvironment = Omit<Environment, 'note' | 'sent'>;

/** What a single server transaction uses of it. */
export type ServerEnvironment = Omit<Environment, 'note' | 'notSent'>;

/** 64·T1: Timers B, F, H, J, L and M (RFC 3261 table 4, RFC 6026 §8.1). */
export function longTime(timers: TransactionTimers): number {
  return 64 * timers.t1;
}
