import { createHash, timingSafeEqual } from 'node:crypto';
import { md4 } from './md4.js';

/** Digest schemas that can be checked; PWD means a plain password, and MD6 of the list names no function that exists. */
export const digestSchemas = ['MD5', 'SHA', 'MD4'] as const;
export type DigestSchema = (typeof digestSchemas)[number];

const hash: Readonly<Record<DigestSchema, (bytes: Uint8Array) => Uint8Array>> = {
  MD5: (bytes) => createHash('md5').update(bytes).digest(),
  SHA: (bytes) => createHash('sha1').update(bytes).digest(),
  MD4: md4,
};

/**
 * The schemas that a Login-Request offers, in its order: one DigestSchema each, or one with commas as in 1.1.
 * Names that Parley does not know are left out.
 */
export function offeredSchemas(texts: readonly string[]): DigestSchema[] {
  const names = texts.flatMap((text) => text.split(',')).map((name) => name.trim().toUpperCase());
  return digestSchemas.filter((schema) => names.includes(schema));
}

/** BASE64 of the hash of the nonce followed by the password (document 004 §6.1.1). */
export function digestOf(
  schema: DigestSchema,
  nonce: string,
  password: string,
  encoding: 'utf8' | 'latin1' = 'utf8',
): string {
  return Buffer.from(hash[schema](Buffer.from(nonce + password, encoding))).toString('base64');
}

/** Whether two secrets are equal, in a time that does not tell where they differ. */
export function sameSecret(given: string, expected: string): boolean {
  const one = createHash('sha256').update(given).digest();
  const other = createHash('sha256').update(expected).digest();
  return timingSafeEqual(one, other);
}

/** Whether DigestBytes answers the nonce. Clients of the field write a password in ISO-8859-1 or in UTF-8. */
export function digestMatches(schema: DigestSchema, nonce: string, password: string, given: string): boolean {
  const text = given.trim();
  const utf8 = sameSecret(text, digestOf(schema, nonce, password, 'utf8'));
  const latin1 = sameSecret(text, digestOf(schema, nonce, password, 'latin1'));
  return utf8 || latin1;
}
