import { ParleyError } from '../../base/errors.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';
import { groupError } from './errors.js';
import {
  addMember,
  changeMember,
  findMember,
  inviteAll,
  isBelowMinimum,
  memberOf,
  reachesMinimum,
  type Group,
  type Participant,
} from './group.js';
import type { Groups } from './groups.js';
import { newAlias, newId } from './identifiers.js';
import { groupHeaders, readParts } from './invitation.js';
import { Inactivity } from './inactivity.js';
import { asKnown, invitedAgain } from './invitees.js';
import { bestRefusal, firstAccepted, type InvitationsOptions } from './invitations.js';
import { GONE, type Leg, type ReferHandler } from './leg.js';
import { Legs } from './legs.js';
import { LiveGroup, type EndOfSession } from './live-group.js';
import type { MediaSession } from './media.js';
import type { Endpoint, Member } from './member.js';
import type { ExpiredMessage } from './message-log.js';
import type { Note } from './notes.js';
import { tellProgress } from './progress.js';
import type { Invitee } from './recipient.js';
import { checkReplacements, type OneToOneSessions } from './replacements.js';
import { Ringing } from './ringing.js';
import { Subscriptions, type SubscriptionsOptions } from './subscriptions.js';
import { Switch, type SwitchOptions } from './switch.js';

export interface FocusOptions extends InvitationsOptions, SwitchOptions, SubscriptionsOptions {
  readonly groups: Groups;
  /** Milliseconds without a message after which the session ends; members may restart it. */
  readonly inactivity: number;
  readonly sessions: OneToOneSessions;
}

/** The focus of one group while it has sessions (RFC 4353 §4.1): a dialog with each device of each member. */
export class Focus {
  readonly #options: FocusOptions;
  readonly #live: LiveGroup;
  readonly #legs: Legs;
  readonly #ringing: Ringing;
  readonly #subscriptions: Subscriptions;
  readonly #switch: Switch;
  readonly #onEnd: (focus: Focus) => void;
  readonly #inactivity: Inactivity;
  /** Members whose own INVITE is being answered: they need no invitation. */
  readonly #coming = new Set<string>();
  /** Members whose invitation was cut off by the end of the process that had the group. */
  #owed: readonly Member[] = [];
  /** What a session is told that has no place here: that of who was put out, until the sessions end. */
  #farewell: { readonly Reason: string } = GONE;
  /** Requests under way that will need the focus. */
  #held = 0;
  /** Whether there have been as many as the minimum: until then who comes back first waits for the others. */
  #wasEnough = false;

