import type { MsrpMedia } from '../../msrp/sdp/index.js';
import type { NextOptions, Service, ServiceCall } from '../../core/service.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { Passed } from './session-records.js';

/** What stays in the media path of sessions, where policy wants that: a B2BUA with an MSRP relay. */
export interface MediaRelay {
  /** Whether an offer comes from a session that this node relays already, for the other user. */
  isIn(offer: MsrpMedia): boolean;
  /**
   * Sets the session up over `call.onward` and relays its messages until it ends.
   * @param observed sees the responses on their way to the caller.
   */
  join(call: ServiceCall, observed: NextOptions, session: RelayedSession): Promise<void>;
  /** See {@link Service.bodyFor}: the offer of a session that is being set up here, as that device is to get it. */
  bodyFor: NonNullable<Service['bodyFor']>;
  /** Sessions through which something passed since they were given here, in turn. @param limit sessions that are looked at. */
  unnoted(limit: number): (readonly [session: string, passed: Passed])[];
}

/** A session that is to be relayed. */
export interface RelayedSession {
  /** Its key in the session records, for what passes. */
  readonly id: string;
  /** What its INVITE offers. */
  readonly offer: MsrpMedia;
  /** Whether its messages are recorded. */
  readonly recorded: boolean;
  /** Octets of one message; that of all sessions unless given. */
  readonly messageOctets?: number | undefined;
  /** Contacts of the callee's devices, where they are known here. */
  readonly calleeContacts: readonly string[];
  /** Judges a request inside the session before it crosses; rejects with a ParleyError that refuses it. */
  judge(request: SipRequest): Promise<void> | undefined;
  /** Whether somebody else answers in place of a refusal of the callee. */
  refused?(status: number): Promise<boolean>;
}
