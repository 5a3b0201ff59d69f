import { table } from '../store/store.js';

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
  readonly deviceName?: string;
  /** Instance ID as received, without brackets; its key is {@link instanceKey}. */
  readonly instance?: string;
  readonly instanceKey?: string;
  /** Only when RFC 5626 was in force for this registration. */
  readonly regId?: number;
  readonly q: number;
  readonly callId: string;
  readonly cseq: number;
  /** Path values as received, topmost first (RFC 3327). */
  readonly path: readonly string[];
  /** The way back to a device that registered directly, without an edge proxy. */
  readonly flow?: string;
  /** Requests must use {@link flow}: the contact alone does not lead to the device. */
  readonly flowOnly: boolean;
  readonly privateId: string;
  readonly userAgent?: string;
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
  /** Index inside the temporary GRUUs of this generation; a new generation gets a new one, which kills the earlier. */
  readonly index: number;
  /** CSeq of the REGISTER that made the oldest temporary GRUU still valid (RFC 5628 §5). */
  readonly firstCSeq: number;
  /** Last Call-ID by reg-id (empty without): a new one starts a new generation. */
  readonly callIds: Readonly<Record<string, string>>;
}

/** All bindings of one implicit registration set; the record's key is the set's default identity. */
export interface Registration {
  readonly bindings: readonly Binding[];
  readonly instances: readonly InstanceState[];
  /** `gr` values issued to devices that are away now: their public GRUUs stay valid (RFC 5627 §5.4). Newest last, limited. */
  readonly away?: readonly string[];
}

export const registrations = table<Registration>('registrations');

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
}
