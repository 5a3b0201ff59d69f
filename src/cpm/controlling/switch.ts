import { ParleyError } from '../../base/errors.js';
import { parseCpim } from '../../msrp/cpim/index.js';
import { canonicalUri } from './canonical-uri.js';
import type { Group } from './group.js';
import type { GroupMessage, MediaSession } from './media.js';
import { shownAs } from './member.js';

/** The media of one endpoint. */
export interface Port {
  readonly identity: string;
  readonly endpoint: string;
  readonly media: MediaSession;
}

/** To everybody, as RCS clients write it. */
const EVERYBODY = 'sip:anonymous@anonymous.invalid';

/**
 * The MSRP switch of one group (RFC 7701 §5, §6): a message goes to everybody else, or to the one member that its To names. The
 * octets are shared by all deliveries; each endpoint has a queue of its own, so that none waits for another.
 */
export class Switch {
  readonly #group: () => Group;
  readonly #ports = new Map<string, Port>();

  constructor(group: () => Group) {
    this.#group = group;
  }

  add(port: Port): void {
    this.#ports.set(port.endpoint, port);
  }

  remove(endpoint: string): void {
    this.#ports.delete(endpoint);
  }

  /** @returns the status of the answer (RFC 7701 §5.2, RFC 4975 §10). */
  async deliver(from: string, endpoint: string, message: GroupMessage): Promise<number> {
    const recipients = this.#recipients(from, endpoint, message);
    if (typeof recipients === 'number') return recipients;
    for (const { media } of recipients) void media.send(message);
    return 200;
  }

  #recipients(from: string, endpoint: string, { contentType, octets }: GroupMessage): Port[] | number {
    if (!/^message\/cpim\b/i.test(contentType)) return 415;
    let to: readonly string[];
    let claimed: string | undefined;
    try {
      const { head } = parseCpim(octets);
      to = head.to.map(({ uri }) => canonicalUri(uri));
      claimed = head.from && canonicalUri(head.from.uri);
    } catch (error) {
      if (error instanceof ParleyError) return 400;
      throw error;
    }
    const group = this.#group();
    const self = group.members.find((member) => member.identity === from);
    if (!self || (claimed !== undefined && ![from, shownAs(self), EVERYBODY].includes(claimed))) return 403;
    if (to.length !== 1) return 403;
    const others = [...this.#ports.values()].filter((port) => port.endpoint !== endpoint);
    if (to[0] === group.uri || to[0] === EVERYBODY) return others;
    const member = group.members.find((one) => shownAs(one) === to[0]);
    if (!member) return 404;
    return others.filter(({ identity }) => identity === member.identity || identity === from);
  }
}
