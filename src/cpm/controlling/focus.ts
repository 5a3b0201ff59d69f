import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { FinalResponseError } from '../../sip/final-response-error.js';
import { parseReasons } from '../../sip/message/reason.js';
import { SipRequest } from '../../sip/message/message.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../../sip/stack.js';
import { groupError } from './errors.js';
import {
  addMember,
  changeMember,
  findMember,
  inviteAll,
  isBelowMinimum,
  type Group,
  type MemberChange,
} from './group.js';
import type { Groups } from './groups.js';
import { groupHeaders, invitationFor, readParts } from './invitation.js';
import type { GroupMedia, MediaSession } from './media.js';
import { refusalOf, type Endpoint } from './member.js';
import type { Recipient } from './recipient.js';
import { Subscriptions } from './subscriptions.js';
import { Switch } from './switch.js';

export interface FocusOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly groups: Groups;
  readonly media: GroupMedia;
  /** Route values for an INVITE of the focus: to the services and devices of the invited user. */
  route(group: Group): readonly string[];
  /** Milliseconds that an invitation rings. */
  readonly ringing: number;
  /** Milliseconds without a message after which the session ends; members may restart it. */
  readonly inactivity: number;
  /** Session-Expires of every leg, seconds (RFC 4028). */
  readonly sessionExpires: number;
}

/** One session of a member: its dialog and its media. */
interface Leg {
  readonly identity: string;
  readonly endpoint: Endpoint;
  readonly dialog: Dialog;
  readonly media: MediaSession;
}

const GONE = { Reason: 'SIP;cause=410;text="Gone"' };

/** The focus of one group while it has sessions (RFC 4353 §3): a dialog with each device of each member. */
export class Focus {
  readonly #options: FocusOptions;
  #group: Group;
  readonly #legs = new Set<Leg>();
  /** Invitations that ring, with what cancels them. */
  readonly #ringing = new Map<string, (reason: string) => void>();
  readonly #subscriptions: Subscriptions;
  readonly #switch: Switch;
  readonly #onIdle: (focus: Focus) => void;
  #lastMessage: number;
  #inactivity: Timer | undefined;
  #idle = false;
  /** Closed for good: nothing stores the group any more, whatever still comes of its invitations. */
  #removed = false;
  /** The creator waits for its answer. */
  #creating = false;

  /** @param onIdle called once, when the last session has ended. */
  constructor(group: Group, options: FocusOptions, onIdle: (focus: Focus) => void) {
    this.#group = group;
    this.#options = options;
    this.#onIdle = onIdle;
    this.#subscriptions = new Subscriptions(options.clock, options.log, () => this.#group);
    this.#switch = new Switch(() => this.#group);
    this.#lastMessage = options.clock.now();
    this.#watchInactivity();
  }

  get group(): Group {
    return this.#group;
  }

  /**
   * The INVITE of who creates the group or starts it again: invites everybody at once, and answers 200 when the first has accepted (Figure 9 note 2), else with
   * what best says why nobody did.
   * @throws ParleyError for a description that a group cannot use.
   */
  async create(
    request: ServerRequest,
    response: ServerResponse,
    creator: string,
    recipients: readonly Recipient[],
  ): Promise<void> {
    const media = this.#mediaFor(request);
    this.#creating = true;
    let cancelled = false;
    request.onCancel(() => {
      cancelled = true;
      this.#cancelAll('SIP;cause=487;text="The creator hung up"');
    });
    const outcomes = await this.invite(recipients, creator);
    const accepted = await firstAccepted(outcomes);
    if (cancelled || accepted !== true) {
      media.close();
      this.#creating = false;
      if (!cancelled) response.send(bestRefusal(accepted === true ? [] : accepted));
      await this.close('cancelled');
      return;
    }
    try {
      await this.#answer(request, response, creator, media);
      this.#creating = false;
      await this.#endIfTooFew();
    } catch (error) {
      // the creator went in the meantime: nobody is left to have the group for
      await this.close('cancelled');
      throw error;
    }
  }

