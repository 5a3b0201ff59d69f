import { orNone } from '../base/errors.js';
import { parseAor } from '../identity/aor.js';
import { parseGruu } from '../identity/gruu.js';
import { InstanceId } from '../identity/instance-id.js';
import { parseWildcard } from '../identity/wildcard.js';
import type { ContactEvent } from '../registrar/registration.js';
import { unquote } from '../sip/message/lexer.js';
import { parseUri } from '../sip/message/uri.js';
import { table } from '../store/store.js';
import type { RegisteredDevice } from './devices.js';
import type { ReadContact, ReginfoDocument } from './reginfo-reader.js';

/** A user whose registration events come from another core, as far as they are known. Its key is the identity subscribed to. */
export interface WatchedUser {
  /** The identities of the implicit set, canonical; the one subscribed to is among them. */
  readonly identities: readonly string[];
  /** Wildcarded identities of the set (3GPP TS 24.229 §7.10.2). */
  readonly wildcards?: readonly string[] | undefined;
  readonly devices: readonly WatchedDevice[];
  /** Of the last document of this subscription; undefined before the first. */
  readonly version: number | undefined;
  /** Milliseconds since the epoch until which the core's last REGISTER said the user is registered. */
  readonly until: number;
  /** The node that is told of the devices, where several share the store. */
  readonly node?: string | undefined;
  /** What third-party REGISTERs told of contacts, newest last: for what documents leave out. */
  readonly told?: readonly WatchedDevice[] | undefined;
}

/** A registered device as it is stored. */
export type WatchedDevice = Omit<RegisteredDevice, 'features'> & {
  readonly features: readonly (readonly [string, string | true])[];
  /** Of the REGISTER behind it: tells a refresh from the same state told again. */
  readonly registeredBy: string;
};

export const watchedUsers = table<WatchedUser>('watched-users');

export interface WatchedChange {
  readonly event: ContactEvent;
  readonly device: WatchedDevice;
}

export type Reading =
  | { readonly kind: 'applied'; readonly user: WatchedUser; readonly changes: readonly WatchedChange[] }
  /** A document that came late: what it says is known already. */
  | { readonly kind: 'old' }
  /** Documents before this one were lost: the subscriber asks for everything again. */
  | { readonly kind: 'gap' };

/**
 * What a document makes of what is known (RFC 3680 §5.1). A full one counts unless it is older; some registrars give all of
 * theirs the version 0, which count as they come, since CSeq orders them. A partial one must follow the last.
 * @param partialOnly the registrar gives no full document: a partial one counts also without one before it.
 */
export function readDocument(
  known: WatchedUser,
  document: ReginfoDocument,
  now: number,
  partialOnly = false,
): Reading {
  const { version, state } = document;
  const last = known.version;
  if (state === 'full' && last !== undefined && version !== 0 && version < last) return { kind: 'old' };
  if (state === 'partial' && last === undefined && !partialOnly) return { kind: 'gap' };
  if (state === 'partial' && last !== undefined && version !== last + 1)
    return version <= last ? { kind: 'old' } : { kind: 'gap' };
  const before = new KnownDevices(known.devices, last !== undefined);
  const changes: WatchedChange[] = [];
  /** What became of those that the document names; undefined for one that is gone. */
  const met = new Map<WatchedDevice, WatchedDevice | undefined>();
  const named: WatchedDevice[] = [];
  const fresh: WatchedDevice[] = [];
  for (const { aor, contact } of merged(document)) {
    const device = completed(deviceOf(aor, contact, now), known.told);
    const old = before.same(device);
    if (!contact.active) {
      if (old) changes.push({ event: contact.event, device: old });
      if (old) met.set(old, undefined);
      continue;
    }
    named.push(device);
    if (old) met.set(old, device);
    else fresh.push(device);
    const event = changeOf(old, device, contact);
    if (event) changes.push({ event, device });
  }
  if (state === 'full')
    for (const device of known.devices) if (!met.has(device)) changes.push({ event: 'unregistered', device });
  const devices =
    state === 'full'
      ? named
      : known.devices.flatMap((one) => (met.has(one) ? (met.get(one) ?? []) : one)).concat(fresh);
  const own = document.registrations.filter(({ wildcard }) => wildcard === undefined);
  const told = own.flatMap(({ aor }) => orNone(() => parseAor(aor)) ?? []);
  const wildcards = document.registrations.flatMap(({ wildcard }) => wildcardOf(wildcard) ?? []);
  const identities = state === 'full' ? [known.identities[0]!, ...told] : [...known.identities, ...told];
  return {
    kind: 'applied',
    user: {
      ...known,
      identities: [...new Set(identities)],
      wildcards: [...new Set([...(state === 'full' ? [] : (known.wildcards ?? [])), ...wildcards])],
      devices: withOwnIds(devices),
      version,
    },
    changes,
  };
}

/**
 * The devices that a document may speak of. It names the same contact, or an identifier of the same registration: those hold within
 * one subscription, and some registrars count them anew in each registration.
 */
class KnownDevices {
  readonly #byContact = new Map<string, WatchedDevice>();
  readonly #byId = new Map<string, WatchedDevice>();

  constructor(devices: readonly WatchedDevice[], sameSubscription: boolean) {
    for (const device of devices) {
      this.#byContact.set(contactKey(device), device);
      if (sameSubscription) this.#byId.set(`${device.aor}\n${device.id}`, device);
    }
  }

