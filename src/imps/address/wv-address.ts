/** A user's address in canonical form: `wv:user@domain`, lower case. */
export type UserId = string & { readonly __brand: 'imps-user-id' };

/** Address of a contact list or group in canonical form: `wv:user/name@domain`, or `wv:/name@domain`. */
export type ResourceId = string & { readonly __brand: 'imps-resource-id' };

export interface WvAddress {
  /** Empty in the address of a server's group. */
  readonly user: string;
  /** Name of a contact list or group; empty in a user's address. */
  readonly resource: string;
  readonly domain: string;
}

/** Longest address taken, in characters; clients of the field allow 50 for a user. */
const LONGEST = 200;
const part = /^[\x20-\x2e\x30-\x3f\x41-\x7e]*$/;
const telephone = /^\+\d+$/;

/**
 * Reads an address of the `wv` scheme: `[wv:] (user ["/" resource] / "/" resource) ["@" domain]`, without regard to
 * case. The scheme may be missing, as users type it; a missing domain is the home domain.
 * @returns undefined when it is none
 */
export function parseWvAddress(text: string, homeDomain: string): WvAddress | undefined {
  const trimmed = text.trim().toLowerCase();
  if (trimmed.length > LONGEST) return undefined;
  const rest = trimmed.startsWith('wv:') ? trimmed.slice(3) : trimmed;
  const at = rest.lastIndexOf('@');
  const local = at < 0 ? rest : rest.slice(0, at);
  const domain = at < 0 ? homeDomain : rest.slice(at + 1);
  const slash = local.indexOf('/');
  const user = slash < 0 ? local : local.slice(0, slash);
  const resource = slash < 0 ? '' : local.slice(slash + 1);
  if (user === '' && resource === '') return undefined;
  if (slash >= 0 && resource === '') return undefined;
  if (domain === '' || !/^[a-z0-9.[\]:_-]+$/.test(domain)) return undefined;
  if (!isPart(user) && !telephone.test(user)) return undefined;
  if (!isPart(resource)) return undefined;
  return { user, resource, domain };
}

/** Printable US-ASCII without the characters that hold an address together. */
const isPart = (text: string): boolean => part.test(text) && !text.includes('+');

export const formatWvAddress = ({ user, resource, domain }: WvAddress): string =>
  `wv:${user}${resource === '' ? '' : `/${resource}`}@${domain}`;

/** The canonical address of a user, or undefined when the text is none. */
export function parseUserId(text: string | undefined, homeDomain: string): UserId | undefined {
  const address = text === undefined ? undefined : parseWvAddress(text, homeDomain);
  return address && address.user !== '' && address.resource === ''
    ? (formatWvAddress(address) as UserId)
    : undefined;
}

/** The canonical address of a contact list or group, or undefined when the text is none. */
export function parseResourceId(text: string | undefined, homeDomain: string): ResourceId | undefined {
  const address = text === undefined ? undefined : parseWvAddress(text, homeDomain);
  return address && address.resource !== '' ? (formatWvAddress(address) as ResourceId) : undefined;
}

/** The user in whose name a list or group stands; undefined for a server's group. */
export function ownerOf(resource: ResourceId): UserId | undefined {
  const slash = resource.indexOf('/');
  return slash === 3
    ? undefined
    : (`${resource.slice(0, slash)}${resource.slice(resource.lastIndexOf('@'))}` as UserId);
}

/** Domain of a canonical address. */
export const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);

/** User part of a canonical address. */
export const userPartOf = (user: UserId): string => user.slice(3, user.lastIndexOf('@'));
