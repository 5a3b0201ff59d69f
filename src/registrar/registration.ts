import type { SipRequest, SipResponse } from '../sip/message/message.js';
import type { Source } from '../sip/stack.js';
import { table } from '../store/store.js';
import { registrationForm } from './registration-form.js';

/**
 * One binding: a device, or one flow of a device, that can be reached (RFC 3261 §10, RFC 5626 §6).
 * Times are milliseconds since the epoch.
 */
export interface Binding {
  /** Constant while the binding lives; names it in the API and in registration events. */
  readonly id: string;
  /** The identity it was registered for, canonical. */
  readonly aor: string;
  /** Contact URI as received. */
  readonly contact: string;
  /** Contact parameters as received, each with its semicolon, without `expires`, `pub-gruu` and `temp-gruu`. */
  readonly params: string;
  /** The name that the user gave to the device: the display name of its Contact. */
  readonly deviceName?: string | undefined;
  /** Instance ID as received, without brackets; its key is {@link instanceKey}. */
  readonly instance?: string | undefined;
  readonly instanceKey?: string | undefined;
  /** Only when RFC 5626 was in force for this registration. */
  readonly regId?: number | undefined;
  readonly q: number;
  readonly callId: string;
  readonly cseq: number;
  /** Path values as received, topmost first (RFC 3327). */
  readonly path: readonly string[];
  /** The way back to a device that registered directly, without an edge proxy. */
  readonly flow?: string | undefined;
  /** Requests must use {@link flow}: the contact alone does not lead to the device. */
  readonly flowOnly: boolean;
  readonly privateId: string;
  readonly userAgent?: string | undefined;
  readonly registeredAt: number;
  readonly refreshedAt: number;
  readonly expiresAt: number;
}

/** What outlives single bindings of one device of one identity: the generation of its temporary GRUUs (RFC 5627 §5.4). */
export interface InstanceState {
  readonly aor: string;
  readonly instanceKey: string;
  /** Value of `gr` in the public GRUU. */
  readonly gr: string;
  /** Index inside its temporary GRUUs, reserved when the instance registered and released when it goes away. */
  readonly index: number;
  /** Generation inside its temporary GRUUs; the next one kills those of the one before. */
  readonly generation: number;
  /** CSeq of the REGISTER that made the oldest temporary GRUU still valid (RFC 5628 §5). */
  readonly firstCSeq: number;
  /** Last Call-ID of each of its flows: a new one starts a new generation. */
  readonly callIds: readonly FlowCallId[];
}

export interface FlowCallId {
  /** Undefined for a device that registers without RFC 5626. */
  readonly regId: number | undefined;
  readonly callId: string;
}

/** All bindings of one implicit registration set; the record's key is the set's default identity. */
export interface Registration {
  readonly bindings: readonly Binding[];
  readonly instances: readonly InstanceState[];
  /** `gr` values issued to devices that are away now: their public GRUUs stay valid (RFC 5627 §5.4). Newest last, limited. */
  readonly away?: readonly string[];
}

export const registrations = table<Registration>('registrations', registrationForm);

/** From the index in a temporary GRUU to the device it stands for. */
export interface GruuIndexRow {
  readonly set: string;
  readonly aor: string;
  readonly instanceKey: string;
}

export const gruuIndex = table<GruuIndexRow>('gruu-index');

/** RFC 3680 §5.2, with `created` for what was not registered by the device itself. */
export type ContactEvent =
  | 'registered'
  | 'created'
  | 'refreshed'
  | 'shortened'
  | 'expired'
  | 'deactivated'
  | 'probation'
  | 'unregistered'
  | 'rejected';

export interface BindingChange {
  readonly event: ContactEvent;
  readonly binding: Binding;
}

/** What a committed change of one set was, for subscribers of registration events. */
export interface RegistrationEvent {
  readonly set: string;
  readonly changes: readonly BindingChange[];
  readonly registration: Registration;
  /** The REGISTER that made it; undefined for what the network or time did, and for devices that a node stands for. */
  readonly register?: AnsweredRegister | undefined;
}

/** A REGISTER that was answered with 200. */
export interface AnsweredRegister {
  /** The identity that registered. */
  readonly aor: string;
  readonly request: SipRequest & { readonly source: Source; readonly fromNode: boolean };
  /** The 200 as it was sent. */
  answer(): SipResponse;
}