  /** A member that comes by itself, for the first time or again. */
  async join(request: ServerRequest, response: ServerResponse, identity: string): Promise<void> {
    const media = this.#mediaFor(request);
    if (!findMember(this.#group, identity)) this.#group = addMember(this.#group, identity, 'participant');
    await this.#answer(request, response, identity, media);
  }

  /**
   * Invites those who are not in yet, all at once.
   * @returns for each of them the final status, when it comes.
   * @throws ParleyError `group-full`.
   */
  async invite(recipients: readonly Recipient[], inviter: string): Promise<Promise<number>[]> {
    const { group, invited } = inviteAll(this.#group, recipients, newAlias);
    this.#group = group;
    await this.#store(invited.map(({ identity }) => identity));
    return invited.map((recipient) => this.#ring(recipient, inviter, recipients));
  }

  /** Puts a member out, whether it is in or rings. @throws ParleyError `group-member-unknown` */
  async remove(identity: string): Promise<void> {
    if (!findMember(this.#group, identity)) throw groupError('group-member-unknown', identity);
    await this.#change({
      identity,
      event: 'remove',
      disconnection: { method: 'booted', reason: GONE.Reason },
    });
    this.#ringing.get(identity)?.(GONE.Reason);
    this.#subscriptions.end(identity);
    for (const leg of [...this.#legs]) if (leg.identity === identity) this.#hangUp(leg, GONE);
    await this.#endIfTooFew();
  }

  subscribe(dialog: Dialog, identity: string): void {
    this.#subscriptions.add(dialog, identity);
  }

  /** Ends the session. After `inactive` and `cancelled` members may start it again, after `closed` not. */
  async close(why: 'inactive' | 'closed' | 'cancelled' | 'minimum'): Promise<void> {
    this.#note('group.session-ended', 'RFC 4353 §5.2', why);
    this.#removed = why === 'closed';
    this.#cancelAll('SIP;cause=487;text="The group ended"');
    const reason = why === 'closed' ? GONE : { Reason: `SIP;cause=200;text="${why}"` };
    for (const leg of [...this.#legs]) this.#hangUp(leg, reason);
    this.#becomeIdle();
    if (why === 'closed') await this.#options.groups.remove(this.#group);
    else await this.#store([]);
  }

  #mediaFor(request: ServerRequest): MediaSession {
    const { description } = readParts(request);
    if (!description) throw groupError('group-session-missing');
    return this.#options.media.answer(description);
  }

  async #answer(
    request: ServerRequest,
    response: ServerResponse,
    identity: string,
    media: MediaSession,
  ): Promise<void> {
    const endpoint: Endpoint = { id: newId('e'), joining: 'dialed-in' };
    try {
      await this.#change({ identity, event: 'connect', endpoint });
      const dialog = await this.#options.stack.createUAS(request, response, {
        headers: { ...groupHeaders(this.#group), 'Content-Type': 'application/sdp' },
        body: media.description,
      });
      this.#adopt({ identity, endpoint, dialog, media });
    } catch (error) {
      media.close();
      await this.#change({ identity, event: 'drop', endpoint });
      throw error;
    }
  }

  async #ring(recipient: Recipient, inviter: string, shown: readonly Recipient[]): Promise<number> {
    const { stack, clock, media: factory, ringing, sessionExpires } = this.#options;
    const { identity } = recipient;
    const media = factory.offer();
    const { headers, body } = invitationFor(this.#group, recipient, {
      inviter,
      shown,
      description: media.description,
    });
    const timer = clock.after(ringing, () => this.#ringing.get(identity)?.('SIP;cause=408;text="No answer"'));
    try {
      if (recipient.interworking) throw new Error(`nobody interworks with ${identity.split(':')[0]}`);
      const dialog = await stack.createUAC(recipient.target, {
        method: 'INVITE',
        route: this.#options.route(this.#group),
        headers,
        body,
        sessionExpires,
        onStarted: (cancel) => this.#ringing.set(identity, cancel),
      });
      return await this.#accepted(identity, dialog, media);
    } catch (error) {
      const [status, reason] =
        error instanceof FinalResponseError ? [error.status, error.response.reason] : [416, String(error)];
      media.close();
      this.#note('group.invitation-refused', 'RFC 4353 §5.3', `${identity} ${status}`);
      await this.#change({ identity, event: 'refuse', disconnection: refusalOf(status, reason) });
      await this.#endIfTooFew();
      return status;
    } finally {
      timer.cancel();
      this.#ringing.delete(identity);
    }
  }

  async #accepted(identity: string, dialog: Dialog, media: MediaSession): Promise<number> {
    try {
      media.accept(dialog.response?.body ?? new Uint8Array(0));
    } catch (error) {
      await dialog.destroy({ Reason: 'SIP;cause=488;text="Not Acceptable Here"' });
      throw error;
    }
    if (this.#idle || findMember(this.#group, identity)?.state !== 'invited') {
      // its acceptance crossed its removal, or the end
      media.close();
      await dialog.destroy(GONE);
      return 487;
    }
    const endpoint: Endpoint = { id: newId('e'), joining: 'dialed-out' };
    await this.#change({ identity, event: 'connect', endpoint });
    this.#note('group.invitation-accepted', 'RFC 4353 §5.3', identity);
    this.#adopt({ identity, endpoint, dialog, media });
    return 200;
  }

  #adopt(leg: Leg): void {
    const { identity, endpoint, dialog, media } = leg;
    this.#legs.add(leg);
    this.#switch.add({ identity, endpoint: endpoint.id, media });
    media.onMessage((message) => {
      this.#lastMessage = this.#options.clock.now();
      return this.#switch.deliver(identity, endpoint.id, message);
    });
    dialog.onRequest((request, response) => this.#inDialog(leg, request, response));
    dialog.onEnd((cause) => this.#ended(leg, cause));
  }

  /** Set by the function that owns the focus: what a REFER of a member does. */
  onRefer: (
    focus: Focus,
    identity: string,
    request: ServerRequest,
    response: ServerResponse,
    dialog: Dialog,
  ) => Promise<void> = async (_focus, _identity, _request, response) => void response.send(501);

  async #inDialog(leg: Leg, request: ServerRequest, response: ServerResponse): Promise<void> {
    switch (request.method) {
      case 'REFER':
        await this.onRefer(this, leg.identity, request, response, leg.dialog);
        return;
      case 'INVITE':
      case 'UPDATE':
        this.#renegotiate(leg, request, response);
        return;
      case 'OPTIONS':
        response.send(200, { headers: groupHeaders(this.#group) });
        return;
      default:
        response.send(405, { headers: { Allow: groupHeaders(this.#group)['Allow'] } });
    }
  }

  #renegotiate(leg: Leg, request: ServerRequest, response: ServerResponse): void {
    const { description, list } = readParts(request);
    if (list) {
      // RFC 5366 §4.2: a list is for the factory only
      response.send(420, { headers: { Unsupported: 'recipient-list-invite' } });
      return;
    }
    if (description) leg.media.accept(description);
    const body = description || request.method === 'INVITE' ? leg.media.description : undefined;
    response.send(200, {
      headers: { ...groupHeaders(this.#group), ...(body ? { 'Content-Type': 'application/sdp' } : {}) },
      ...(body ? { body } : {}),
    });
  }

  #ended(leg: Leg, cause: SipRequest | string): void {
    if (!this.#legs.delete(leg)) return;
    this.#switch.remove(leg.endpoint.id);
    leg.media.close();
    const { identity, endpoint } = leg;
    const forGood =
      cause instanceof SipRequest && parseReasons(cause.headers.lines('Reason')).some(isCompleted);
    this.#note('group.left', 'RFC 4353 §5.4', `${identity} ${forGood ? 'for good' : 'may rejoin'}`);
    this.#background(
      this.#change({
        identity,
        event: forGood ? 'leave' : 'drop',
        endpoint,
        disconnection: { method: 'departed', reason: 'SIP;cause=200;text="Call completed"' },
      }).then(() => this.#endIfTooFew()),
    );
    if (forGood)
      for (const other of [...this.#legs]) if (other.identity === identity) this.#hangUp(other, GONE);
  }

  #hangUp(leg: Leg, headers: { Reason: string }): void {
    this.#legs.delete(leg);
    this.#switch.remove(leg.endpoint.id);
    leg.media.close();
    this.#background(leg.dialog.destroy(headers));
    const { identity, endpoint } = leg;
    this.#group = changeMember(this.#group, { identity, event: 'drop', endpoint });
  }

  async #endIfTooFew(): Promise<void> {
    if (this.#idle || this.#creating || !isBelowMinimum(this.#group)) return;
    await this.close('minimum');
  }

  /** Lets go of a focus whose first session did not come about. */
  abandonIfEmpty(): void {
    if (this.#legs.size === 0 && this.#ringing.size === 0) this.#becomeIdle();
  }

  #becomeIdle(): void {
    if (this.#idle) return;
    this.#idle = true;
    this.#inactivity?.cancel();
    this.#subscriptions.end();
    this.#onIdle(this);
  }

  #cancelAll(reason: string): void {
    for (const cancel of [...this.#ringing.values()]) cancel(reason);
  }

  async #change(change: MemberChange): Promise<void> {
    const changed = changeMember(this.#group, change);
    if (changed === this.#group) return;
    this.#group = changed;
    await this.#store([change.identity]);
  }

  async #store(identities: readonly string[]): Promise<void> {
    if (this.#removed) return;
    await this.#options.groups.put(this.#group);
    this.#subscriptions.changed(identities);
  }

  #watchInactivity(): void {
    const { clock, inactivity } = this.#options;
    const wait = this.#lastMessage + inactivity - clock.now();
    if (this.#idle) return;
    if (wait <= 0) this.#background(this.close('inactive'));
    else this.#inactivity = clock.after(wait, () => this.#watchInactivity());
  }

  #note(code: string, clause: string, detail: string): void {
    const { uri, contributionId } = this.#group;
    this.#options.trail.record({
      code,
      outcome: 'noted',
      clause,
      subject: uri,
      trace: contributionId,
      detail,
    });
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      this.#options.log.warn({ err: error, group: this.#group.id }, 'something of a group failed'),
    );
  }
}

const isCompleted = ({ protocol, cause }: { protocol: string; cause: number | undefined }): boolean =>
  protocol.toUpperCase() === 'SIP' && cause === 200;

/** True as soon as one accepts, else all the statuses. */
async function firstAccepted(outcomes: readonly Promise<number>[]): Promise<true | number[]> {
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
function bestRefusal(statuses: readonly number[]): number {
  const all = (...wanted: number[]): boolean =>
    statuses.length > 0 && statuses.every((status) => wanted.includes(status));
  if (all(486, 600)) return 486;
  return all(603) ? 603 : 480;
}

export function newId(prefix: string): string {
  return `${prefix}-${randomBytes(9).toString('hex')}`;
}

function newAlias(): string {
  return `sip:anonymous-${randomBytes(6).toString('hex')}@anonymous.invalid`;
}
