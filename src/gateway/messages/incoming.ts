import type { ResourceId, UserId } from '../../imps/index.js';
import { innermostCpim, type CpimHead } from '../../msrp/cpim/index.js';
import { imdnRequestOf, type ImdnRequest } from '../../msrp/imdn.js';
import { parseParams, unquote, type Params } from '../../sip/message/lexer.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { MimeContent } from './content.js';

/** A message as it came: what it holds, and what its sender wants to hear. */
export interface Incoming {
  readonly content: MimeContent;
  readonly head: CpimHead | undefined;
  readonly asked: ImdnRequest | undefined;
  /** The same each time that it comes. */
  readonly id: string;
}

/** Who sent a message, and how it came. */
export interface Envelope {
  readonly sender: { readonly uri: string; readonly wv: UserId };
  /** Milliseconds since the epoch, as its request says. */
  readonly sentAt?: number | undefined;
  /** Seconds after which it is worth nothing. */
  readonly expires?: number | undefined;
  readonly trace: string;
  readonly conversationId?: string | undefined;
  /** What its sender knows it by when it has no Message-ID. */
  readonly contributionId?: string | undefined;
  /** The open session that it came in: what becomes of it is told there. */
  readonly session?: string | undefined;
  /** The group that it came in; with the screen name of the sender, and that of the phone when it is for it alone. */
  readonly group?:
    { readonly id: ResourceId; readonly screenName: string; readonly to?: string | undefined } | undefined;
}

/**
 * What a pager mode message without Message-ID is known by when its request is sent again. Not its Contribution-ID, which some clients
 * keep for a whole conversation.
 */
export const requestKey = ({ callId, cseq }: SipRequest): string => `${callId}\t${cseq.number}`;

/**
 * Opens message/cpim; anything else is the message itself.
 * @param id of a message that names itself by none
 * @throws ParleyError `cpim-malformed`
 */
export function readIncoming(type: string, octets: Uint8Array, id: string): Incoming {
  if (!/^\s*message\/cpim\s*(?:;|$)/i.test(type))
    return { content: mime(type, undefined, octets), head: undefined, asked: undefined, id };
  const { head, content } = innermostCpim(octets);
  const asked = imdnRequestOf(head);
  return {
    content: mime(head.mime('Content-Type') ?? 'text/plain', head.mime('Content-Disposition'), content),
    head,
    asked,
    id: asked?.messageId ?? id,
  };
}

function mime(type: string, disposition: string | undefined, octets: Uint8Array): MimeContent {
  const params = (text: string | undefined): Params => {
    const semicolon = text?.indexOf(';') ?? -1;
    return semicolon < 0 ? noParams : parseParams(text!, semicolon, 'Content-Type');
  };
  const of = params(type);
  const name = of.get('name') ?? params(disposition).get('filename');
  return {
    type: type.split(';', 1)[0]!.trim().toLowerCase(),
    charset: typeof of.get('charset') === 'string' ? unquote(of.get('charset')!) : undefined,
    name: typeof name === 'string' ? unquote(name) : undefined,
    octets,
  };
}

const noParams: Params = new Map();
