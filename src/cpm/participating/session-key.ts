import { createHash } from 'node:crypto';

const LONGEST = 256;

/** A key of the store for what identifiers of dialogs make up, which their senders may choose longer than a key can be. */
export const sessionKey = (name: string): string =>
  name.length <= LONGEST ? name : createHash('sha256').update(name).digest('hex');
