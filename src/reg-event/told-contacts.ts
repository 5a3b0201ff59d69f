import type { ContactEvent } from '../registrar/registration.js';
import type { ReadContact } from './reginfo-reader.js';
import {
  completed,
  deviceOf,
  type WatchedChange,
  type WatchedDevice,
  type WatchedUser,
} from './watched-user.js';

/** What a third-party REGISTER carries of a user's contacts beside the registration events (3GPP TS 24.229 §5.4.1.7A). */
export interface ToldContacts {
  /** The identity that registered, canonical. */
  readonly aor: string;
  readonly contacts: readonly ReadContact[];
  /** They are all that the identity has: the 200 lists every one of them (RFC 3261 §10.3). */
  readonly complete: boolean;
}

/** Contacts remembered of one user. */
const MAX_TOLD = 64;

/**
 * What contacts of a third-party REGISTER make of what is known. Some registrars give neither Instance IDs nor GRUUs in their documents:
 * devices get them from here. While no document has come, the contacts themselves are the devices.
 */
export function readTold(
  known: WatchedUser,
  { aor, contacts, complete }: ToldContacts,
  now: number,
): { readonly user: WatchedUser; readonly changes: readonly WatchedChange[] } {
  const met = new Set(contacts.map(({ uri }) => uri));
  const living = contacts
    .filter(({ active }) => active)
    .map((contact) => completed(deviceOf(aor, contact, now), known.told));
  const before = (known.told ?? []).filter(
    (device) => !met.has(device.contact) && (!complete || device.aor !== aor),
  );
  const user = { ...known, told: [...before, ...living].slice(-MAX_TOLD) };
  if (known.version !== undefined)
    return {
      user: { ...user, devices: known.devices.map((device) => renewed(device, living)) },
      changes: [],
    };
  const changes: WatchedChange[] = [];
  const devices = new Map(known.devices.map((device) => [device.contact, device]));
  for (const device of living) {
    const old = devices.get(device.contact);
    const registeredBy = device.registeredBy === '' && old ? old.registeredBy : device.registeredBy;
    const next = old ? completed({ ...device, id: old.id, registeredBy }, [old]) : device;
    devices.set(device.contact, next);
    const event = eventOf(old, next);
    if (event) changes.push({ event, device: next });
  }
  const left = new Set(living.map(({ contact }) => contact));
  for (const device of known.devices) {
    if (left.has(device.contact)) continue;
    if (!met.has(device.contact) && (!complete || device.aor !== aor)) continue;
    devices.delete(device.contact);
    changes.push({ event: 'unregistered', device });
  }
  return { user: { ...user, devices: [...devices.values()] }, changes };
}

function eventOf(old: WatchedDevice | undefined, device: WatchedDevice): ContactEvent | undefined {
  if (!old) return 'registered';
  return old.registeredBy === device.registeredBy ? undefined : 'refreshed';
}

/** A device that documents told of; a new Call-ID has ended its temporary GRUUs, and made new ones (RFC 5627 §5.4). */
function renewed(device: WatchedDevice, living: readonly WatchedDevice[]): WatchedDevice {
  const temporaryGruu = living.find(({ contact }) => contact === device.contact)?.temporaryGruu;
  return { ...completed(device, living), ...(temporaryGruu !== undefined && { temporaryGruu }) };
}
