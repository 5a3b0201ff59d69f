import type { ContactEvent } from '../registrar/registration.js';

/**
 * What an application server knows of one registered device (RFC 3680 §5, RFC 5628 §5): from the local registrar or from the
 * registration events of a foreign core, through the same interface.
 */
export interface RegisteredDevice {
  /** Constant while the contact lives. */
  readonly id: string;
  /** The identity it registered, canonical. */
  readonly aor: string;
  readonly contact: string;
  /** Instance ID as registered, a URN; absent when the device sent none. */
  readonly instance?: string;
  /** For comparison: see {@link import('../identity/instance-id.js').InstanceId}. */
  readonly instanceKey?: string;
  readonly publicGruu?: string;
  /** A temporary GRUU that is valid now. */
  readonly temporaryGruu?: string;
  /** All contact parameters, names in lower case; true for one without value. */
  readonly features: ReadonlyMap<string, string | true>;
  readonly deviceName?: string;
  readonly q: number;
  /** Milliseconds since the epoch, when it is known. */
  readonly expiresAt?: number;
}

export interface DeviceChange {
  /** Key of the user's registration set: its default identity. */
  readonly set: string;
  readonly event: ContactEvent;
  readonly device: RegisteredDevice;
}

/** The registered devices of users, as the participating and controlling functions see them. */
export interface RegisteredDevices {
  /** The devices of the user that an identity belongs to; empty when none is registered or the user is unknown. */
  of(aor: string): Promise<readonly RegisteredDevice[]>;
  /**
   * The device that a GRUU stands for while it is registered, however the GRUU is written and whichever temporary one it is.
   * @param owner identity of its user, where that is known: at a foreign core a temporary GRUU is found among that user's alone.
   */
  at(gruu: string, owner?: string): Promise<RegisteredDevice | undefined>;
  /**
   * Calls `listener` after each change of a device that this node made, so that of several nodes on one store one acts on it.
   * @returns a function that ends it.
   */
  onChange(listener: (change: DeviceChange) => void): () => void;
}
