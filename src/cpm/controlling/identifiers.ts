import { randomBytes } from 'node:crypto';

/** A new identifier that nobody can guess. */
export function newId(prefix: string): string {
  return `${prefix}-${randomBytes(9).toString('hex')}`;
}

/** What others see of an anonymous participant, unique for each (RFC 7701 §6.1). */
export function newAlias(): string {
  return `sip:anonymous-${randomBytes(6).toString('hex')}@anonymous.invalid`;
}
