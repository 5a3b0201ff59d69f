import { parseUserId, type UserId } from '../address/wv-address.js';
import { textOf } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { digits } from '../access/local-users.js';
import type { UserRecord } from '../state/records.js';
import { groups, ownOf, type GroupRecord } from './group-store.js';
import { granted } from './presence-authorization.js';
import { profiles, type ProfileRecord } from './public-profiles.js';
import { presence, type PresenceRecord } from './presence-store.js';

/** One criterion: the search element and the text looked for. All criteria of a search must hold. */
export interface Pair {
  readonly element: string;
  readonly text: string;
}

export interface Hit {
  readonly id: string;
  readonly friendlyName?: string | undefined;
}

interface Candidate {
  readonly record: UserRecord;
  readonly profile: ProfileRecord;
  readonly presence: PresenceRecord | undefined;
}

/** Criteria of presence, which find only what the searcher may see, and the attribute of each. */
const ofPresence: Readonly<Record<string, string>> = {
  USER_ALIAS: 'Alias',
  USER_ONLINE_STATUS: 'OnlineStatus',
};

const holds = (value: string | undefined, text: string): boolean =>
  value !== undefined && text !== '' && value.toLowerCase().includes(text.toLowerCase());
const equals = (value: string | undefined, text: string): boolean =>
  value?.toLowerCase() === text.toLowerCase();

const ageIn = (profile: ProfileRecord, test: (age: number) => boolean): boolean =>
  profile['PP_AGE'] !== undefined && test(Number(profile['PP_AGE']));

/** What each search element of users looks at. */
const users: Readonly<Record<string, (candidate: Candidate, text: string) => boolean>> = {
  USER_ID: ({ record }, text) => holds(record.user, text.toLowerCase().replace(/^wv:/, '')),
  USER_ALIAS: (candidate, text) => holds(textOf(candidate.presence?.own['Alias'], 'PresenceValue'), text),
  USER_FIRST_NAME: ({ record }, text) => holds(record.details?.firstName, text),
  USER_LAST_NAME: ({ record }, text) => holds(record.details?.lastName, text),
  USER_EMAIL_ADDRESS: ({ record }, text) => equals(record.details?.email, text),
  USER_MOBILE_NUMBER: ({ record }, text) =>
    record.msisdn !== undefined && digits(record.msisdn) === digits(text),
  USER_ONLINE_STATUS: (candidate, text) =>
    Object.keys(candidate.presence?.clients ?? {}).length > 0 === (text.toUpperCase() === 'T'),
  USER_FRIENDLY_NAME: ({ record, profile }, text) =>
    holds(profile['PP_FRIENDLY_NAME'] ?? record.friendlyName, text),
  USER_CITY: ({ profile }, text) => holds(profile['PP_CITY'], text),
  USER_COUNTRY: ({ profile }, text) => holds(profile['PP_COUNTRY'], text),
  USER_GENDER: ({ profile }, text) => equals(profile['PP_GENDER'], text),
  USER_INTENTION: ({ profile }, text) => holds(profile['PP_INTENTION'], text),
  USER_INTERESTS_HOBBIES: ({ profile }, text) => holds(profile['PP_INTERESTS'], text),
  USER_MARITAL_STATUS: ({ profile }, text) => equals(profile['PP_MARITAL_STATUS'], text),
  USER_AGE_MIN: ({ profile }, text) => ageIn(profile, (age) => age >= Number(text)),
  USER_AGE_MAX: ({ profile }, text) => ageIn(profile, (age) => age <= Number(text)),
};

/** What each search element of groups looks at; users in it are compared as addresses. */
const ofGroups: Readonly<
  Record<string, (group: GroupRecord, text: string, user: string | undefined) => boolean>
> = {
  GROUP_ID: (group, text) => holds(group.id, text.toLowerCase().replace(/^wv:/, '')),
  GROUP_NAME: (group, text) => holds(group.properties['Name'], text),
  GROUP_TOPIC: (group, text) => holds(group.properties['Topic'], text),
  GROUP_USER_ID_JOINED: (group, _text, user) => user !== undefined && user in group.joined,
  GROUP_USER_ID_OWNER: (group, _text, user) => group.owner === user,
  GROUP_USER_ID_AUTOJOIN: (group, _text, user) =>
    user !== undefined && ownOf(group, user as UserId)?.['AutoJoin'] === 'T',
};

export const userCriteria: ReadonlySet<string> = new Set(Object.keys(users));
export const groupCriteria: ReadonlySet<string> = new Set(Object.keys(ofGroups));

/** Users of the directory for whom all criteria hold, as far as the searcher may know it, at most `limit`. */
export async function matchingUsers(
  context: ImpsContext,
  searcher: UserId,
  pairs: readonly Pair[],
  limit: number,
): Promise<Hit[]> {
  const hits: Hit[] = [];
  const attributes = pairs.flatMap(({ element }) => ofPresence[element] ?? []);
  for await (const record of context.ports.users.all()) {
    if (record.state !== 'active') continue;
    const profile = (await context.store.get(profiles, record.user)) ?? {};
    const candidate = { record, profile, presence: await context.store.get(presence, record.user) };
    if (!pairs.every((pair) => users[pair.element]?.(candidate, pair.text))) continue;
    // asked last, since most users are none that were looked for
    const seen = attributes.length > 0 ? await granted(context, record.user, searcher) : undefined;
    if (!attributes.every((name) => seen?.has(name))) continue;
    hits.push({ id: record.user, friendlyName: profile['PP_FRIENDLY_NAME'] ?? record.friendlyName });
    if (hits.length >= limit) break;
  }
  return hits;
}

/** Groups that let themselves be found and for which all criteria hold, at most `limit`. */
export async function matchingGroups(
  context: ImpsContext,
  pairs: readonly Pair[],
  limit: number,
): Promise<Hit[]> {
  const wanted = pairs.map((pair) => ({ ...pair, user: parseUserId(pair.text, context.config.domain) }));
  const hits: Hit[] = [];
  for await (const { value: group } of context.store.scan(groups)) {
    if (group.properties['Searchable'] === 'F') continue;
    if (!wanted.every(({ element, text, user }) => ofGroups[element]?.(group, text, user))) continue;
    hits.push({ id: group.id });
    if (hits.length >= limit) break;
  }
  return hits;
}
