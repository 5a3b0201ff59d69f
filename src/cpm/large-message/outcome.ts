/** What became of a message over MSRP, as SIP has it. */
export interface LargeMessageOutcome {
  /** Status of the INVITE's failure, else what {@link asSipStatus} makes of the answer to the message. 200: the peer has it. */
  readonly status: number;
  /** Whether the peer declined the invitation, or the message over MSRP. */
  readonly by: 'invitation' | 'message';
}

/** The MSRP status of a message (RFC 4975 §10) as the SIP status that says the same. */
export function asSipStatus(msrp: number): number {
  return ofMsrp.get(msrp) ?? (msrp >= 400 && msrp < 500 ? msrp : msrp < 300 ? 200 : 500);
}

const ofMsrp: ReadonlyMap<number, number> = new Map([
  [413, 513],
  // the session, or its connection, ended before the peer had the message: it may try again
  [481, 480],
  [501, 488],
  [506, 500],
]);
