import type { ParserLimits } from '../message/index.js';

/** What one connection takes upon itself. */
export interface ConnectionLimits {
  readonly parser: ParserLimits;
  /** Without a session for so long the connection is closed, milliseconds (RFC 4976 §5.4). */
  readonly idleMs: number;
  /** From the first octet of a head to its last, and from connecting to the first request (RFC 4976 §6.1). */
  readonly headMs: number;
  /** Requests without an answer; above, nothing new is sent. */
  readonly transactions: number;
  /** Octets collected before they go to the socket. */
  readonly batchOctets: number;
  /** Octets of one lane before the next has its turn. */
  readonly quantumOctets: number;
}

export const defaultConnectionLimits: Omit<ConnectionLimits, 'parser'> = {
  idleMs: 300_000,
  headMs: 30_000,
  transactions: 4096,
  batchOctets: 131_072,
  quantumOctets: 32_768,
};
