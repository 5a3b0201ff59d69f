import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { ICSI_REF, referenceValue } from '../../identity/feature-tags.js';
import { formatFileSelector } from '../../msrp/sdp/index.js';
import { MsrpNegotiation, type MsrpEndpoint } from '../../msrp/session/index.js';
import { FinalResponseError } from '../../sip/final-response-error.js';
import type { Dialog, SipStack } from '../../sip/stack.js';

/** One message in large message mode. */
export interface LargeMessage {
  /** Identity and registration set of the sender, and the GRUU of its device where it has one. */
  readonly from: { readonly uri: string; readonly set: string; readonly gruu?: string | undefined };
  readonly to: string;
  readonly contributionId: string;
  readonly conversationId: string;
  /** message/cpim. */
  readonly octets: Uint8Array;
}

export interface LargeMessagesOptions {
  readonly stack: SipStack;
  readonly msrp: MsrpEndpoint;
  readonly clock: Clock;
  readonly log: Logger;
  originating(user: { servedUser: string; set: string }): readonly string[];
}

/** Milliseconds that devices may take to answer: they do so by themselves, and the sender waits. */
const PATIENCE_MS = 30_000;

/** SIP statuses of what an MSRP peer answers to a message (RFC 4975 §10). */
const sipOfMsrp: Readonly<Record<number, number>> = { 403: 403, 408: 408, 413: 413, 415: 415, 481: 480 };

/** Sends standalone messages in large message mode: an INVITE, one message over MSRP, BYE (OMA CPM large message mode). */
export class LargeMessages {
  readonly #options: LargeMessagesOptions;

  constructor(options: LargeMessagesOptions) {
    this.#options = options;
  }

  /** @returns the SIP status of it: 200 when a device of the recipient has all of it */
  async send(message: LargeMessage): Promise<number> {
    const { msrp } = this.#options;
    const media = new MsrpNegotiation(msrp.createSession({ subject: message.from.uri }), {
      acceptTypes: ['message/cpim'],
      acceptWrappedTypes: ['*'],
      direction: 'sendonly',
      behindNat: true,
      file: {
        selector: formatFileSelector({
          name: undefined,
          type: undefined,
          size: message.octets.length,
          hashes: [],
        }),
      },
    });
    try {
      const dialog = await this.#invite(message, media.offer());
      return await this.#transfer(message, dialog, media);
    } catch (error) {
      if (error instanceof FinalResponseError) return error.status;
      if (error instanceof ParleyError) return error.sip;
      throw error;
    } finally {
      media.session.close();
    }
  }

  async #invite({ from, to, ...ids }: LargeMessage, offer: string): Promise<Dialog> {
    const { stack, clock } = this.#options;
    const service = referenceValue([cpmServices.largeMessage]);
    let giveUp = (): void => {};
    const timer = clock.after(PATIENCE_MS, () => giveUp());
    try {
      return await stack.createUAC(to, {
        method: 'INVITE',
        headers: {
          From: `<${from.uri}>`,
          To: `<${to}>`,
          ...(from.gruu === undefined ? {} : { Contact: `<${from.gruu}>;${ICSI_REF}="${service}"` }),
          'P-Asserted-Identity': `<${from.uri}>`,
          'P-Asserted-Service': cpmServices.largeMessage,
          'Accept-Contact': `*;${ICSI_REF}="${service}"`,
          'Conversation-ID': ids.conversationId,
          'Contribution-ID': ids.contributionId,
          'Content-Type': 'application/sdp',
        },
        body: offer,
        route: this.#options.originating({ servedUser: from.uri, set: from.set }),
        onStarted: (cancel) => (giveUp = () => cancel('SIP;cause=408;text="No answer"')),
      });
    } finally {
      timer.cancel();
    }
  }

  async #transfer({ octets }: LargeMessage, dialog: Dialog, media: MsrpNegotiation): Promise<number> {
    try {
      const { maxSize } = media.accept(dialog.response?.body ?? new Uint8Array(0));
      if (maxSize !== undefined && octets.length > maxSize) return 413;
      const status = await media.session.send({ contentType: 'message/cpim', content: octets }).sent;
      return status === 200 ? 200 : (sipOfMsrp[status] ?? 500);
    } finally {
      dialog
        .destroy()
        .catch((error: unknown) =>
          this.#options.log.info({ err: error }, 'a large message ended without BYE'),
        );
    }
  }
}
