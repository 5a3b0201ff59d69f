import type { SipResponse } from '../../sip/message/message.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';

/** What a non-CPM communication service can carry. */
export type Capability = 'message' | 'large-message' | 'session' | 'group' | 'file-transfer';

/**
 * Addresses that a function answers for: a URI scheme with its colon (`wv:`, `mailto:`, and `tel:` for numbers of nobody here),
 * or the domain of SIP addresses (`sip:*@sms.example.com`). Compared in lower case.
 */
export type AddressForm = string;

/** The identifiers of a CPM conversation, as they came; they are kept on both sides (OMA CPM, `Conversation-ID`). */
export interface ConversationIds {
  readonly conversationId?: string | undefined;
  readonly contributionId?: string | undefined;
  readonly inReplyTo?: string | undefined;
}

/** What an interworking function learns of each request. */
export interface Interworked extends ConversationIds {
  /** The identity that the network asserts of the sender; the From of a sender that nobody vouches for. */
  readonly sender: string;
  /** GRUU of the sender's device, where Contact has one: replies and notifications go there. */
  readonly senderDevice?: string | undefined;
  /** Whom it is for: the Request-URI. */
  readonly recipient: string;
  readonly request: ServerRequest;
}

/** A standalone message in pager mode. */
export interface InterworkedMessage extends Interworked {
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Seconds after which it is worth nothing any more, when the sender said so. */
  readonly expires?: number | undefined;
}

/** An invitation, to be answered with `response` or with `stack.createUAS(request, response)`. */
export interface InterworkedInvitation extends Interworked {
  /** `large-message` for one message over MSRP, `group` for a group session whose focus is the Contact. */
  readonly kind: Exclude<Capability, 'message'>;
  readonly response: ServerResponse;
  /** To be called with each response of a proxy that forwards the invitation in place of an answer of its own. */
  readonly shown: (response: SipResponse) => void;
}

/** One non-CPM communication service. */
export interface InterworkingFunction {
  /** Stable, for configuration, trail and metrics. */
  readonly name: string;
  /** The Non-CPM Communication Service Identifier, a token. */
  readonly service: string;
  readonly addresses: readonly AddressForm[];
  readonly capabilities: ReadonlySet<Capability>;
  /**
   * Feature tags: users of CPM all whose devices lack the service asked for, and one of whose devices has such a tag, are served
   * by this function (`+g.oma.sip-im`).
   */
  readonly features?: readonly string[];
  /** Where requests go: Route of a SIP interworking function, or the one in this process. */
  readonly target: { readonly route: string } | InProcessFunction;
}

/** The interworking function that runs in this process. A ParleyError that it throws is answered with its SIP status. */
export interface InProcessFunction {
  /** False for an address of its form that it does not know: another function is asked, and without one the answer is 404. */
  knows(address: string): boolean | Promise<boolean>;
  /** @returns the SIP status: 200 or 202 only when the message cannot be lost any more. */
  message(message: InterworkedMessage): Promise<number>;
  /** Answers the invitation itself. */
  invitation(invitation: InterworkedInvitation): Promise<void>;
}
