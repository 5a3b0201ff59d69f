/** What one endpoint takes upon itself. Sizes in octets, times in milliseconds. */
export interface MsrpLimits {
  readonly sessions: number;
  readonly connections: number;
  /** Sessions that share a connection which we made. */
  readonly sessionsPerConnection: number;
  /** Of one message, whether it is held or passed on; a session may be given less. */
  readonly messageOctets: number;
  /** Messages of one session that have begun to arrive and have not ended. */
  readonly openMessages: number;
  /** Of messages that are put together: of one session, and of the whole endpoint. */
  readonly sessionHeldOctets: number;
  readonly heldOctets: number;
  /** Messages of ours that wait in one session. */
  readonly queuedMessages: number;
  /** Until the peer must have connected, again when the connection was lost. */
  readonly bindMs: number;
  /** Without an octet a message is given up after this, and in any case after {@link messageMs}. */
  readonly idleMessageMs: number;
  readonly messageMs: number;
  /** How long a success report is awaited. */
  readonly reportMs: number;
  /** Of a relayed chunk: with no answer from beyond for so long we answer ourselves and report what follows. */
  readonly relayAnswerMs: number;
  /**
   * Octets of one relayed direction that the receiver has not answered for, kept so that they go out again when its connection is lost
   * and made anew; what is beyond is not, and then the loss is a failure. They count in {@link heldOctets} too.
   */
  readonly resumeOctets: number;
  /** What waits in one session for its connection before the source is stopped. */
  readonly laneOctets: number;
  /** Of the chunks that we make, and of what may be unanswered of one message. */
  readonly chunkOctets: number;
  readonly windowOctets: number;
}

const MIB = 1024 * 1024;

export const defaultMsrpLimits: MsrpLimits = {
  sessions: 100_000,
  connections: 100_000,
  sessionsPerConnection: 100,
  messageOctets: 100 * MIB,
  openMessages: 16,
  sessionHeldOctets: 16 * MIB,
  heldOctets: 512 * MIB,
  queuedMessages: 1024,
  bindMs: 30_000,
  idleMessageMs: 60_000,
  messageMs: 3_600_000,
  reportMs: 120_000,
  // well below the 30 s after which the sender gives its transaction up (RFC 4975 §7.1.1)
  relayAnswerMs: 20_000,
  resumeOctets: MIB,
  laneOctets: MIB / 4,
  chunkOctets: 65_536,
  windowOctets: MIB / 2,
};
