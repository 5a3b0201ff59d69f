import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { Service, ServiceCall } from '../../core/service.js';
import { parseAor } from '../../identity/aor.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../../sip/stack.js';
import { groupError } from './errors.js';
import { Focus, newId, type FocusOptions } from './focus.js';
import { addMember, findMember, type Group } from './group.js';
import type { Groups } from './groups.js';
import { readParts } from './invitation.js';
import type { GroupMedia } from './media.js';
import { mayJoin } from './member.js';
import { parseRecipientList } from './recipient-list.js';
import { refer } from './refer.js';

export interface ControllingOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly groups: Groups;
  readonly media: GroupMedia;
  /** `sip:conference-factory@ims.test` */
  readonly factory: string;
  /** Host of the group session identities. */
  readonly domain: string;
  readonly maximum: number;
  readonly minimum: number;
  readonly ringing: number;
  readonly inactivity: number;
  readonly sessionExpires: number;
  /** Route values for a request that the function sends to a user. */
  route(group: Group): readonly string[];
}

/** User parts of group session identities begin so. */
const GROUP_PREFIX = 'gs-';

/** The controlling function: conference factory and focuses (OMA CPM architecture §5.2.3, RFC 4353, RFC 5366). */
export class ControllingFunction implements Service {
  readonly name = 'controlling';
  readonly #options: ControllingOptions;
  readonly #factory: string;
  /** Focuses that have sessions, by group. */
  readonly #focuses = new Map<string, Focus>();
  /** What runs for a Contribution-ID or group; what comes later waits. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: ControllingOptions) {
    this.#options = options;
    this.#factory = parseAor(options.factory);
  }

  serves({ requestUri }: ServerRequest): boolean {
    const { user, host, isSip } = requestUri;
    if (!isSip || user === undefined) return false;
    return (
      `sip:${user}@${host}` === this.#factory ||
      (host === this.#options.domain && user.startsWith(GROUP_PREFIX))
    );
  }

  async handle({ request, response }: ServiceCall): Promise<void> {
    const { requestUri, method } = request;
    const sender = senderOf(request);
    const isFactory = `sip:${requestUri.user}@${requestUri.host}` === this.#factory;
    try {
      if (isFactory) await this.#toFactory(request, response, sender);
      else if (request.toTag !== undefined) response.send(481);
      else await this.#toGroup(requestUri.user!, request, response, sender);
    } catch (error) {
      if (error instanceof ParleyError && error.clause !== undefined)
        this.#options.trail.record({
          code: error.code,
          outcome: 'refused',
          clause: error.clause,
          subject: sender,
          trace: request.callId,
          detail: `${method} ${request.uri}`,
        });
      throw error;
    }
  }

  /** The groups that have sessions at this node. */
  get running(): Iterable<Focus> {
    return this.#focuses.values();
  }

  /** Ends a group for good. @throws ParleyError `group-unknown` */
  async close(id: string): Promise<void> {
    const focus = this.#focuses.get(id);
    if (focus) {
      await focus.close('closed');
      return;
    }
    const group = await this.#options.groups.get(id);
    if (!group) throw groupError('group-unknown', id);
    await this.#options.groups.remove(group);
  }

