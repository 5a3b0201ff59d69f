import { ParleyError } from '../../base/errors.js';
import type { Service, ServiceCall } from '../../core/service.js';
import { wantsPrivacy } from '../../core/trust-domain.js';
import { acceptsType } from '../../sip/message/content.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import { shortReason } from '../../sip/message/reason-phrases.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';
import { MinuteRate } from '../policy/rate.js';
import { warningOf } from '../policy/warnings.js';
import { canonicalUri } from './canonical-uri.js';
import { CONFERENCE_INFO_TYPE } from './conference-info.js';
import { groupError } from './errors.js';
import type { Focus, FocusOptions } from './focus.js';
import { Focuses } from './focuses.js';
import type { GroupAddresses } from './group-addresses.js';
import { addMember, invitable, inviteAll, memberOf, settled, type Group, type Participant } from './group.js';
import { newAlias, newId } from './identifiers.js';
import { ALLOW, ALLOW_EVENTS, focusContact, readParts } from './invitation.js';
import { asKnown, invitee, invitees } from './invitees.js';
import { holdsMembership, mayJoin } from './member.js';
import type { ExpiredMessage } from './message-log.js';
import type { Invitee } from './recipient.js';
import { parseRecipientList } from './recipient-list.js';
import { refer } from './refer.js';

export interface ControllingOptions extends FocusOptions {
  readonly addresses: GroupAddresses;
  /** Members that a new group may have. */
  readonly maximum: number;
  /** Connected or invited members below which the sessions of a new group end. */
  readonly minimum: number;
  /** Groups that a user may make in a minute. */
  readonly newPerMinute: number;
  /** Who may join open groups: users of the server's domains, or whoever has an asserted identity. */
  readonly openTo: 'domain' | 'anybody';
  /** Whether an identity is that of a user of the server's domains. @param identity canonical; a number as well. */
  isOwn(identity: string): Promise<boolean>;
  /** Hands a request to the node that holds its group; false when that node is gone. */
  forward(holder: string, request: ServerRequest, response: ServerResponse): Promise<boolean>;
}

/** What a refusal must say besides (RFC 3261 §21.4.6, RFC 6665 §4.4.4). */
const wanting: Readonly<Record<string, HeaderMap>> = {
  'group-method-unknown': ALLOW,
  'group-event-unknown': ALLOW_EVENTS,
};

/** The controlling function: conference factory and focuses (OMA CPM architecture §5.2.3, RFC 4353, RFC 5366). */
export class ControllingFunction implements Service {
  readonly name = 'controlling';
  readonly #options: ControllingOptions;
  readonly #focuses: Focuses;
  readonly #newGroups: MinuteRate;

