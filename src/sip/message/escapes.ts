const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;

/**
 * Undoes the `%HH` escapes of a part of a URI, once and whole: octets are read as UTF-8 (RFC 3261 §19.1.2, RFC 3986 §2.5).
 * A NUL stays a character (RFC 4475 §3.1.1.4); what is no escape stays as it is.
 */
export function unescape(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(ESCAPES, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
}

const HEADER_SAFE = /[^A-Za-z0-9\-_.!~*'()[\]/?:+$]/gu;

/** Escapes a value for the header part of a SIP URI (RFC 3261 §25.1 `hvalue`). */
export function escapeHeaderValue(text: string): string {
  return text.replace(HEADER_SAFE, escapeCharacter);
}

const USER_SAFE = /[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/gu;

/** Escapes text for the user part of a SIP URI (RFC 3261 §25.1 `user`). */
export function escapeUser(text: string): string {
  return text.replace(USER_SAFE, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return Buffer.from(character, 'utf8').toString('hex').toUpperCase().replace(/../g, '%$&');
}
