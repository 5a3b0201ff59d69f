import { child, element, textOf, type Element } from '../codec/element.js';

/** The element ClientID: a URI, a telephone number, or both. */
export interface ClientId {
  readonly url: string | undefined;
  readonly msisdn: string | undefined;
}

/** The fields that the implementation guidelines recommend for the URI of a Client-ID. */
export interface ClientIdFields {
  readonly softwareName: string;
  /** Digits, then pieces after dots (`2.0.*`); empty when nothing tells it from the name. */
  readonly softwareVersion: string;
  readonly operator: string;
  readonly vendor: string;
  readonly model: string;
  readonly uniqueId: string;
}

const LONGEST = 255;

/** @returns undefined when there is no element, it is empty, or a part is longer than 255 characters */
export function readClientId(parent: Element | undefined): ClientId | undefined {
  const found = child(parent, 'ClientID');
  if (!found) return undefined;
  // the bare text is what some clients write instead of the structure
  const url = (textOf(found, 'URL') ?? found.text).trim() || undefined;
  const msisdn = textOf(found, 'MSISDN')?.trim() || undefined;
  if (url === undefined && msisdn === undefined) return undefined;
  if ((url?.length ?? 0) > LONGEST || (msisdn?.length ?? 0) > LONGEST) return undefined;
  return { url, msisdn };
}

export const clientIdElement = ({ url, msisdn }: ClientId): Element =>
  element(
    'ClientID',
    url === undefined ? undefined : element('URL', url),
    msisdn === undefined ? undefined : element('MSISDN', msisdn),
  );

/**
 * What tells the clients of one user apart: the URI, exactly as written, or else the telephone number. A number beside
 * a URI is data: adding it later does not make another client.
 */
export const clientKey = ({ url, msisdn }: ClientId): string => url ?? `msisdn:${msisdn ?? ''}`;

const version = /^(?<name>[A-Za-z][A-Za-z0-9]*?)(?<version>\d+(?:\.[A-Za-z0-9*]+)*)$/;

/**
 * Splits the recommended form `wv:` name version `$` operator `@` vendor `.` model `.` unique (IMPS 1.3 Implementation
 * Guidelines §9.2). A Client-ID need not have it: any other URI is as good.
 */
export function parseClientIdFields(url: string): ClientIdFields | undefined {
  if (!/^wv:/i.test(url)) return undefined;
  const rest = url.slice(3);
  const dollar = rest.indexOf('$');
  const at = dollar < 0 ? -1 : rest.indexOf('@', dollar);
  if (dollar < 1 || at < 0) return undefined;
  const software = rest.slice(0, dollar);
  const device = rest.slice(at + 1);
  const first = device.indexOf('.');
  const last = device.lastIndexOf('.');
  if (first < 1 || last === first || last === device.length - 1) return undefined;
  const split = version.exec(software)?.groups;
  return {
    softwareName: split?.['name'] ?? software,
    softwareVersion: split?.['version'] ?? '',
    operator: rest.slice(dollar + 1, at),
    vendor: device.slice(0, first),
    model: device.slice(first + 1, last),
    uniqueId: device.slice(last + 1),
  };
}

export const formatClientIdFields = (fields: ClientIdFields): string =>
  `wv:${fields.softwareName}${fields.softwareVersion}$${fields.operator}` +
  `@${fields.vendor}.${fields.model}.${fields.uniqueId}`;
