import { randomUUID } from 'node:crypto';
import { v5 } from 'uuid';
import { orNone } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import type { Headers } from '../../sip/message/headers.js';

/** Name space of the conversations between two users whose clients name none. */
const CONVERSATIONS = '5b1f1c2e-8f5e-4a51-9d3a-6f0c6e1f7a10';

/**
 * Gives a request the identifiers that its client left out; what it named is never changed (OMA CPM, Conversation-ID and
 * Contribution-ID). The conversation of two users is the same in both directions.
 */
export function nameContribution(headers: Headers, sender: string, recipient: string): void {
  if (!headers.has('Contribution-ID')) headers.set('Contribution-ID', randomUUID());
  if (!headers.has('Conversation-ID'))
    headers.set('Conversation-ID', v5([sender, recipient].map(canonical).sort().join('\n'), CONVERSATIONS));
}

/** However a user's address is written, to a GRUU of a device too. */
const canonical = (uri: string): string => orNone(() => parseAor(uri)) ?? uri;
