import { parseAor } from '../../identity/aor.js';

/** User parts of group session identities begin so. */
export const GROUP_PREFIX = 'gs-';

/** Which addresses are those of the groups of a domain, and of the factory that makes them. */
export class GroupAddresses {
  /** Host of the group session identities. */
  readonly domain: string;
  readonly #factory: string;
  readonly #end: string;

  /** @param factory `sip:conference-factory@ims.test` @throws ParleyError `aor-*` */
  constructor(factory: string, domain: string) {
    this.domain = domain;
    this.#factory = parseAor(factory);
    this.#end = `@${domain}`;
  }

  /** @param aor `sip:user@host`, as in all of these. */
  isFactory(aor: string): boolean {
    return aor === this.#factory;
  }

  isGroup(aor: string): boolean {
    return aor.startsWith(`sip:${GROUP_PREFIX}`) && aor.endsWith(this.#end);
  }

  /** Whether nobody who could be invited has the address. */
  isTaken(aor: string): boolean {
    return this.isFactory(aor) || this.isGroup(aor);
  }

  /** Group session identity of a group by its id. */
  uriOf(id: string): string {
    return `sip:${id}${this.#end}`;
  }
}
