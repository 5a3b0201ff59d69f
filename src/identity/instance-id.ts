import { ParleyError } from '../base/errors.js';
import './errors.js';

/** Which URN scheme names the device: RFC 7254, RFC 8464, RFC 4122, or any other one. */
export type InstanceKind = 'imei' | 'meid' | 'uuid' | 'other';

declare const keyBrand: unique symbol;
/** Normal form of an instance ID: equal exactly when the URNs name one device. For tables and maps. */
export type InstanceKey = string & { readonly [keyBrand]: 'InstanceKey' };

const MAX_LENGTH = 256;
const URN = /^urn:[a-z0-9][a-z0-9-]{0,31}:[a-z0-9()+,\-.:=@;$_!*'%/?#~&]+$/i;
const IMEI = /^(\d{8})-?(\d{6})(?:-?\d)?$/;
const IMEI_EXTENSION = /^[a-z0-9\-._%:]+$/i;
const IMEI_PARAMETERS = /^(?:;svn=(\d\d))?(?:;vers=(\d))?$/i;
const MEID = /^([0-9a-f]{8})-?([0-9a-f]{6})$/i;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * The identity of one device, as `+sip.instance` carries it (RFC 5626 §4.1).
 *
 * Two of them are compared by {@link key}; {@link value} is for echoing only, character for character.
 * Turned into text or JSON it shows the redacted form, so that a log line cannot leak an IMEI by accident.
 */
export class InstanceId {
  readonly kind: InstanceKind;
  readonly key: InstanceKey;
  /** The URN as it arrived, without angle brackets. */
  readonly urn: string;
  /**
   * The digits that name the device and may not leave the trust domain, or undefined: 14 digits TAC and SNR of an
   * IMEI, 14 upper-case hex digits of a MEID.
   */
  readonly hardware: string | undefined;

  private constructor(kind: InstanceKind, key: string, urn: string, hardware?: string) {
    this.kind = kind;
    this.key = key as InstanceKey;
    this.urn = urn;
    this.hardware = hardware;
  }

  /**
   * Reads the value of `+sip.instance`.
   * @param value the parameter's value, unquoted or (as reginfo documents carry it) still quoted: `<urn:...>`.
   * @throws ParleyError `instance-id-*`, naming the rule that is broken.
   */
  static parse(value: string): InstanceId {
    let text = value.trim();
    if (text.length > 1 && text.startsWith('"') && text.endsWith('"')) text = text.slice(1, -1).trim();
    if (!text.startsWith('<') || !text.endsWith('>')) throw new ParleyError('instance-id-brackets');
    return InstanceId.fromUrn(text.slice(1, -1).trim());
  }

  /**
   * Reads a bare URN, as an operator types it.
   * @throws ParleyError `instance-id-*`, naming the rule that is broken.
   */
  static fromUrn(urn: string): InstanceId {
    if (urn.length > MAX_LENGTH) throw new ParleyError('instance-id-length');
    if (!URN.test(urn)) throw new ParleyError('instance-id-not-a-urn');
    const scheme = urn.slice(0, 15).toLowerCase();
    if (scheme.startsWith('urn:uuid:')) return InstanceId.#fromUuid(urn);
    if (scheme.startsWith('urn:gsma:imei:')) return InstanceId.#fromImei(urn);
    if (scheme === 'urn:3gpp2:meid:') return InstanceId.#fromMeid(urn);
    const nss = urn.indexOf(':', 4);
    return new InstanceId('other', urn.slice(0, nss).toLowerCase() + normalEscapes(urn.slice(nss)), urn);
  }

  static #fromUuid(urn: string): InstanceId {
    const uuid = urn.slice(9);
    if (!UUID.test(uuid)) throw new ParleyError('instance-id-uuid');
    return new InstanceId('uuid', `uuid:${uuid.toLowerCase()}`, urn);
  }

  /**
   * The spare digit is not part of the key: RFC 7254 §4.2.3 wants 0 there, phones in the field send the check digit.
   * A shape that only a later version could explain is kept as it is (RFC 7254 §4.1), under case-insensitive equality.
   */
  static #fromImei(urn: string): InstanceId {
    const semicolon = urn.indexOf(';');
    const end = semicolon < 0 ? urn.length : semicolon;
    const device = urn.slice(14, end);
    const parameters = IMEI_PARAMETERS.exec(urn.slice(end));
    if (!parameters)
      throw new ParleyError('instance-id-imei', 'parameters must be svn, two digits, then vers, one');
    const imei = IMEI.exec(device);
    const version = parameters[2] ?? '0';
    if (imei && version === '0') {
      const hardware = imei[1]! + imei[2]!;
      const software = parameters[1] === undefined ? '' : `;svn=${parameters[1]}`;
      return new InstanceId('imei', `imei:${hardware}${software}`, urn, hardware);
    }
    if (!IMEI_EXTENSION.test(device))
      throw new ParleyError('instance-id-imei', 'character outside gsma-urn-char');
    const ignored = parameters[2] === '0' ? ';vers=0'.length : 0;
    return new InstanceId('other', urn.slice(0, urn.length - ignored).toLowerCase(), urn);
  }

  static #fromMeid(urn: string): InstanceId {
    const meid = MEID.exec(urn.slice(15));
    if (!meid) throw new ParleyError('instance-id-meid');
    const hardware = (meid[1]! + meid[2]!).toUpperCase();
    return new InstanceId('meid', `meid:${hardware}`, urn, hardware);
  }

  /** The value for the wire, unquoted: the URN exactly as the device sent it, between angle brackets. */
  get value(): string {
    return `<${this.urn}>`;
  }

  /** Same device, by the rules of each URN scheme (RFC 7254 §3, RFC 4122 §3, RFC 2141 §5). */
  equals(other: InstanceId): boolean {
    return this.key === other.key;
  }

  /** Enough to tell devices of one user apart, not enough to name the device (RFC 7255 §8): for logs at info level. */
  redacted(): string {
    switch (this.kind) {
      case 'imei':
        return `imei:${this.hardware!.slice(0, 8)}-****${this.hardware!.slice(12)}`;
      case 'meid':
        return `meid:${this.hardware!.slice(0, 8)}-****${this.hardware!.slice(12)}`;
      case 'uuid':
        return `${this.key.slice(0, 13)}-****`;
      case 'other':
        return `${this.key.slice(0, this.key.indexOf(':', 4))}:****`;
    }
  }

  toString(): string {
    return this.redacted();
  }

  toJSON(): string {
    return this.redacted();
  }
}

/**
 * The check digit of an IMEI, for one that a person typed in (3GPP TS 23.003 Annex B).
 * @param digits the 14 digits of TAC and SNR.
 */
export function imeiCheckDigit(digits: string): number {
  if (!/^\d{14}$/.test(digits)) throw new ParleyError('instance-id-imei', 'TAC and SNR are 14 digits');
  let sum = 0;
  for (let i = 0; i < 14; i++) {
    const digit = digits.charCodeAt(i) - 48;
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return (10 - (sum % 10)) % 10;
}

/** Percent-escapes compare without regard to the case of their digits (RFC 2141 §5). */
function normalEscapes(nss: string): string {
  return nss.includes('%') ? nss.replace(/%[0-9a-f]{2}/gi, (escape) => escape.toLowerCase()) : nss;
}
