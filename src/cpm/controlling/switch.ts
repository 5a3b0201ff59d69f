import type { Clock } from '../../base/clock.js';
import { orNone, ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import { parseCpim, rewriteCpimHead, type CpimHead } from '../../msrp/cpim/index.js';
import { IS_COMPOSING_TYPE } from '../../msrp/is-composing.js';
import { imdnsIn, isNotification } from '../messages/imdns.js';
import { canonicalUri } from './canonical-uri.js';
import { findMember, type Group } from './group.js';
import type { GroupMessage, MediaSession } from './media.js';
import { holdsMembership, shownAs, type Member } from './member.js';
import { MessageLog, type LogEntry, type MessageLogOptions, type StoredMessage } from './message-log.js';
import { failureNotice } from './notices.js';
import { Outbox } from './outbox.js';
import type { Receipts } from './receipts.js';

/** To everybody, as RCS clients write it. */
const EVERYBODY = 'sip:anonymous@anonymous.invalid';

export interface SwitchOptions extends MessageLogOptions {
  readonly clock: Clock;
  readonly trail: Trail;
  /** Messages that are kept for one member; what comes then is not kept for it. */
  readonly perMember: number;
  readonly receipts: Receipts;
  /** Key of the registration set of a user here, else the identity. */
  ownerOf(identity: string): Promise<string>;
}

/** Whom a message is for. */
interface Audience {
  /** Members that are to get it. */
  readonly identities: readonly string[];
  /** Whether further devices of its sender get a copy. */
  readonly copies: boolean;
  /** Only for sessions that agreed on private messages (RFC 7701 §6.2). */
  readonly private?: true;
}

/**
 * The MSRP switch of one group (RFC 7701 §6): a message goes to everybody else, or to the one member that its To names. It is
 * acknowledged when it is stored, and stays so until all its recipients have it. Each session has a queue of its own.
 */
export class Switch {
  readonly #options: SwitchOptions;
  readonly #group: () => Group;
  readonly #log: MessageLog;
  readonly #outboxes = new Map<string, Outbox>();
  /** By session: when what it has sent until now has been judged. */
  readonly #judging = new Map<string, Promise<void>>();
  /** What waits since before is being found, or has been. */
  #loading: Promise<void> | undefined;
  #isLoaded = false;
  /** Who lost its place before that. */
  readonly #dropped = new Set<string>();

  constructor(group: () => Group, options: SwitchOptions) {
    this.#group = group;
    this.#options = options;
    this.#log = new MessageLog(group().id, options);
    this.#ready().catch(() => undefined);
  }

  /** What waits since before has been found; what failed is tried again. @throws ParleyError `store-unavailable` */
  #ready(): Promise<void> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    await this.#log.load((identity) => {
      const member = findMember(this.#group(), identity);
      return member !== undefined && holdsMembership(member) && !this.#dropped.has(identity);
    });
    for (const identity of this.#dropped) this.#log.drop(identity);
    this.#dropped.clear();
    this.#isLoaded = true;
  }

  /** Messages that some member has still to get. */
  get queued(): number {
    return this.#log.size;
  }

  /** A session of a member: it gets what its member has missed, then what comes. @throws ParleyError `store-unavailable` */
  async add(identity: string, endpoint: string, media: MediaSession): Promise<void> {
    await this.#ready();
    const outbox = new Outbox({
      identity,
      endpoint,
      media,
      log: this.#log,
      clock: this.#options.clock,
      onRefused: (entry, status) => void this.#refused(entry, identity, status),
      isElsewhere: (entry) =>
        [...this.#outboxes.values()].some((other) => other.identity === identity && other.has(entry)),
    });
    this.#outboxes.set(endpoint, outbox);
    for (const entry of this.#log.entries) if (entry.waiting.has(identity)) outbox.add(entry);
    outbox.pump();
  }

  remove(endpoint: string): void {
    const outbox = this.#outboxes.get(endpoint);
    this.#outboxes.delete(endpoint);
    outbox?.close();
  }

  /** A member that has lost its place gets nothing more, of what has not been found yet either. */
  drop(identity: string): void {
    if (this.#isLoaded) this.#log.drop(identity);
    else this.#dropped.add(identity);
  }

  /** Writes down who has got what. */
  close(): void {
    for (const endpoint of [...this.#outboxes.keys()]) this.remove(endpoint);
    this.#log.flush();
  }

  /** @returns the status of the answer (RFC 7701 §6, RFC 4975 §10), once the message is stored. */
  async deliver(from: string, endpoint: string, message: GroupMessage): Promise<number> {
    this.#outboxes.get(endpoint)?.resume();
    if (!/^message\/cpim\b/i.test(message.contentType)) return 415;
    let head: CpimHead;
    let content: Buffer;
    let claimed: string | undefined;
    let to: readonly string[];
    try {
      ({ head, content } = parseCpim(message.octets));
      to = head.to.map(({ uri }) => canonicalUri(uri));
      claimed = head.from && canonicalUri(head.from.uri);
    } catch (error) {
      if (error instanceof ParleyError) return 400;
      throw error;
    }
    const self = findMember(this.#group(), from);
    if (!self || !holdsMembership(self)) return 403;
    const report = isNotification(head);
    const audience = await this.#inOrder(endpoint, this.#judged(self, claimed, to, report));
    if (typeof audience === 'number') return audience;
    const shown = shownAs(self);
    const unchanged = claimed === shown && self.alias === undefined;
    const text = unchanged ? message : { ...message, octets: signed(head, content, self) };
    if (report) return this.#notification(self, audience, head, content, text);
    if (head.mediaType === IS_COMPOSING_TYPE) {
      for (const outbox of this.#outboxes.values()) {
        const wanted = audience.identities.includes(outbox.identity) && outbox.endpoint !== endpoint;
        if (wanted && (!audience.private || outbox.media.privateMessages)) outbox.transient(text);
      }
      return 200;
    }
    await this.#spread(from, endpoint, text, head.mediaType ?? 'text/plain', audience);
    return 200;
  }

  /** A message of the focus itself to one member. */
  async tell(identity: string, octets: Uint8Array, wrapped: string): Promise<void> {
    const message = { contentType: 'message/cpim', octets };
    await this.#spread(this.#group().uri, '', message, wrapped, { identities: [identity], copies: false });
  }

  /** What a member reports of a message goes to who sent that, as it is or gathered with what others report (RFC 5438 §8). */
  async #notification(
    self: Member,
    audience: Audience,
    head: CpimHead,
    content: Buffer,
    message: GroupMessage,
  ): Promise<number> {
    const { receipts } = this.#options;
    const imdns = orNone(() => imdnsIn(head, content));
    if (!imdns) return 400;
    const passing = imdns.filter((imdn) => receipts.passes(imdn));
    const [to, ...others] = audience.identities;
    // a report to everybody is for nobody: only who sent the message knows it
    if (to === undefined || others.length > 0 || passing.length === 0) return 200;
    if (receipts.gathers) {
      const expected = this.#group().members.filter(holdsMembership).length - 1;
      const tell = (octets: Buffer): Promise<void> => this.tell(to, octets, 'multipart/mixed');
      const gathered = passing.map((imdn) =>
        receipts.gather(this.#group().uri, to, shownAs(self), expected, imdn, tell),
      );
      return Math.max(...(await Promise.all(gathered)));
    }
    const asItIs = self.alias === undefined && passing.length === imdns.length;
    const octets = asItIs ? message.octets : receipts.rewritten(head, passing, shownAs(self));
    await this.tell(to, octets, head.mediaType!);
    return 200;
  }

  async #spread(
    from: string,
    endpoint: string,
    { contentType, octets }: GroupMessage,
    wrapped: string,
    { identities, copies, ...kind }: Audience,
  ): Promise<void> {
    await this.#ready();
    const { clock, perMember } = this.#options;
    const waiting = identities.filter((identity) => this.#log.waitingFor(identity) < perMember);
    const receivedAt = clock.now();
    const stored: StoredMessage = { from, contentType, octets, wrapped, waiting, receivedAt, ...kind };
    const { entry, committed } = this.#log.append(stored);
    const boxes: Outbox[] = [];
    for (const outbox of this.#outboxes.values()) {
      const wanted = entry.waiting.has(outbox.identity) || (copies && outbox.identity === from);
      if (!wanted || outbox.endpoint === endpoint) continue;
      outbox.add(entry);
      boxes.push(outbox);
    }
    try {
      await committed;
    } finally {
      // also those of members that came meanwhile: they stopped at what was being stored
      for (const outbox of this.#outboxes.values()) outbox.pump();
    }
    if (boxes.length === 0) this.#log.settle(entry);
    if (waiting.length < identities.length)
      for (const identity of identities)
        if (!entry.waiting.has(identity)) this.lost(stored, identity, 'full');
  }

  /** Names are looked up, some of them in the store: what one session has sent first goes on first all the same. */
  async #inOrder<T>(endpoint: string, work: Promise<T>): Promise<T> {
    const before = this.#judging.get(endpoint);
    const mine = before === undefined ? work : Promise.all([work, before]).then(([result]) => result);
    const over = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#judging.set(endpoint, over);
    try {
      return await mine;
    } finally {
      if (this.#judging.get(endpoint) === over) this.#judging.delete(endpoint);
    }
  }

  async #judged(
    self: Member,
    claimed: string | undefined,
    to: readonly string[],
    report: boolean,
  ): Promise<Audience | number> {
    if (claimed !== undefined && !(await this.#isNameOf(self, claimed))) return 403;
    return this.#audience(self, to, report);
  }

  /** @param report a notification, which every session of who sent the message takes: it is no private message. */
  async #audience(self: Member, to: readonly string[], report: boolean): Promise<Audience | number> {
    if (to.length !== 1) return 403;
    const group = this.#group();
    if (to[0] === group.uri || to[0] === EVERYBODY) {
      const others = group.members.filter((one) => one.identity !== self.identity && holdsMembership(one));
      return { identities: others.map(({ identity }) => identity), copies: true };
    }
    const member = await this.#named(group, to[0]!);
    if (!member || !holdsMembership(member)) return 404;
    if (report) return { identities: [member.identity], copies: true };
    // of one who is not there nothing says that its next client takes them
    const takesIt = [...this.#outboxes.values()].some(
      ({ identity, media }) => identity === member.identity && media.privateMessages,
    );
    return takesIt ? { identities: [member.identity], copies: true, private: true } : 428;
  }

  /** Whether a member may call itself so: as others know it, as nobody, and by each of its own identities. */
  async #isNameOf(self: Member, claimed: string): Promise<boolean> {
    if ([self.identity, shownAs(self), EVERYBODY].includes(claimed)) return true;
    return (await this.#options.ownerOf(claimed)) === self.owner;
  }

  /** The member that others know by a name; who is not anonymous is known by each of its identities. */
  async #named({ members }: Group, name: string): Promise<Member | undefined> {
    const shown = members.find((one) => shownAs(one) === name);
    if (shown) return shown;
    const owner = await this.#options.ownerOf(name);
    return members.find((one) => one.alias === undefined && one.owner === owner);
  }

  async #refused(entry: LogEntry, identity: string, status: number): Promise<void> {
    try {
      const message = entry.message ?? (await this.#log.read(entry));
      if (message) this.lost({ ...entry, ...message }, identity, String(status));
    } catch (error) {
      const { log } = this.#options;
      log.warn({ err: error, group: this.#group().id }, 'a sender could not be told of a refused message');
    }
  }

  /** A message waited too long, and has been removed from the store. */
  expire(key: string, message: StoredMessage): void {
    const waiting = this.#log.expire(key) ?? message.waiting;
    for (const identity of waiting) this.lost(message, identity, 'expired');
  }

  /** A message will not reach a member: who sent it hears so, if it asked (RFC 5438 §8.2). */
  lost(message: Pick<StoredMessage, 'from' | 'octets' | 'receivedAt'>, identity: string, why: string): void {
    const { trail, clock, log } = this.#options;
    const group = this.#group();
    trail.record({
      code: 'group.message-lost',
      outcome: 'refused',
      clause: 'RFC 7701 §6',
      subject: identity,
      trace: group.contributionId,
      detail: why,
    });
    const member = findMember(group, identity);
    const notice = failureNotice(message, member ? shownAs(member) : identity, clock.now());
    if (!notice || !findMember(group, message.from)) return;
    this.tell(message.from, notice, 'message/imdn+xml').catch((error: unknown) =>
      log.warn({ err: error, group: group.id }, 'a sender could not be told of a lost message'),
    );
  }
}

/**
 * The message under the name that others know its sender by; clients write `anonymous`, or what they are called elsewhere. What an
 * anonymous sender is called elsewhere is not shown either (RFC 7701 §6.1).
 */
function signed(head: CpimHead, content: Buffer, sender: Member): Buffer {
  const name = (sender.alias === undefined ? head.from?.name : sender.nickname) ?? '';
  return Buffer.concat([rewriteCpimHead(head, { from: { name, uri: shownAs(sender) } }), content]);
}
