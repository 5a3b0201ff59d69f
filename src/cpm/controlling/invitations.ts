import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { FinalResponseError } from '../../sip/final-response-error.js';
import type { Dialog, SipStack } from '../../sip/stack.js';
import type { EarlyDialogs } from './early-dialogs.js';
import type { Group } from './group.js';
import { invitationFor } from './invitation.js';
import type { GroupMedia, MediaSession } from './media.js';
import type { Recipient } from './recipient.js';

export interface InvitationsOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly media: GroupMedia;
  /** Route values for an INVITE of the focus: to the services and devices of the invited user. */
  route(group: Group): readonly string[];
  readonly earlyDialogs: EarlyDialogs;
  /** Milliseconds that an invitation rings. */
  readonly ringing: number;
  /** Session-Expires of every leg, seconds (RFC 4028). */
  readonly sessionExpires: number;
}

export interface Accepted {
  readonly kind: 'accepted';
  readonly dialog: Dialog;
  readonly media: MediaSession;
}

/** What came of an invitation. */
export type InvitationResult =
  Accepted | { readonly kind: 'refused'; readonly status: number; readonly reason: string };

/** The invitations of one focus that ring. */
export class Invitations {
  readonly #options: InvitationsOptions;
  /** What cancels each, by identity. */
  readonly #ringing = new Map<string, (reason: string) => void>();

  constructor(options: InvitationsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#ringing.size;
  }

  cancel(identity: string, reason: string): void {
    this.#ringing.get(identity)?.(reason);
  }

  cancelAll(reason: string): void {
    for (const cancel of [...this.#ringing.values()]) cancel(reason);
  }

  /** Rings one until it answers, its time is over, or it is cancelled. */
  async ring(
    group: Group,
    recipient: Recipient,
    more: { readonly inviter: string; readonly shown: readonly Recipient[] },
  ): Promise<InvitationResult> {
    const { stack, clock, media: factory, ringing, sessionExpires, earlyDialogs } = this.#options;
    const { identity, target } = recipient;
    const media = factory.offer();
    const { headers, body } = invitationFor(group, recipient, { ...more, description: media.description });
    // a cancellation may come before the INVITE has left
    let cancelled: string | undefined;
    let send: ((reason: string) => void) | undefined;
    const cancel = (reason: string): void => {
      cancelled ??= reason;
      send?.(cancelled);
    };
    this.#ringing.set(identity, cancel);
    const early: (() => void)[] = [];
    const timer = clock.after(ringing, () => cancel('SIP;cause=408;text="No answer"'));
    try {
      const dialog = await stack.createUAC(target, {
        method: 'INVITE',
        route: this.#options.route(group),
        headers,
        body,
        sessionExpires,
        onEarlyDialog: (dialog) => early.push(earlyDialogs.keep(dialog)),
        onStarted: (sendCancel) => {
          send = sendCancel;
          if (cancelled !== undefined) sendCancel(cancelled);
        },
      });
      return await this.#accepted(dialog, media);
    } catch (error) {
      media.close();
      if (error instanceof FinalResponseError)
        return { kind: 'refused', status: error.status, reason: error.response.reason };
      if (error instanceof ParleyError) return { kind: 'refused', status: error.sip, reason: error.message };
      throw error;
    } finally {
      timer.cancel();
      for (const forget of early) forget();
      if (this.#ringing.get(identity) === cancel) this.#ringing.delete(identity);
    }
  }

  async #accepted(dialog: Dialog, media: MediaSession): Promise<InvitationResult> {
    try {
      media.accept(dialog.response?.body ?? new Uint8Array(0));
      return { kind: 'accepted', dialog, media };
    } catch (error) {
      await dialog.destroy({ Reason: 'SIP;cause=488;text="Not Acceptable Here"' });
      throw error;
    }
  }
}

/** Resolves with true as soon as one is 200, else with all of them. */
export async function firstAccepted(outcomes: readonly Promise<number>[]): Promise<true | number[]> {
  const accepted = outcomes.map(async (outcome) => {
    if ((await outcome) !== 200) throw new Error('not accepted');
    return true as const;
  });
  try {
    return await Promise.any(accepted);
  } catch {
    return Promise.all(outcomes);
  }
}

/** When nobody accepts: 486 when all are busy, 603 when all decline, else 480. */
export function bestRefusal(statuses: readonly number[]): number {
  const all = (...wanted: number[]): boolean =>
    statuses.length > 0 && statuses.every((status) => wanted.includes(status));
  if (all(486, 600)) return 486;
  return all(603) ? 603 : 480;
}