  readonly #note: Note = (code, clause, detail, outcome = 'noted') => {
    const { uri, contributionId } = this.group;
    this.#options.trail.record({ code, outcome, clause, subject: uri, trace: contributionId, detail });
  };

  /** @param onEnd called once, when the focus has ended. @param onRefer what a REFER of a member inside its dialog does. */
  constructor(
    group: Group,
    options: FocusOptions,
    hooks: { onEnd(focus: Focus): void; onRefer(focus: Focus): ReferHandler },
  ) {
    this.#options = options;
    this.#onEnd = (focus) => hooks.onEnd(focus);
    this.#live = new LiveGroup(group, options, (changed) => {
      this.#wasEnough ||= reachesMinimum(this.group);
      this.#subscriptions.changed(changed);
    });
    this.#subscriptions = new Subscriptions(options, () => this.group);
    this.#switch = new Switch(() => this.group, options);
    const shared = {
      live: this.#live,
      note: this.#note,
      background: (work: Promise<unknown>) => this.#background(work),
      farewell: () => this.#farewell,
    };
    this.#legs = new Legs({
      ...shared,
      switch: this.#switch,
      refer: hooks.onRefer(this),
      heard: () => this.#inactivity.heard(),
      failed: (error) => {
        if (isMoved(error)) void this.close('moved');
      },
      left: (identity) => this.#subscriptions.endOf(identity),
      ended: () => this.#endIfTooFew(),
    });
    this.#ringing = new Ringing(options, {
      ...shared,
      accepted: (leg, unwanted) => {
        this.#legs.adopt(leg);
        if (unwanted !== undefined && this.#legs.has(leg)) this.#legs.hangUp(leg, { Reason: unwanted });
      },
      refused: async (identity) => {
        this.#switch.drop(identity);
        await this.#endIfTooFew();
      },
    });
    this.#background(this.#subscriptions.resume());
    this.#inactivity = new Inactivity(options.clock, options.inactivity, () =>
      this.#background(this.close('inactive')),
    );
  }

  get group(): Group {
    return this.#live.current;
  }

  /** The group with what has happened until now: who has just answered subscribes before its coming is stored. */
  async upToDate(): Promise<Group> {
    await this.#live.stored();
    return this.group;
  }

  /** For metrics: what there is now. */
  get figures(): { sessions: number; queued: number } {
    return { sessions: this.#legs.size, queued: this.#switch.queued };
  }

  /** Whom the group is to invite once somebody is in. */
  owe(members: readonly Member[]): void {
    this.#owed = members;
  }

  /** Keeps the focus while a request is answered. When that leaves it without any session, it ends as `without` says. */
  async hold<T>(work: () => Promise<T>, without: 'never' | 'cancelled'): Promise<T> {
    this.#held++;
    try {
      return await work();
    } finally {
      this.#held--;
      if (this.#held === 0 && this.#legs.size === 0 && this.#ringing.size === 0) await this.close(without);
      else await this.#endIfTooFew();
    }
  }

  /**
   * The INVITE of who creates the group or starts it again, under {@link hold}: invites everybody at once, and answers 200 when the
   * first has accepted (Figure 9 note 2), else with what best says why nobody did.
   * @throws ParleyError for a description that a group cannot use.
   */
  async create(
    request: ServerRequest,
    response: ServerResponse,
    user: Participant,
    recipients: readonly Invitee[],
  ): Promise<void> {
    const creator = this.#nameOf(user);
    const media = this.#mediaFor(request);
    // it may have come before, while the group was made
    let cancelled = response.finalStatus !== undefined;
    const hungUp = 'SIP;cause=487;text="The creator hung up"';
    request.onCancel(() => {
      cancelled = true;
      this.#ringing.cancelAll(hungUp);
    });
    const done = tellProgress(response, this.#options.clock, groupHeaders(this.group));
    this.#coming.add(creator);
    let accepted: true | number[];
    try {
      await this.#live.apply((group) => addMember(group, user, 'participant'));
      this.#owed = this.#owed.filter(({ owner }) => !recipients.some((one) => one.owner === owner));
      const outcomes = cancelled ? [] : await this.invite(recipients, creator);
      // while the invitations were being stored there was nothing to cancel
      if (cancelled) this.#ringing.cancelAll(hungUp);
      accepted = await firstAccepted(outcomes);
    } catch (error) {
      media.close();
      throw error;
    } finally {
      done();
      this.#coming.delete(creator);
    }
    // who begins with a list has had its answer: too few of them came
    this.#wasEnough = true;
    if (accepted === true && !cancelled) {
      try {
        await this.#answer(request, response, user, media);
        this.#note('group.started', 'RFC 5366 §5', creator, 'accepted');
      } catch (error) {
        if (this.#legs.of().every(isInvited)) {
          this.#ringing.cancelAll(hungUp);
          this.#hangUpInvited();
        }
        throw error;
      }
      return;
    }
    media.close();
    if (!cancelled) response.send(bestRefusal(accepted === true ? [] : accepted));
    this.#hangUpInvited();
  }

  /** Those who accepted are left without the one who wanted the group; who came by itself wanted it too. */
  #hangUpInvited(): void {
    for (const leg of this.#legs.of().filter(isInvited))
      this.#legs.hangUp(leg, { Reason: 'SIP;cause=487;text="Cancelled"' });
  }

  /** A member that comes by itself, for the first time or again; under {@link hold}. */
  async join(request: ServerRequest, response: ServerResponse, user: Participant): Promise<void> {
    await this.#answer(request, response, user, this.#mediaFor(request));
  }

  /**
   * Invites those who are not in yet, all at once; who rings already is not rung a second time.
   * @param inviter by the identity that the group knows it by.
   * @returns for each of those who are not coming by themselves the final status, when it comes; 200 for who is in.
   * @throws ParleyError `group-full`.
   */
  async invite(wanted: readonly Invitee[], inviter: string): Promise<Promise<number>[]> {
    const owner = findMember(this.group, inviter)?.owner ?? inviter;
    const checked = await checkReplacements(wanted, owner, this.#options.sessions, ({ identity }, why) =>
      this.#note('group.replacement-ignored', 'RFC 3891 §4', `${identity}: ${why}`),
    );
    const known = asKnown(this.group, checked);
    const recipients = known.filter(({ identity }) => !this.#coming.has(identity));
    let invited: readonly Invitee[] = [];
    await this.#live.apply((group) => {
      const all = inviteAll(group, recipients, inviter, newAlias);
      invited = all.invited;
      return all.group;
    });
    for (const recipient of recipients) {
      const { identity } = recipient;
      // one whose refusal or acceptance could not be stored still counts as invited, and rings no more
      const hangs = findMember(this.group, identity)?.state === 'invited' && !this.#ringing.has(identity);
      if (hangs || invited.includes(recipient)) this.#ringing.start(recipient, inviter, recipients);
    }
    return recipients.map(({ identity }) => this.#ringing.outcomeOf(identity) ?? Promise.resolve(200));
  }

  /**
   * Puts a member out, whether it is in or rings. @param by who wants it so: one that removes itself has left for good.
   * @throws ParleyError `group-member-unknown`
   */
  async remove(identity: string, by?: string): Promise<void> {
    if (!findMember(this.group, identity)) throw groupError('group-member-unknown', identity);
    const [event, method] =
      by === identity ? (['leave', 'departed'] as const) : (['remove', 'booted'] as const);
    await this.#live.change({ identity, event, disconnection: { method, reason: GONE.Reason } });
    this.#note('group.removed', 'RFC 4353 §5.3', `${identity} by ${by ?? 'the operator'}`);
    this.#ringing.cancel(identity, GONE.Reason);
    this.#subscriptions.endOf(identity);
    for (const leg of this.#legs.of(identity)) this.#legs.hangUp(leg, GONE);
    this.#switch.drop(identity);
    await this.#endIfTooFew();
  }

  /** Answers a SUBSCRIBE of a participant. @throws ParleyError `store-unavailable` */
  async subscribe(request: ServerRequest, response: ServerResponse, identity: string): Promise<void> {
    await this.#subscriptions.accept(request, response, identity);
    this.#note('group.watched', 'RFC 4575 §3.5', identity, 'accepted');
  }

  /** A REFER of a member is followed. @param whom members, with what is to become of them. */
  referred(by: string, whom: readonly { readonly identity: string; readonly method: string }[]): void {
    const what = whom.map(({ identity, method }) => `${method} ${identity}`).join(', ');
    this.#note('group.referred', 'RFC 3515 §2.4.2', `${by}: ${what}`, 'accepted');
  }

  /** A message waited too long for some members. */
  expired({ key, message }: ExpiredMessage): void {
    this.#switch.expire(key, message);
  }

  /** Ends all sessions of the group. */
  async close(why: EndOfSession): Promise<void> {
    if (this.#live.over) return;
    this.#note('group.session-ended', 'RFC 4353 §5.4', why);
    // at once, so that who comes now finds the group as it is stored then, and not this focus
    const stored = this.#live.end(why);
    this.#inactivity.stop();
    this.#onEnd(this);
    this.#ringing.cancelAll('SIP;cause=487;text="The group ended"');
    if (why === 'moved' || why === 'stopped') this.#subscriptions.leave();
    else this.#subscriptions.end();
    if (why !== 'closed') this.#farewell = { Reason: `SIP;cause=200;text="${why}"` };
    for (const leg of this.#legs.of()) this.#legs.hangUp(leg, this.#farewell);
    this.#switch.close();
    await stored;
  }

  /** The identity under which the group knows a user. */
  #nameOf(user: Participant): string {
    return memberOf(this.group, user)?.identity ?? user.identity;
  }

  #mediaFor(request: ServerRequest): MediaSession {
    const { description } = readParts(request);
    if (!description) throw groupError('group-session-missing');
    return this.#options.media.answer(description);
  }

  /** Answers a member's own INVITE, unless the group is full by then. Its devices need not ring for it any more. */
  async #answer(
    request: ServerRequest,
    response: ServerResponse,
    user: Participant,
    media: MediaSession,
  ): Promise<void> {
    const endpoint: Endpoint = { id: newId('e'), joining: 'dialed-in' };
    let identity: string | undefined;
    try {
      await this.#live.apply((group) => {
        const entered = addMember(group, user, 'participant');
        const name = memberOf(entered, user)!.identity;
        const connected = changeMember(entered, { identity: name, event: 'connect', endpoint });
        if (connected === entered) throw groupError('group-not-a-member');
        identity = name;
        return connected;
      });
      const dialog = await this.#options.stack.createUAS(request, response, {
        headers: { ...groupHeaders(this.group), 'Content-Type': 'application/sdp' },
        body: media.description,
        sessionExpires: this.#options.sessionExpires,
      });
      this.#legs.adopt({ identity: identity!, endpoint, dialog, media });
      this.#note('group.joined', 'RFC 4353 §5.2', identity!, 'accepted');
      this.#inviteOwed();
      this.#ringing.cancel(identity!, 'SIP;cause=200;text="Call completed elsewhere"');
    } catch (error) {
      media.close();
      if (identity !== undefined)
        this.#background(this.#live.happened({ identity, event: 'drop', endpoint }));
      throw error;
    }
  }

  /** Who has come by itself since, or was put out, needs no invitation any more. */
  #inviteOwed(): void {
    const owed = this.#owed.filter(({ identity }) => findMember(this.group, identity)?.state === 'away');
    this.#owed = [];
    for (const member of owed)
      this.#background(this.invite([invitedAgain(member)], member.invitation?.inviter ?? this.group.creator));
  }

  async #endIfTooFew(): Promise<void> {
    if (this.#held === 0 && this.#wasEnough && isBelowMinimum(this.group)) await this.close('minimum');
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (isMoved(error)) void this.close('moved');
      else this.#options.log.warn({ err: error, group: this.group.id }, 'something of a group failed');
    });
  }
}

/** Who came because the focus invited it. */
const isInvited = ({ endpoint }: Leg): boolean => endpoint.joining === 'dialed-out';

const isMoved = (error: unknown): boolean => error instanceof ParleyError && error.code === 'group-moved';
