import type { Clock } from '../../base/clock.js';
import type { Wire } from '../transport/way.js';
import type { TransactionTimers } from './layer.js';

/** What every transaction needs from its layer. */
export interface Environment {
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  readonly transports: Wire;
}

/** 64·T1: Timers B, F, H, J, L and M (RFC 3261 table 4, RFC 6026 §8.1). */
export function longTime(timers: TransactionTimers): number {
  return 64 * timers.t1;
}
