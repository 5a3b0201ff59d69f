import type { Clock } from '../../base/clock.js';
import type { SipMessage } from '../message/message.js';
import type { SendDone, Wire } from '../transport/way.js';
import type { TransactionTimers } from './layer.js';

/** What every transaction needs from its layer. */
export interface Environment {
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  readonly transports: Wire;
  /** Counts sends that failed. */
  readonly sent: SendDone;
  /** Records a refusal, and logs the error that was behind it if any. */
  readonly note: (
    code: string,
    clause: string,
    message?: SipMessage,
    detail?: string,
    error?: unknown,
  ) => void;
}

/** What a single transaction uses of it. */
export type TransactionEnvironment = Omit<Environment, 'note'>;

/** 64·T1: Timers B, F, H, J, L and M (RFC 3261 table 4, RFC 6026 §8.1). */
export function longTime(timers: TransactionTimers): number {
  return 64 * timers.t1;
}
