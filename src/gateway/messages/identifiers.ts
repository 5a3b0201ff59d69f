import { createHash } from 'node:crypto';
import { v5 } from 'uuid';
import type { UserId } from '../../imps/index.js';
import { CLIENT_NAME_SPACE } from '../identity/instance-name.js';

/** Contribution-ID of a message of a phone to one recipient: the same whenever it is sent again. */
export const contributionId = (messageId: string, recipient: UserId): string =>
  v5(`contribution\n${messageId}\n${recipient}`, CLIENT_NAME_SPACE);

/** Conversation-ID of two users, whoever begins: both sides compute it. */
export const conversationId = (one: string, other: string): string =>
  v5(['conversation', ...[one, other].sort()].join('\n'), CLIENT_NAME_SPACE);

/** What a message of the SIP side is known by when it comes again: its own Message-ID, else that of its request. */
export const originKey = (sender: string, messageId: string): string =>
  createHash('sha256').update(`${sender}\n${messageId}`).digest('base64url').slice(0, 32);
