/** A message of a participant, or to one. */
export interface GroupMessage {
  /** `message/cpim` and what it holds, octet for octet. */
  readonly contentType: string;
  readonly octets: Uint8Array;
}

/** The MSRP session of one endpoint. */
export interface MediaSession {
  /** Our description: the offer that was made, or the answer to the one that came. */
  readonly description: string;
  /** Takes the peer's answer, or a later offer of it. @throws ParleyError `msrp-sdp-*` */
  accept(description: Uint8Array): void;
  /** Sends a message in order; resolves with true once the peer has acknowledged it. Never rejects. */
  send(message: GroupMessage): Promise<boolean>;
  /** Gets each whole message; what it gives is the MSRP status of the answer (RFC 4975 §10). */
  onMessage(listener: (message: GroupMessage) => Promise<number>): void;
  close(): void;
}

/** Makes the MSRP sessions of a focus. */
export interface GroupMedia {
  offer(): MediaSession;
  /** @throws ParleyError `msrp-sdp-*` */
  answer(offer: Uint8Array): MediaSession;
}
