import { ParleyError } from '../../base/errors.js';
import type { ImpsServer, ResourceId, StatusCode, UserId } from '../../imps/index.js';
import { FinalResponseError } from '../../sip/final-response-error.js';
import { cspStatus } from '../status-map.js';
import type { GroupLeg, Participation } from './group-leg.js';
import type { GroupLink } from './group-links.js';
import type { Legs } from './legs.js';

export interface EntranceOptions {
  readonly legs: () => Legs;
  readonly imps: () => ImpsServer;
  /** Whether the focuses are those of this domain, which take users by `wv:` addresses too. */
  readonly ownCore: boolean;
  setOf(aor: string): Promise<string | undefined>;
  identityOf(user: UserId): Promise<string | undefined>;
  /** Whether phones of a user are invited to sessions. @param set key of the registration set */
  offersSessions(set: string): Promise<boolean>;
}

interface Phone {
  readonly user: UserId;
  /** Session-ID. */
  readonly session: string;
}

/** Phones that come in at the same time. */
const AT_ONCE = 16;

/** How phones of this server come into a group session by themselves. */
export class Entrance {
  readonly #options: EntranceOptions;
  /** By group and session. */
  readonly #entering = new Map<string, Promise<GroupLeg | StatusCode>>();
  readonly #gathering = new Set<ResourceId>();

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  /** Who a phone's user is on the SIP side. @returns undefined for one who is nobody there */
  async participation(user: UserId, session: string): Promise<Participation | undefined> {
    const options = this.#options;
    const identity = await options.identityOf(user);
    const set = identity === undefined ? undefined : await options.setOf(identity);
    if (identity !== undefined && set !== undefined) return { session, user, identity, set };
    return options.ownCore ? { session, user, identity: user, set: user } : undefined;
  }

  /** Comes in by itself as a member does, else has somebody who is in ask for the invitation. */
  enter(link: GroupLink, { user, session }: Phone): Promise<GroupLeg | StatusCode> {
    const key = `${link.group}\t${session}`;
    const running = this.#entering.get(key);
    if (running) return running;
    const entering = this.#enter(link, user, session).finally(() => this.#entering.delete(key));
    this.#entering.set(key, entering);
    return entering;
  }

  /**
   * Whoever has joined on this side is in the group session, with each phone, so that what is said there reaches everybody. Whom the
   * focus does not take is out of the group: its phone hears why, and the others see who is not there.
   */
  async gather(link: GroupLink): Promise<void> {
    const { group } = link;
    if (this.#gathering.has(group)) return;
    this.#gathering.add(group);
    try {
      const missing = await this.#missing(group);
      for (let at = 0; at < missing.length; at += AT_ONCE)
        await Promise.all(missing.slice(at, at + AT_ONCE).map((phone) => this.#fetch(link, phone)));
    } finally {
      this.#gathering.delete(group);
    }
  }

  async #missing(group: ResourceId): Promise<readonly Phone[]> {
    const legs = this.#options.legs();
    const view = await this.#options.imps().groups.find(group);
    const there = await legs.phonesIn(group);
    return (view?.joined ?? []).flatMap(({ user, sessions }) =>
      sessions
        .filter((session) => !there.has(session) && !legs.has(group, session))
        .map((session) => ({ user, session })),
    );
  }

  async #fetch(link: GroupLink, phone: Phone): Promise<void> {
    const { legs, imps } = this.#options;
    const leg = await this.enter(link, phone);
    if (typeof leg !== 'number' || legs().hasUser(link.group, phone.user)) return;
    await imps().groups.putOut(link.group, [phone.user], leg);
  }

  async #enter(link: GroupLink, user: UserId, session: string): Promise<GroupLeg | StatusCode> {
    const phone = await this.participation(user, session);
    if (!phone) return 533;
    const legs = this.#options.legs();
    const status = await this.#dial(link, phone);
    if (typeof status !== 'number') return status;
    const [other] = legs.ofGroup(link.group);
    if (status !== 403 || !other) return status === 404 ? 800 : cspStatus(status);
    const ask = async (): Promise<boolean> => (await legs.refer(link, other.phone, phone.identity)) < 300;
    if (phone.identity !== user && (await this.#options.offersSessions(phone.set)))
      return (await legs.awaitInvitation(link.group, session, ask)) ?? 809;
    // no invitation reaches the phone, but it is a member now
    const again = (await ask()) ? await this.#dial(link, phone) : 403;
    return typeof again === 'number' ? cspStatus(again) : again;
  }

  /** @returns the SIP status of a refusal */
  async #dial(link: GroupLink, phone: Participation): Promise<GroupLeg | number> {
    const { group, focus, contributionId, conversationId, subject } = link;
    try {
      return await this.#options.legs().invite(focus, phone, {
        group,
        headers: {
          'Contribution-ID': contributionId,
          'Conversation-ID': conversationId,
          Subject: subject,
        },
        parts: (body) => ({ contentType: 'application/sdp', body }),
        link: () => link,
      });
    } catch (error) {
      if (error instanceof ParleyError) return error.sip;
      if (error instanceof FinalResponseError) return error.status;
      throw error;
    }
  }
}
