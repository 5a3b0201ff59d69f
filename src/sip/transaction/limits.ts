/** Bounds on what peers can make the transaction layer hold. */
export interface TransactionLimits {
  /** Server transactions at once; beyond them new requests get 503. */
  readonly running: number;
  /** Answered non-INVITE requests over UDP that are remembered for Timer J. */
  readonly answeredCount: number;
  /** Octets of those. */
  readonly answeredBytes: number;
}

export const defaultTransactionLimits: TransactionLimits = {
  running: 100_000,
  answeredCount: 1 << 20,
  answeredBytes: 512 << 20,
};