  async #toFactory(request: ServerRequest, response: ServerResponse, sender: string): Promise<void> {
    if (request.method === 'OPTIONS')
      response.send(200, { headers: { Supported: 'recipient-list-invite', Accept: 'application/sdp' } });
    else if (request.method !== 'INVITE') throw groupError('group-method-unknown', request.method);
    else {
      const contributionId = request.get('Contribution-ID') ?? newId('c');
      const { focus, isNew } = await this.#inTurn(contributionId, () =>
        this.#groupFor(request, sender, contributionId),
      );
      try {
        if (isNew) await focus.create(request, response, sender, this.#recipients(request, sender));
        else {
          await focus.join(request, response, sender);
          if (readParts(request).list)
            await Promise.all(await focus.invite(this.#recipients(request, sender), sender));
        }
      } finally {
        focus.abandonIfEmpty();
      }
    }
  }

  #recipients(request: ServerRequest, self: string): ReturnType<typeof parseRecipientList> {
    const { list } = readParts(request);
    if (!list) throw groupError('group-list-missing');
    return parseRecipientList(list, { self, limit: this.#options.maximum - 1 });
  }

  /** A second INVITE with the Contribution-ID of a group is a restart: it leads to that group. */
  async #groupFor(
    request: ServerRequest,
    sender: string,
    contributionId: string,
  ): Promise<{ focus: Focus; isNew: boolean }> {
    const { groups } = this.#options;
    const known = await groups.byContribution(contributionId);
    if (known) {
      mayJoin(findMember(known, sender));
      const running = this.#focuses.has(known.id);
      return { focus: this.#focus(known), isNew: !running };
    }
    this.#recipients(request, sender);
    if (!readParts(request).description) throw groupError('group-session-missing');
    const group = await groups.add(this.#newGroup(request, sender, contributionId));
    return { focus: this.#focus(group), isNew: true };
  }

  #newGroup(request: ServerRequest, creator: string, contributionId: string): Group {
    const { domain, maximum, minimum, clock } = this.#options;
    const id = newId('gs');
    const group: Group = {
      id,
      uri: `sip:${id}@${domain}`,
      kind: 'ad-hoc',
      access: 'closed',
      contributionId,
      conversationId: request.get('Conversation-ID') ?? newId('k'),
      subject: request.get('Subject'),
      creator,
      maximum,
      minimum,
      members: [],
      createdAt: clock.now(),
      holder: this.#options.groups.holder,
    };
    return addMember(group, creator, 'chairman');
  }

  async #toGroup(
    id: string,
    request: ServerRequest,
    response: ServerResponse,
    sender: string,
  ): Promise<void> {
    const group = this.#focuses.get(id)?.group ?? (await this.#options.groups.get(id));
    if (!group) throw groupError('group-unknown', id);
    switch (request.method) {
      case 'INVITE': {
        const member = findMember(group, sender);
        if (group.access === 'closed' || member) mayJoin(member);
        const focus = this.#focus(group);
        try {
          await focus.join(request, response, sender);
        } finally {
          focus.abandonIfEmpty();
        }
        return;
      }
      case 'SUBSCRIBE':
        await this.#subscribe(group, request, response, sender);
        return;
      case 'REFER':
        await refer(
          this.#running(group, sender),
          sender,
          request,
          response,
          undefined,
          this.#options.maximum,
        );
        return;
      default:
        throw groupError('group-method-unknown', request.method);
    }
  }

  async #subscribe(
    group: Group,
    request: ServerRequest,
    response: ServerResponse,
    sender: string,
  ): Promise<void> {
    if (request.get('Event')?.split(';')[0]?.trim().toLowerCase() !== 'conference')
      throw groupError('group-event-unknown', request.get('Event'));
    const focus = this.#running(group, sender);
    const dialog = await this.#options.stack.createUAS(request, response, {
      headers: { Contact: `<${group.uri};gr>;isfocus` },
    });
    focus.subscribe(dialog, sender);
  }

  /** Only who is in may watch and refer (RFC 4575 §3.5). @throws ParleyError `group-not-a-member` */
  #running(group: Group, sender: string): Focus {
    const focus = this.#focuses.get(group.id);
    if (!focus || findMember(focus.group, sender)?.state !== 'connected')
      throw groupError('group-not-a-member');
    return focus;
  }

  #focus(group: Group): Focus {
    const running = this.#focuses.get(group.id);
    if (running) return running;
    const options: FocusOptions = this.#options;
    const focus = new Focus(group, options, (idle) => this.#focuses.delete(idle.group.id));
    focus.onRefer = (of, identity, request, response, dialog: Dialog) =>
      refer(of, identity, request, response, dialog, this.#options.maximum);
    this.#focuses.set(group.id, focus);
    return focus;
  }

  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#turns.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(key) === mine) this.#turns.delete(key);
    }
  }
}

/** Whom the network vouches for (RFC 3325 §9.1). @throws ParleyError `group-not-a-member` */
function senderOf(request: ServerRequest): string {
  const asserted = request.addresses('P-Asserted-Identity')[0];
  if (!asserted) throw groupError('group-not-a-member', 'no asserted identity');
  return parseAor(asserted.uriText);
}
