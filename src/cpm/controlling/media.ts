/** A message of a participant, or to one. */
export interface GroupMessage {
  /** `message/cpim` and what it holds, octet for octet. */
  readonly contentType: string;
  readonly octets: Uint8Array;
}

/** What a participant asks of its MSRP session. */
export interface MediaListener {
  /** Gets each whole message; what it gives is the MSRP status of the answer (RFC 4975 §10). */
  message(message: GroupMessage): Promise<number>;
  /** An empty name gives the nickname back; what it gives is the status of the answer (RFC 7701 §7). */
  nickname(name: string): Promise<number>;
  /** The peer is not connected, or not again, and will not be: the session has ended. */
  lost(): void;
}

/** The MSRP session of one endpoint. */
export interface MediaSession {
  /** Our description: the offer that was made, or the answer to the one that came. */
  readonly description: string;
  /** Whether there is a connection by which messages reach the peer. */
  readonly connected: boolean;
  /** Whether the peer takes private messages (RFC 7701 §8). */
  readonly privateMessages: boolean;
  /** Makes a later offer of ours, which is {@link description} then. */
  offer(): void;
  /** Takes the peer's answer to our offer. @throws ParleyError `msrp-sdp-*` */
  accept(answer: Uint8Array): void;
  /** Answers a later offer of the peer; {@link description} is the answer. @throws ParleyError `msrp-sdp-*` */
  answer(offer: Uint8Array): void;
  /** Whether the peer takes that media type inside message/cpim. */
  accepts(mediaType: string): boolean;
  /**
   * Sends a message in order. Resolves with the status of the peer's answer once all of it is answered, with 408 when no answer comes
   * or the connection ends. Never rejects.
   */
  send(message: GroupMessage): Promise<number>;
  listen(listener: MediaListener): void;
  /** Called whenever there is a connection, for the first time or again. */
  onConnected(listener: () => void): void;
  close(): void;
}

/** Makes the MSRP sessions of a focus. */
export interface GroupMedia {
  offer(): MediaSession;
  /** @throws ParleyError `msrp-sdp-*` */
  answer(offer: Uint8Array): MediaSession;
}
