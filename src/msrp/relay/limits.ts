/** What a relay takes upon itself. Times in seconds, sizes in octets. */
export interface RelayLimits {
  /** URIs given out and valid. */
  readonly uris: number;
  readonly urisPerUser: number;
  /** Validity that is given when the client asks for none, and the bounds of what it may ask for. */
  readonly expires: number;
  readonly minExpires: number;
  readonly maxExpires: number;
  /** Next hops of one URI, besides its client. */
  readonly hops: number;
  /** Refused AUTH requests of one connection before it is closed (RFC 4976 §6.3). */
  readonly failures: number;
  /** What waits for one next hop before the source is stopped. */
  readonly laneOctets: number;
}

export const defaultRelayLimits: RelayLimits = {
  uris: 100_000,
  urisPerUser: 100,
  expires: 900,
  minExpires: 60,
  maxExpires: 3600,
  hops: 8,
  failures: 5,
  laneOctets: 262_144,
};