  same(device: WatchedDevice): WatchedDevice | undefined {
    const { aor, id } = device;
    return (
      this.#byContact.get(contactKey(device)) ??
      this.#byId.get(`${aor}\n${qualified(device)}`) ??
      this.#byId.get(`${aor}\n${id}`)
    );
  }
}

const contactKey = ({ contact, instanceKey }: WatchedDevice): string => `${contact}\n${instanceKey ?? ''}`;
const qualified = ({ aor, id }: WatchedDevice): string => `${aor} ${id}`;

/** Where two registrations give the same identifier to two contacts, the later one gets one of its own. */
function withOwnIds(devices: readonly WatchedDevice[]): readonly WatchedDevice[] {
  const taken = new Set<string>();
  return devices.map((device) => {
    const id = taken.has(device.id) ? qualified(device) : device.id;
    taken.add(id);
    return id === device.id ? device : { ...device, id };
  });
}

/** Contacts that the implicit set shares are one device: the one under the identity that registered it itself. */
function merged({ registrations }: ReginfoDocument): readonly { aor: string; contact: ReadContact }[] {
  const found = new Map<string, { aor: string; contact: ReadContact }>();
  for (const { aor: written, contacts, state } of registrations) {
    const aor = orNone(() => parseAor(written));
    if (aor === undefined) continue;
    for (const told of contacts) {
      if (!isUri(told.uri)) continue;
      // a registration that is over has nothing that lives
      const contact = { ...told, active: told.active && state === 'active' };
      const key = `${contact.uri}\n${contact.params.get('+sip.instance') ?? ''}`;
      const other = found.get(key)?.contact;
      // what one identity has lost another may have
      if (!other || (contact.active && (!other.active || rank(contact) > rank(other))))
        found.set(key, { aor, contact });
    }
  }
  return [...found.values()];
}

const rank = ({ event, publicGruu }: ReadContact): number =>
  (event === 'created' ? 0 : 1) + (publicGruu === undefined ? 0 : 2);

/** Undefined when nothing happened to the device since the document before. */
function changeOf(
  old: WatchedDevice | undefined,
  device: WatchedDevice,
  { event }: ReadContact,
): ContactEvent | undefined {
  if (!old) return event === 'created' ? 'created' : 'registered';
  if (event === 'shortened' && old.expiresAt !== device.expiresAt) return 'shortened';
  return old.registeredBy === device.registeredBy ? undefined : 'refreshed';
}

export function deviceOf(aor: string, contact: ReadContact, now: number): WatchedDevice {
  const { id, uri, params, q, expires, displayName, callId, cseq } = contact;
  const instance = instanceOf(params.get('+sip.instance'));
  const publicGruu = contact.publicGruu ?? (isPublicGruu(uri) ? uri : undefined);
  return {
    id,
    aor,
    contact: uri,
    ...(instance && { instance: instance.urn, instanceKey: instance.key }),
    ...(publicGruu !== undefined && { publicGruu }),
    ...(contact.temporaryGruu && { temporaryGruu: contact.temporaryGruu.uri }),
    features: [...params]
      .filter(([name]) => name !== 'expires' && name !== 'q')
      .map(([name, value]) => [name, value === '' ? true : unquote(value)]),
    ...(displayName !== undefined && displayName !== '' && { deviceName: displayName }),
    q,
    ...(expires !== undefined && { expiresAt: now + expires * 1000 }),
    registeredBy: callId === undefined ? '' : `${callId} ${cseq ?? 0}`,
  };
}

/** A device with what its registrar's documents leave out. */
export function completed(device: WatchedDevice, told: readonly WatchedDevice[] | undefined): WatchedDevice {
  const same = told?.find(({ contact }) => contact === device.contact);
  if (!same || (device.instanceKey ?? same.instanceKey) !== same.instanceKey) return device;
  const { instance, instanceKey, publicGruu, temporaryGruu, deviceName } = same;
  const names = new Set(device.features.map(([name]) => name));
  return {
    ...(instance !== undefined && instanceKey !== undefined && { instance, instanceKey }),
    ...(publicGruu !== undefined && { publicGruu }),
    ...(temporaryGruu !== undefined && { temporaryGruu }),
    ...(deviceName !== undefined && { deviceName }),
    ...device,
    features: [...device.features, ...same.features.filter(([name]) => !names.has(name))],
  };
}

/** With or without quotes and brackets, as it is found; a device whose Instance ID nobody can read has none. */
function instanceOf(text: string | undefined): InstanceId | undefined {
  if (text === undefined) return undefined;
  const value = unquote(text.trim());
  return orNone(() => InstanceId.parse(value.startsWith('<') ? value : `<${value}>`));
}

/** Of another core only an expression that costs little, since it is held against every identity that is not known. */
const MAX_WILDCARD_COST = 500;
const wildcardOf = (uri: string | undefined): string | undefined =>
  uri === undefined ? undefined : orNone(() => parseWildcard(uri, MAX_WILDCARD_COST))?.uri;

const isUri = (uri: string): boolean => orNone(() => parseUri(uri)) !== undefined;
const isPublicGruu = (uri: string): boolean => orNone(() => parseGruu(uri))?.kind === 'public';
