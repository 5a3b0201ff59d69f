import { hash } from 'node:crypto';
import { orNone, ParleyError } from '../base/errors.js';
import { canonicalSipAor, isTelAor, type Aor } from './aor.js';
import type { InstanceId } from './instance-id.js';
import { normalizeEscapes, splitSipUri, uriParameter } from './sip-uri.js';
import './errors.js';

declare const gruuKeyBrand: unique symbol;
/** Lookup key of a public GRUU: canonical address part and normal `gr` value. */
export type GruuKey = string & { readonly [gruuKeyBrand]: 'GruuKey' };

/** A URI with a `gr` parameter, taken apart; whether it is a GRUU of this domain only the registrar knows. */
export type Gruu =
  | {
      readonly kind: 'public';
      readonly aor: Aor;
      /** `gr` value, unescaped, a UUID URN in lower case. */
      readonly gr: string;
      readonly key: GruuKey;
    }
  | {
      readonly kind: 'temporary';
      /** User part, for the codec. */
      readonly user: string;
      /** Canonical `sip:user@host`, for its host. */
      readonly aor: Aor;
    };

const PARAMETER_CHARACTER = /[a-z0-9\-_.!~*'()[\]/:&+$]/i;
const PARAMETER_VALUE = /^[a-z0-9\-_.!~*'()[\]/:&+$]*$/i;
const ASCII = /\p{ASCII}/u;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const UUID_URN = /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Takes a URI apart if it has the form of a GRUU. The presence of `gr` decides, never URI equality: by RFC 3261 §19.1.4
 * a public GRUU equals its AOR. All other parameters are passed over, as clients append `transport` to their GRUU.
 * @param uri SIP or SIPS URI without angle brackets.
 * @returns undefined for a URI without `gr`, and for one that is not a SIP URI.
 * @throws ParleyError `aor-user`, `aor-host`.
 */
export function parseGruu(uri: string): Gruu | undefined {
  const parts = splitSipUri(uri);
  if (!parts || parts.parameters === '') return undefined;
  const value = uriParameter(parts.parameters, 'gr');
  if (value === undefined) return undefined;
  const aor = canonicalSipAor(parts.user, parts.hostPort);
  if (value === '') return { kind: 'temporary', user: aor.slice(4, aor.indexOf('@')), aor };
  const gr = normalGrValue(normalizeEscapes(value, ASCII));
  return { kind: 'public', aor, gr, key: gruuKey(aor, gr) };
}

/** Whether two URIs are one GRUU, however they are written. */
export function sameGruu(one: string, other: string): boolean {
  const [a, b] = [one, other].map((uri) => orNone(() => parseGruu(uri)));
  if (a === undefined || b === undefined) return false;
  return a.kind === 'public'
    ? b.kind === 'public' && a.key === b.key
    : b.kind === 'temporary' && a.aor === b.aor;
}

/** Key under which the registrar finds a public GRUU; `gr` is a value of {@link grValue}. */
export function gruuKey(aor: Aor, gr: string): GruuKey {
  return `${aor};gr=${gr}` as GruuKey;
}

/**
 * The public GRUU: the AOR and `gr` with a value (RFC 5627 §3.1.1), characters that a URI parameter may not hold escaped.
 * @param gr a value of {@link grValue}.
 * @throws ParleyError `gruu-of-tel` for a tel address of record.
 */
export function publicGruu(aor: Aor, gr: string): string {
  if (isTelAor(aor)) throw new ParleyError('gruu-of-tel');
  return `${aor};gr=${escapeParameter(gr)}`;
}

/**
 * The temporary GRUU around a user part minted by the codec: value-less `gr`, as in RFC 5627 §3.1.2.
 * @throws ParleyError `gruu-of-tel` for a tel address of record.
 */
export function temporaryGruu(aor: Aor, user: string): string {
  if (isTelAor(aor)) throw new ParleyError('gruu-of-tel');
  return `sip:${user}${aor.slice(aor.indexOf('@'))};gr`;
}

/**
 * Makes `gr` values out of instance IDs and hides hardware identities in them.
 *
 * An IMEI or MEID must not show in a GRUU (RFC 7255 §7, RFC 8465 §7): it becomes a name-based UUID, version 5
 * (RFC 4122 §4.3), whose name is the 14 digits of the device. The name space is a secret of the operator, since a known
 * one would let anybody try all IMEIs, and is never changed, since each public GRUU depends on it.
 */
export class GrValues {
  readonly #nameSpace: Buffer;

  /**
   * @param nameSpace UUID in text form.
   * @throws ParleyError `gruu-name-space`.
   */
  constructor(nameSpace: string) {
    if (!UUID.test(nameSpace)) throw new ParleyError('gruu-name-space');
    this.#nameSpace = Buffer.from(nameSpace.replaceAll('-', ''), 'hex');
  }

  /**
   * Value of `gr` for a device: always the same one, unescaped. Also the URN that stands for the device's
   * `+sip.instance` where that leaves the serving network.
   */
  of(instance: InstanceId): string {
    if (instance.hardware !== undefined) return this.#hidden(instance.hardware);
    // an IMEI of a form that is not known yet identifies hardware just as well
    if (/^urn:(?:gsma|3gpp2):/.test(instance.key)) return this.#hidden(instance.key);
    return instance.kind === 'uuid' ? `urn:${instance.key}` : instance.key;
  }

  #hidden(name: string): string {
    return `urn:uuid:${uuidV5(this.#nameSpace, name)}`;
  }
}

/** UUID version 5 in text form (RFC 4122 §4.3). */
function uuidV5(nameSpace: Uint8Array, name: string): string {
  const digest = hash('sha1', Buffer.concat([nameSpace, Buffer.from(name)]), 'buffer');
  digest[6] = (digest[6]! & 0x0f) | 0x50;
  digest[8] = (digest[8]! & 0x3f) | 0x80;
  const hex = digest.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function normalGrValue(value: string): string {
  return UUID_URN.test(value) ? value.toLowerCase() : value;
}

function escapeParameter(value: string): string {
  if (PARAMETER_VALUE.test(value)) return value;
  let escaped = '';
  for (const character of value) {
    escaped += PARAMETER_CHARACTER.test(character) ? character : encodeURIComponent(character);
  }
  return escaped;
}
