import { msrpError } from '../errors.js';
import { escapeCpim, unescapeCpim } from './escapes.js';

/** The value of From, To, cc and of the routing fields of RFC 5438: `[ Formal-name ] "<" URI ">"`. */
export interface CpimAddress {
  /** Formal name without quotes and escapes, or an empty text. */
  readonly name: string;
  readonly uri: string;
}

/** @throws ParleyError `cpim-malformed`. */
export function parseCpimAddress(value: string): CpimAddress {
  const found = /^(.*?)\s*<([^<>\s]+)>$/su.exec(value.trim());
  if (!found) throw msrpError('cpim-malformed', 'address');
  const name = found[1]!.trim();
  const quoted = name.length >= 2 && name.startsWith('"') && name.endsWith('"');
  return { name: unescapeCpim(quoted ? name.slice(1, -1) : name), uri: found[2]! };
}

/** The inverse of {@link parseCpimAddress}; a name is always quoted. */
export function formatCpimAddress(address: CpimAddress): string {
  if (/[<>\s]/.test(address.uri)) throw msrpError('cpim-malformed', 'address');
  return address.name === ''
    ? `<${address.uri}>`
    : `"${escapeCpim(address.name).replaceAll('"', '\\"')}" <${address.uri}>`;
}
