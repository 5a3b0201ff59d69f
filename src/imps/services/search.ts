import { randomInt } from 'node:crypto';
import { table } from '../../store/store.js';
import { child, childrenOf, element, numberOf, textOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { keyOf, type SessionRecord } from '../state/records.js';
import { CspRefusal, status } from '../status.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { groupCriteria, matchingGroups, matchingUsers, userCriteria, type Pair } from './search-criteria.js';

/** Findings of a search that is given page by page; it ends with its session, by StopSearch or in an hour. */
interface SearchRecord {
  readonly kind: 'users' | 'groups';
  readonly found: readonly { readonly id: string; readonly friendlyName?: string | undefined }[];
  readonly page: number;
}

export const searches = table<SearchRecord>('imps-searches');
const KEEP_MS = 3_600_000;
/** Criteria of one search. */
const PAIRS = 20;

/** Element and string of each criterion: in SearchPair, or several side by side in one SearchPairList. */
function pairsOf(primitive: Element): Pair[] {
  const pairs: { element: string; text: string }[] = [];
  const take = (parent: Element): void => {
    for (const entry of parent.children) {
      if (entry.name === 'SearchPair') take(entry);
      else if (entry.name === 'SearchElement') pairs.push({ element: entry.text.trim(), text: '' });
      else if (entry.name === 'SearchString' && pairs.length > 0)
        pairs[pairs.length - 1]!.text = entry.text.trim();
    }
  };
  childrenOf(primitive, 'SearchPairList').forEach(take);
  return pairs;
}

/** Starts a search, or gives the next page of one. */
export const searchRequest: Handler = async (context, { session, version, primitive }) => {
  if (child(primitive, 'SearchID')) return nextPage(context, session, version, primitive);
  if (child(primitive, 'AdvancedCriteria')) throw new CspRefusal(405, 'advanced search');
  const pairs = pairsOf(primitive);
  if (pairs.length === 0 || pairs.length > PAIRS) throw new CspRefusal(562);
  const ofUsers = pairs.every((pair) => userCriteria.has(pair.element));
  const ofGroups = pairs.every((pair) => groupCriteria.has(pair.element));
  if (!ofUsers && !ofGroups) throw new CspRefusal(562);
  const limit = context.config.limits.searchHits;
  const found = ofUsers
    ? await matchingUsers(context, session.user, pairs, limit)
    : await matchingGroups(context, pairs, limit);
  const asked = numberOf(primitive, 'SearchLimit') || context.config.limits.searchPage;
  const page = Math.min(asked, context.config.limits.searchPage);
  const record: SearchRecord = { kind: ofUsers ? 'users' : 'groups', found, page };
  const id = randomInt(1, 0x7fffffff);
  if (found.length > page) {
    await context.store.update(searches, keyOf(session.id, String(id)), () => ({
      kind: 'put',
      value: record,
      deadline: context.clock.now() + KEEP_MS,
      result: undefined,
    }));
  }
  return response(record, 1, version, id);
};

async function nextPage(
  context: ImpsContext,
  session: SessionRecord,
  version: CspVersion,
  primitive: Element,
): Promise<Element> {
  const record = await context.store.get(
    searches,
    keyOf(session.id, textOf(primitive, 'SearchID')?.trim() ?? ''),
  );
  if (!record) throw new CspRefusal(424);
  const index = numberOf(primitive, 'SearchIndex');
  if (index === undefined || index < 1 || index > record.found.length) throw new CspRefusal(425);
  return response(record, index, version, undefined);
}

/** A page from `index`, counted from 1, and the index of the next. */
function response(record: SearchRecord, index: number, version: CspVersion, id: number | undefined): Element {
  const { found, page, kind } = record;
  const shown = found.slice(index - 1, index - 1 + page);
  const next = index + shown.length;
  const complete = next > found.length;
  const list =
    kind === 'groups'
      ? element(
          'GroupList',
          shown.map((hit) => element('GroupID', hit.id)),
        )
      : element(
          'UserList',
          shown.map((hit) =>
            element(
              'User',
              element('UserID', hit.id),
              version === '1.3' && hit.friendlyName !== undefined
                ? element('FriendlyName', hit.friendlyName)
                : undefined,
            ),
          ),
        );
  return element(
    'Search-Response',
    id === undefined ? undefined : element('SearchID', id),
    element('SearchFindings', found.length),
    element('CompletionFlag', complete),
    complete ? undefined : element('SearchIndex', next),
    shown.length > 0 ? element('SearchResult', list) : undefined,
  );
}

export const stopSearch: Handler = async (context, { session, primitive }) => {
  const key = keyOf(session.id, textOf(primitive, 'SearchID')?.trim() ?? '');
  const had = await context.store.update(searches, key, (current) =>
    current ? { kind: 'remove', result: true } : { kind: 'keep', result: false },
  );
  if (!had) throw new CspRefusal(424);
  return status(200);
};
