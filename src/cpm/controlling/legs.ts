import type { SipRequest } from '../../sip/message/message.js';
import { findMember, nicknamed } from './group.js';
import { endOf, GONE, leftForGood, serve, type Leg, type ReferHandler } from './leg.js';
import type { LiveGroup } from './live-group.js';
import type { DisconnectionMethod } from './member.js';
import type { Note } from './notes.js';
import type { Switch } from './switch.js';

export interface LegsParts {
  readonly live: LiveGroup;
  readonly switch: Switch;
  readonly note: Note;
  readonly refer: ReferHandler;
  /** Goes on without being waited for; its failure is logged. */
  readonly background: (work: Promise<unknown>) => void;
  /** Somebody has said something. */
  readonly heard: () => void;
  /** A message could not be taken. */
  readonly failed: (error: unknown) => void;
  /** A member has left for good. */
  readonly left: (identity: string) => void;
  /** A session has ended, and that is stored. */
  readonly ended: () => Promise<void>;
  /** What a session is told that has no place. */
  readonly farewell: () => { readonly Reason: string };
}

/** The sessions of the members of a group: with each device a dialog, whose media are at the switch. */
export class Legs {
  readonly #parts: LegsParts;
  readonly #all = new Set<Leg>();

  constructor(parts: LegsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#all.size;
  }

  has(leg: Leg): boolean {
    return this.#all.has(leg);
  }

  /** Those of one member, or of all; they may end meanwhile. */
  of(identity?: string): readonly Leg[] {
    return [...this.#all].filter((leg) => identity === undefined || leg.identity === identity);
  }

  /** Takes a session, which its member has by now, into the group. */
  adopt(leg: Leg): void {
    const { live, note, background, farewell } = this.#parts;
    const { identity, endpoint, dialog, media } = leg;
    const isIn = findMember(live.current, identity)?.endpoints.some(({ id }) => id === endpoint.id) ?? false;
    if (live.over || !isIn) {
      // the group ended, or the member was put out or left, while the session was made
      media.close();
      background(dialog.destroy(live.over ? farewell() : GONE));
      return;
    }
    this.#all.add(leg);
    background(this.#connect(leg));
    media.listen({
      message: (message) => {
        this.#parts.heard();
        const answered = this.#parts.switch.deliver(identity, endpoint.id, message);
        // a store that fails is the sender's to hear of; a group that another process has taken is ours as well
        answered.catch((error: unknown) => this.#parts.failed(error));
        return answered;
      },
      nickname: (name) => this.#nickname(identity, name),
      lost: () => {
        note('group.media-lost', 'RFC 4975 §5.4', identity);
        this.hangUp(leg, { Reason: 'SIP;cause=480;text="No MSRP connection"' }, 'failed');
      },
    });
    serve(leg, {
      group: () => live.current,
      refer: this.#parts.refer,
      hangUp: (reason) => this.hangUp(leg, { Reason: reason }, 'failed'),
    });
    dialog.onEnd((cause) => this.#ended(leg, cause));
  }

  /** Ends a session; its member may come back. */
  hangUp(leg: Leg, headers: { Reason: string }, method: DisconnectionMethod = 'departed'): void {
    this.#close(leg);
    const { live, background, ended } = this.#parts;
    background(leg.dialog.destroy(headers));
    const { identity, endpoint } = leg;
    const disconnection = { method, reason: headers.Reason };
    background(live.happened({ identity, event: 'drop', endpoint, disconnection }).then(ended));
  }

  #close(leg: Leg): void {
    this.#all.delete(leg);
    this.#parts.switch.remove(leg.endpoint.id);
    leg.media.close();
  }

  /** Messages reach the session; one that they cannot reach ends, so that its member comes again. */
  async #connect(leg: Leg): Promise<void> {
    const { identity, endpoint, media } = leg;
    try {
      await this.#parts.switch.add(identity, endpoint.id, media);
    } catch (error) {
      this.hangUp(leg, { Reason: 'SIP;cause=503;text="Messages cannot be read"' }, 'failed');
      throw error;
    }
    if (!this.#all.has(leg)) this.#parts.switch.remove(endpoint.id);
  }

  #ended(leg: Leg, cause: SipRequest | string): void {
    if (!this.#all.has(leg)) return;
    this.#close(leg);
    const { live, note, background, ended, left } = this.#parts;
    const { identity, endpoint } = leg;
    const forGood = leftForGood(cause);
    note('group.left', 'RFC 4353 §5.3', `${identity} ${forGood ? 'for good' : 'may rejoin'}`);
    const event = forGood ? 'leave' : 'drop';
    background(live.happened({ identity, event, endpoint, disconnection: endOf(cause) }).then(ended));
    if (!forGood) return;
    left(identity);
    for (const other of this.of(identity)) this.hangUp(other, GONE);
    this.#parts.switch.drop(identity);
  }

  /** RFC 7701 §7: one name, one participant. @returns the status of the answer. */
  async #nickname(identity: string, name: string): Promise<number> {
    let taken = false;
    await this.#parts.live.apply((group) => {
      const renamed = nicknamed(group, identity, name);
      taken = renamed === undefined;
      return renamed ?? group;
    });
    return taken ? 425 : 200;
  }
}
