import { findMember } from './group.js';
import { newId } from './identifiers.js';
import { Invitations, type Accepted, type InvitationsOptions } from './invitations.js';
import type { Leg } from './leg.js';
import type { LiveGroup } from './live-group.js';
import { refusalOf, shownAs, type Endpoint } from './member.js';
import type { Invitee } from './recipient.js';

export interface RingingParts {
  readonly live: LiveGroup;
  readonly note: (code: string, clause: string, detail: string) => void;
  /** Goes on without being waited for; its failure is logged. */
  readonly background: (work: Promise<unknown>) => void;
  /** A member has accepted, and is in. */
  readonly accepted: (leg: Leg) => void;
  /** A member has not accepted, and has no place any more. */
  readonly refused: (identity: string) => Promise<void>;
  /** What a session is told that has no place. */
  readonly farewell: () => { readonly Reason: string };
}

/** Those whose devices ring for a group, each once, whoever asks for it. */
export class Ringing {
  readonly #parts: RingingParts;
  readonly #invitations: Invitations;
  /** What the ringing of a member comes to, by identity. */
  readonly #rings = new Map<string, { outcome?: Promise<number> }>();

  constructor(options: InvitationsOptions, parts: RingingParts) {
    this.#invitations = new Invitations(options);
    this.#parts = parts;
  }

  get size(): number {
    return this.#invitations.size;
  }

  has(identity: string): boolean {
    return this.#rings.has(identity);
  }

  /** The final status of the ringing that goes on, when it comes; undefined for who does not ring. */
  outcomeOf(identity: string): Promise<number> | undefined {
    return this.#rings.get(identity)?.outcome;
  }

  cancel(identity: string, reason: string): void {
    this.#invitations.cancel(identity, reason);
  }

  cancelAll(reason: string): void {
    this.#invitations.cancelAll(reason);
  }

  /** @param inviter by the identity that the group knows it by. @param shown whom the invitation names. */
  start(recipient: Invitee, inviter: string, shown: readonly Invitee[]): void {
    const { identity } = recipient;
    const ring: { outcome?: Promise<number> } = {};
    this.#rings.set(identity, ring);
    const isCurrent = (): boolean => this.#rings.get(identity) === ring;
    ring.outcome = this.#ring(recipient, inviter, shown, isCurrent).finally(() => {
      if (isCurrent()) this.#rings.delete(identity);
    });
    // not every caller waits for it
    this.#parts.background(ring.outcome);
  }

  /** @param isCurrent false once its member was put out and invited again: how this one ends is then nothing to the member. */
  async #ring(
    recipient: Invitee,
    inviter: string,
    shown: readonly Invitee[],
    isCurrent: () => boolean,
  ): Promise<number> {
    const { live, note, refused } = this.#parts;
    const { identity } = recipient;
    const by = findMember(live.current, inviter);
    const more = { inviter: by ? shownAs(by) : inviter, shown };
    const result = await this.#invitations.ring(live.current, recipient, more);
    if (result.kind === 'accepted') return this.#accepted(identity, result, isCurrent);
    const { status, reason } = result;
    if (!isCurrent()) return status;
    note('group.invitation-refused', 'RFC 4353 §5.3', `${identity} ${status}`);
    const disconnection = refusalOf(status, reason);
    if (await live.change({ identity, event: 'refuse', disconnection })) {
      await refused(identity);
      return status;
    }
    // it has come by itself meanwhile, or was put out
    return findMember(live.current, identity)?.state === 'connected' ? 200 : status;
  }

  async #accepted(identity: string, { dialog, media }: Accepted, isCurrent: () => boolean): Promise<number> {
    const { live, note, accepted, farewell } = this.#parts;
    const endpoint: Endpoint = { id: newId('e'), joining: 'dialed-out' };
    const isWanted = !live.over && isCurrent();
    let isIn: boolean;
    try {
      isIn = isWanted && (await live.change({ identity, event: 'connect', endpoint }));
    } catch (error) {
      media.close();
      await dialog.destroy({ Reason: 'SIP;cause=503;text="Service Unavailable"' });
      throw error;
    }
    if (!isIn) {
      // its acceptance crossed its removal, or the end; one that crossed its own coming is a further session
      media.close();
      await dialog.destroy(farewell());
      return 487;
    }
    note('group.invitation-accepted', 'RFC 4353 §5.3', identity);
    accepted({ identity, endpoint, dialog, media });
    return 200;
  }
}
