import type { ClientId, UserId } from '../imps/index.js';
import { table } from '../store/store.js';

/** One client (application) of an IMPS user as a CPM device; kept for ever. */
export interface DeviceRecord {
  readonly user: UserId;
  readonly client: ClientId;
  readonly applicationId: string;
  /** The client's name-based UUID: its key here, whatever its Instance ID is. */
  readonly uuid: string;
  /** Instance ID, a URN. */
  readonly instance: string;
  /** Where the Instance ID is from; `handset`: from the client that was on the same handset before. */
  readonly source: 'imei' | 'uuid' | 'handset' | 'import';
  /** Vendor, model and unique part of a structured Client-ID. */
  readonly handset?: string | undefined;
  /** Client-ID that the handset had before, when it changed. */
  readonly formerClient?: string | undefined;
  /** Another client that was there at the same time has the Instance ID that this one would have had. */
  readonly collision?: boolean | undefined;
  readonly createdAt: number;
}

/** Which client has an Instance ID of a user now. */
export interface InstanceOwner {
  readonly uuid: string;
}

/** A `wv:` address and the SIP or tel address of the same user. */
export interface AddressPair {
  readonly wv: UserId;
  /** Canonical address of record. */
  readonly aor: string;
  /** `made` by the gateway for a SIP user whose address no rule can turn into a `wv:` one. */
  readonly source: 'provisioned' | 'made';
}

export const gatewayDevices = table<DeviceRecord>('gateway-devices');
export const instanceOwners = table<InstanceOwner>('gateway-instances');
/** By `wv:` address. */
export const addressPairs = table<AddressPair>('gateway-addresses');
/** By address of record. */
export const reversePairs = table<{ readonly wv: UserId }>('gateway-reverse-addresses');
