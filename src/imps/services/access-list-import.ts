import { parseResourceId, parseUserId, type UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import { CspRefusal } from '../status.js';
import { accessLists, nothing, same, type AccessListsRecord, type Entry } from './access-lists.js';
import { exists } from './contact-lists.js';

/** One entry of a user's block or grant list, as an operator brings it from elsewhere or takes it there. */
export interface AccessEntry {
  readonly user: UserId;
  readonly list: 'block' | 'grant';
  readonly kind: Entry['kind'];
  /** An address, a screen name or an Application-ID. */
  readonly entry: string;
  /** Of a screen name. */
  readonly group?: string | undefined;
  /** Whether the list holds: said of a list, not of one entry. Undefined leaves it; a new list holds. */
  readonly inUse?: boolean | undefined;
}

/**
 * Puts an entry into an access list. The user's clients are not told: they ask for their lists at login.
 * @returns false when it is there already
 * @throws CspRefusal 531 for nobody's list or no address, 800 and 700 for no group or contact list, 403 when the list is full
 */
export async function importAccessEntry(context: ImpsContext, given: AccessEntry): Promise<boolean> {
  const { user, list, inUse } = given;
  const entry = entryOf(context, given);
  if (!(await exists(context, user))) throw new CspRefusal(531);
  return context.store.update(accessLists, user, (current = nothing) => {
    const before = current[list];
    const known = before.some((one) => same(one, entry));
    const held = before.length > 0 || current[flags[list]];
    const holds = inUse ?? (held ? current[flags[list]] : true);
    if (known && holds === current[flags[list]]) return { kind: 'keep', result: false };
    if (!known && before.length >= context.config.limits.accessList)
      throw new CspRefusal(403, 'the list is full');
    const value: AccessListsRecord = {
      ...current,
      [list]: known ? before : [...before, entry],
      [flags[list]]: holds,
    };
    return { kind: 'put', value, result: true };
  });
}

/** Takes an entry out of an access list; an empty list no longer holds. @returns false when it is not there */
export async function withdrawAccessEntry(context: ImpsContext, given: AccessEntry): Promise<boolean> {
  const { user, list } = given;
  const entry = entryOf(context, given);
  return context.store.update(accessLists, user, (current = nothing) => {
    const left = current[list].filter((one) => !same(one, entry));
    if (left.length === current[list].length) return { kind: 'keep', result: false };
    const value: AccessListsRecord = {
      ...current,
      [list]: left,
      [flags[list]]: left.length > 0 && current[flags[list]],
    };
    return { kind: 'put', value, result: true };
  });
}

/** The access lists of users in order of their addresses, after those of one user. */
export async function* exportAccessEntries(
  context: ImpsContext,
  after: UserId | undefined,
): AsyncIterable<AccessEntry> {
  for await (const { key, value } of context.store.scan(accessLists, after === undefined ? {} : { after })) {
    for (const list of ['block', 'grant'] as const) {
      for (const { kind, text } of value[list]) {
        const [entry = '', group] = text.split('\t');
        yield { user: key as UserId, list, kind, entry, group, inUse: value[flags[list]] };
      }
    }
  }
}

const flags = { block: 'blockInUse', grant: 'grantInUse' } as const;

/** @throws CspRefusal 531, 800, 700 */
function entryOf({ config: { domain } }: ImpsContext, { kind, entry, group }: AccessEntry): Entry {
  switch (kind) {
    case 'UserID':
      return { kind, text: found(parseUserId(entry, domain), 531) };
    case 'GroupID':
      return { kind, text: found(parseResourceId(entry, domain), 800) };
    case 'ContactList':
      return { kind, text: found(parseResourceId(entry, domain), 700) };
    case 'ScreenName':
      return { kind, text: `${entry}\t${found(parseResourceId(group, domain), 800)}` };
    case 'ApplicationID':
      return { kind, text: entry.trim() };
  }
}

function found(address: string | undefined, code: 531 | 700 | 800): string {
  if (address === undefined) throw new CspRefusal(code);
  return address;
}
