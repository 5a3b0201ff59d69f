import { findMember } from './group.js';
import { newId } from './identifiers.js';
import { Invitations, type Accepted, type InvitationsOptions } from './invitations.js';
import type { Leg } from './leg.js';
import type { LiveGroup } from './live-group.js';
import { refusalOf, shownAs, type Endpoint } from './member.js';
import type { Note } from './notes.js';
import type { Invitee } from './recipient.js';

export interface RingingParts {
  readonly live: LiveGroup;
  readonly note: Note;
  /** Goes on without being waited for; its failure is logged. */
  readonly background: (work: Promise<unknown>) => void;
  /** A member has accepted, and is in. @param unwanted what it is told when its ringing had been taken back. */
  readonly accepted: (leg: Leg, unwanted: string | undefined) => void;
  /** A member has not accepted, and has no place any more. */
  readonly refused: (identity: string) => Promise<void>;
  /** What a session is told that has no place. */
  readonly farewell: () => { readonly Reason: string };
}

interface Ring {
  outcome?: Promise<number>;
  /** Why it was taken back, with all others: an acceptance that crosses that is none (RFC 3261 §9.1). */
  takenBack?: string;
}

/** Those whose devices ring for a group, each once, whoever asks for it. */
export class Ringing {
  readonly #parts: RingingParts;
  readonly #invitations: Invitations;
  /** What the ringing of a member comes to, by identity. */
  readonly #rings = new Map<string, Ring>();

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

  /** Nobody is wanted any more. */
  cancelAll(reason: string): void {
    for (const ring of this.#rings.values()) ring.takenBack = reason;
    this.#invitations.cancelAll(reason);
  }

  /** @param inviter by the identity that the group knows it by. @param shown whom the invitation names. */
  start(recipient: Invitee, inviter: string, shown: readonly Invitee[]): void {
    const { identity } = recipient;
    const ring: Ring = {};
    this.#rings.set(identity, ring);
    ring.outcome = this.#ring(recipient, inviter, shown, ring).finally(() => {
      if (this.#isCurrent(identity, ring)) this.#rings.delete(identity);
    });
    // not every caller waits for it
    this.#parts.background(ring.outcome);
  }

  /** False once its member was put out and invited again: how this one ends is then nothing to the member. */
  #isCurrent(identity: string, ring: Ring): boolean {
    return this.#rings.get(identity) === ring;
  }

  async #ring(recipient: Invitee, inviter: string, shown: readonly Invitee[], ring: Ring): Promise<number> {
    const { live, note, refused } = this.#parts;
    const { identity } = recipient;
    const by = findMember(live.current, inviter);
    const more = { inviter: by ? shownAs(by) : inviter, shown };
    const result = await this.#invitations.ring(live.current, recipient, more);
    if (result.kind === 'accepted') return this.#accepted(identity, result, ring);
    const { status, reason } = result;
    if (!this.#isCurrent(identity, ring)) return status;
    note('group.invitation-refused', 'RFC 4353 §5.2', `${identity} ${status}`);
    if (await live.happened({ identity, event: 'refuse', disconnection: refusalOf(status, reason) })) {
      await refused(identity);
      return status;
    }
    // it has come by itself meanwhile, or was put out
    return findMember(live.current, identity)?.state === 'connected' ? 200 : status;
  }

  async #accepted(identity: string, { dialog, media }: Accepted, ring: Ring): Promise<number> {
    const { live, note, accepted, farewell, background } = this.#parts;
    const endpoint: Endpoint = { id: newId('e'), joining: 'dialed-out' };
    const isWanted = !live.over && this.#isCurrent(identity, ring);
    let isIn: boolean;
    try {
      isIn = isWanted && (await live.change({ identity, event: 'connect', endpoint }));
    } catch (error) {
      media.close();
      await dialog.destroy({ Reason: 'SIP;cause=503;text="Service Unavailable"' });
      background(this.#lost(identity, ring));
      throw error;
    }
    if (!isIn) {
      // its acceptance crossed its removal, or the end; one that crossed its own coming is a further session
      media.close();
      await dialog.destroy(farewell());
      return 487;
    }
    note('group.invitation-accepted', 'RFC 4353 §5.2', identity);
    accepted({ identity, endpoint, dialog, media }, ring.takenBack);
    return ring.takenBack === undefined ? 200 : 487;
  }

  /** A member whose acceptance could not be stored does not ring any more, unless it has been invited again. */
  async #lost(identity: string, ring: Ring): Promise<void> {
    const { live, refused } = this.#parts;
    const disconnection = refusalOf(503, 'Service Unavailable');
    const holds = (): boolean => !this.#rings.has(identity) || this.#isCurrent(identity, ring);
    if (await live.happened({ identity, event: 'refuse', disconnection }, holds)) await refused(identity);
  }
}