  constructor(options: ControllingOptions) {
    this.#options = options;
    this.#newGroups = new MinuteRate(options.clock);
    this.#focuses = new Focuses(
      options,
      (of) => (identity, request, response, dialog) =>
        refer(of, identity, request, response, dialog, options),
    );
  }

  serves({ requestUri }: ServerRequest): boolean {
    const { user, host, isSip } = requestUri;
    return isSip && user !== undefined && this.#options.addresses.isTaken(`sip:${user}@${host}`);
  }

  async handle({ request, response }: ServiceCall): Promise<void> {
    const { requestUri, method } = request;
    if (request.toTag !== undefined) {
      await this.#inDialog(requestUri.user!, request, response);
      return;
    }
    const sender = await this.#senderOf(request);
    const isFactory = this.#options.addresses.isFactory(`sip:${requestUri.user}@${requestUri.host}`);
    try {
      if (isFactory) await this.#toFactory(request, response, sender);
      else await this.#toGroup(requestUri.user!, request, response, sender);
    } catch (error) {
      if (!(error instanceof ParleyError) || error.clause === undefined) throw error;
      const { trail, addresses } = this.#options;
      trail.record({
        code: error.code,
        outcome: 'refused',
        clause: error.clause,
        subject: sender.identity,
        trace: request.callId,
        detail: `${method} ${request.uri}`,
      });
      if (response.finalStatus !== undefined) return;
      const { code, retryAfter } = error;
      const headers = {
        ...warningOf(code, addresses.domain),
        ...wanting[code],
        ...(retryAfter !== undefined && { 'Retry-After': retryAfter }),
      };
      response.send(error.sip, { headers, reason: shortReason(error.message) });
    }
  }

  /** A request of a dialog that is not here: it is with the node that holds the group, or it is over. */
  async #inDialog(id: string, request: ServerRequest, response: ServerResponse): Promise<void> {
    const holder = (await this.#options.groups.get(id))?.holder;
    if (holder !== undefined && holder !== this.#options.groups.holder) {
      if (await this.#options.forward(holder, request, response)) return;
    }
    if (request.method !== 'ACK') response.send(481);
  }

  /** The groups that have sessions at this node. */
  get running(): Iterable<Focus> {
    return this.#focuses.running;
  }

  /** The focus of a group, when it has sessions at this node. */
  focusOf(id: string): Focus | undefined {
    return this.#focuses.get(id);
  }

  /**
   * Tells who sent a message that it did not reach some members in time, if it asked; the message is gone.
   * @returns false for a group without sessions here.
   */
  expired(message: ExpiredMessage): boolean {
    const focus = this.#focuses.get(message.groupId);
    focus?.expired(message);
    return focus !== undefined;
  }

  /** Ends a group for good. @throws ParleyError `group-unknown`, `group-moved` when another node holds it. */
  async close(id: string): Promise<void> {
    const { focus } = await this.#take(id);
    await focus.close('closed');
  }

  /** Ends the sessions of all groups: what their members have got is stored, and they may go on at any node, who watches included. */
  async stop(): Promise<void> {
    await Promise.all([...this.#focuses.running].map((focus) => focus.close('stopped')));
  }

  async #toFactory(request: ServerRequest, response: ServerResponse, sender: Participant): Promise<void> {
    if (request.method === 'OPTIONS') {
      response.send(200, { headers: { Supported: 'recipient-list-invite', Accept: 'application/sdp' } });
      return;
    }
    if (request.method !== 'INVITE') throw groupError('group-method-unknown', request.method);
    if (this.#options.stack.rejectInvite(request, response)) return;
    const contributionId = request.get('Contribution-ID') ?? newId('c');
    const found = await this.#focuses.inTurn(contributionId, () =>
      this.#groupFor(request, sender, contributionId),
    );
    if (typeof found === 'string') await this.#forward(found, request, response);
    else if (found.start === 'join') await this.#rejoin(found.focus, request, response, sender);
    else {
      const { focus, start } = found;
      await focus.hold(
        async () => focus.create(request, response, sender, await this.#wanted(focus, request, sender)),
        start === 'create' ? 'never' : 'cancelled',
      );
    }
  }

  /** A restart of a group that runs leads into it; whom it lists is invited, unless already in. */
  async #rejoin(
    focus: Focus,
    request: ServerRequest,
    response: ServerResponse,
    sender: Participant,
  ): Promise<void> {
    // a list that cannot be followed is refused while it can be
    const listed = readParts(request).list ? await this.#recipients(request, sender) : [];
    const wanted = (group: Group, by: string): Invitee[] => invitable(group, by, asKnown(group, listed));
    const back = addMember(focus.group, sender, 'participant');
    const { identity } = memberOf(back, sender)!;
    inviteAll(back, wanted(back, identity), identity, newAlias);
    await focus.hold(async () => {
      await focus.join(request, response, sender);
      await Promise.all(await focus.invite(wanted(focus.group, identity), identity));
    }, 'cancelled');
  }

  /** Whom an INVITE to the factory lists and its sender may invite. @throws ParleyError `group-list-*`, `group-not-allowed` for nobody */
  async #wanted({ group }: Focus, request: ServerRequest, sender: Participant): Promise<Invitee[]> {
    const listed = asKnown(group, await this.#recipients(request, sender));
    const wanted = invitable(group, memberOf(group, sender)!.identity, listed);
    if (wanted.length === 0) throw groupError('group-not-allowed');
    return wanted;
  }

  /** @throws ParleyError `group-list-*` */
  async #recipients(request: ServerRequest, { identity, owner }: Participant): Promise<Invitee[]> {
    const { list } = readParts(request);
    if (!list) throw groupError('group-list-missing');
    const named = parseRecipientList(list, { self: identity, limit: this.#options.maximum - 1 });
    const found = await invitees(named, this.#options, owner);
    if (found.length === 0) throw groupError('group-list-empty');
    return found;
  }

  /**
   * The group that an INVITE to the factory means, and what it does there; the name of the holder when another node runs it. A second
   * INVITE with the Contribution-ID of a group is a restart: it leads to that group.
   */
  async #groupFor(
    request: ServerRequest,
    sender: Participant,
    contributionId: string,
  ): Promise<{ focus: Focus; start: 'create' | 'restart' | 'join' } | string> {
    const { groups } = this.#options;
    let id = await groups.idOf(contributionId);
    let known = id === undefined ? undefined : await groups.get(id);
    if (!known) {
      const listed = await this.#recipients(request, sender);
      if (!readParts(request).description) throw groupError('group-session-missing');
      if (!this.#newGroups.take(sender.owner, this.#options.newPerMinute))
        throw groupError('group-too-many-new', sender.identity);
      // members from the beginning: one of them who starts the same group at that moment joins it
      const { group: all } = inviteAll(
        this.#newGroup(request, sender, contributionId),
        listed,
        sender.identity,
        newAlias,
      );
      const group = settled(all);
      id = await groups.add(group);
      if (id === group.id) return { focus: this.#focuses.begin(group), start: 'create' };
      known = await groups.get(id);
    }
    mayJoin(known && memberOf(known, sender));
    const running = this.#focuses.get(id!);
    if (running) return { focus: running, start: 'join' };
    const taken = await this.#focuses.take(id!);
    if ('holder' in taken) return taken.holder;
    return { focus: taken.focus, start: taken.begins ? 'restart' : 'join' };
  }

  #newGroup(request: ServerRequest, creator: Participant, contributionId: string): Group {
    const { addresses, maximum, minimum, clock } = this.#options;
    const id = newId('gs');
    const group: Group = {
      id,
      uri: addresses.uriOf(id),
      kind: 'ad-hoc',
      access: 'closed',
      contributionId,
      conversationId: request.get('Conversation-ID') ?? newId('k'),
      subject: request.get('Subject'),
      creator: creator.identity,
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
    sender: Participant,
  ): Promise<void> {
    const group = this.#focuses.get(id)?.group ?? (await this.#options.groups.get(id));
    if (!group) throw groupError('group-unknown', id);
    const { holder } = group;
    if (holder !== undefined && holder !== this.#options.groups.holder) {
      await this.#forward(holder, request, response);
      return;
    }
    const member = memberOf(group, sender);
    switch (request.method) {
      case 'INVITE': {
        if (group.access === 'closed' || member) mayJoin(member);
        else await this.#mayEnter(sender);
        if (this.#options.stack.rejectInvite(request, response)) return;
        const { focus, begins } = await this.#take(id);
        const others = focus.group.members.filter(
          (one) => one.owner !== sender.owner && holdsMembership(one),
        );
        // a pre-defined group is invited as a whole (OMA CPM RD: pre-defined groups)
        const invites = begins && group.kind === 'pre-defined' && others.length > 0;
        await focus.hold(
          () =>
            invites
              ? focus.create(request, response, sender, others.map(invitee))
              : focus.join(request, response, sender),
          'cancelled',
        );
        return;
      }
      case 'SUBSCRIBE':
        await this.#subscribe(group, request, response, sender);
        return;
      case 'REFER': {
        const { focus, identity } = await this.#running(group, sender);
        await refer(focus, identity, request, response, undefined, this.#options);
        return;
      }
      case 'OPTIONS':
        if (group.access === 'closed' && !member) throw groupError('group-not-a-member');
        response.send(200, {
          headers: { Contact: focusContact(group), ...ALLOW, ...ALLOW_EVENTS, Accept: 'application/sdp' },
        });
        return;
      default:
        throw groupError('group-method-unknown', request.method);
    }
  }

  async #subscribe(
    group: Group,
    request: ServerRequest,
    response: ServerResponse,
    sender: Participant,
  ): Promise<void> {
    if (request.get('Event')?.split(';')[0]?.trim().toLowerCase() !== 'conference')
      throw groupError('group-event-unknown', request.get('Event'));
    const { focus, identity } = await this.#running(group, sender);
    const accept = request.headers.lines('Accept');
    // without the field it is taken (RFC 4575 §3.4)
    if (accept.length > 0 && !acceptsType(accept, CONFERENCE_INFO_TYPE))
      throw groupError('group-not-acceptable', accept.join(', '));
    await focus.subscribe(request, response, identity);
  }

  /** An open group is open to the users of the domains, unless it is to be to everybody. @throws ParleyError `group-not-a-member` */
  async #mayEnter({ identity }: Participant): Promise<void> {
    const isOpen = this.#options.openTo === 'anybody' || (await this.#options.isOwn(identity));
    if (!isOpen) throw groupError('group-not-a-member', identity);
  }

  /** Only who is in may watch and refer (RFC 4575 §3.5). @throws ParleyError `group-not-a-member` */
  async #running(group: Group, sender: Participant): Promise<{ focus: Focus; identity: string }> {
    const focus = this.#focuses.get(group.id);
    const member = focus && memberOf(await focus.upToDate(), sender);
    if (member?.state !== 'connected') throw groupError('group-not-a-member');
    return { focus: focus!, identity: member.identity };
  }

  /** The focus of a group at this node. @throws ParleyError `group-unknown`, `group-moved` */
  async #take(id: string): Promise<{ focus: Focus; begins: boolean }> {
    const taken = await this.#focuses.take(id);
    if ('holder' in taken) throw groupError('group-moved', id);
    return taken;
  }

  /** Whom the network vouches for (RFC 3325 §9.1). @throws ParleyError `group-not-a-member` */
  async #senderOf(request: ServerRequest): Promise<Participant> {
    const asserted = request.addresses('P-Asserted-Identity')[0];
    if (!asserted) throw groupError('group-not-a-member', 'no asserted identity');
    // one whom interworking brings in has an address of another kind
    const identity = canonicalUri(asserted.uriText);
    return {
      identity,
      owner: await this.#options.ownerOf(identity),
      // RFC 7701 §5.2: a focus that was asked for privacy shows an anonymous URI
      alias: wantsPrivacy(request.headers) ? newAlias() : undefined,
    };
  }

  async #forward(holder: string, request: ServerRequest, response: ServerResponse): Promise<void> {
    if (!(await this.#options.forward(holder, request, response))) throw groupError('group-moved');
  }
}
