/** The pieces of a SIP or SIPS URI that identities are made of; nothing is decoded. */
export interface SipUriParts {
  readonly secure: boolean;
  /** Raw user part without password, or undefined when there is no `@`. */
  readonly user: string | undefined;
  /** Raw host with port. */
  readonly hostPort: string;
  /** Raw URI parameters with their leading `;`, or an empty string; header fields (`?...`) are left out. */
  readonly parameters: string;
}

/**
 * Cuts a SIP URI at its delimiters (RFC 3261 §19.1.1).
 *
 * The user part may hold `;` and `?` (RFC 3261 §25.1, user-unreserved), so `@` is looked for first.
 * @returns undefined when the scheme is neither `sip` nor `sips`.
 */
export function splitSipUri(uri: string): SipUriParts | undefined {
  const colon = uri.indexOf(':');
  if (colon !== 3 && colon !== 4) return undefined;
  const scheme = uri.slice(0, colon).toLowerCase();
  if (scheme !== 'sip' && scheme !== 'sips') return undefined;
  const at = uri.indexOf('@', colon);
  const host = at < 0 ? colon + 1 : at + 1;
  const question = uri.indexOf('?', host);
  const end = question < 0 ? uri.length : question;
  const semicolon = uri.indexOf(';', host);
  const hostEnd = semicolon < 0 || semicolon > end ? end : semicolon;
  let user: string | undefined;
  if (at >= 0) {
    const password = uri.indexOf(':', colon + 1);
    user = uri.slice(colon + 1, password >= 0 && password < at ? password : at);
  }
  return {
    secure: colon === 4,
    user,
    hostPort: uri.slice(host, hostEnd),
    parameters: uri.slice(hostEnd, end),
  };
}

/**
 * One parameter out of `;name=value;name...`.
 * @param name in lower case; parameter names are compared without regard to case (RFC 3261 §7.3.1).
 * @returns the raw value, an empty string for a parameter without one, undefined when it is absent.
 */
export function uriParameter(parameters: string, name: string): string | undefined {
  let from = 0;
  while (from < parameters.length) {
    const start = from + 1;
    const next = parameters.indexOf(';', start);
    const end = next < 0 ? parameters.length : next;
    const equal = parameters.indexOf('=', start);
    const nameEnd = equal < 0 || equal > end ? end : equal;
    if (nameEnd - start === name.length && parameters.slice(start, nameEnd).toLowerCase() === name) {
      return nameEnd === end ? '' : parameters.slice(nameEnd + 1, end);
    }
    from = end;
  }
  return undefined;
}

/**
 * Resolves escapes whose octet `legal` allows unescaped and writes the others with upper-case digits, so that
 * spellings of one string become one (RFC 3986 §6.2.2).
 */
export function normalizeEscapes(text: string, legal: RegExp): string {
  if (!text.includes('%')) return text;
  return text.replace(/%[0-9a-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16));
    return legal.test(character) ? character : escape.toUpperCase();
  });
}
