import { parseAor, type Aor } from '../../identity/aor.js';

/**
 * The URI that a person means who names an identity: `alice` is `sip:alice@<domain>`, `alice@example.org` is
 * `sip:alice@example.org`, `+15550100001` is `tel:+15550100001`. What has a scheme stays.
 * @param domain home domain.
 */
export function uriOf(text: string, domain: string): string {
  if (text.includes(':')) return text;
  if (text.startsWith('+')) return `tel:${text}`;
  return text.includes('@') ? `sip:${text}` : `sip:${text}@${domain}`;
}

/** The same as an address of record. @throws ParleyError `aor-*`. */
export function aorOf(text: string, domain: string): Aor {
  return parseAor(uriOf(text, domain));
}

/** All that the decision trail may call whom a person names: as given, by its URI, and as an IMPS user. */
export function subjectsOf(text: string, domain: string): string[] {
  const uri = uriOf(text, domain);
  return uri === text ? [text] : [text, uri, uri.replace(/^sip:/, 'wv:')];
}
