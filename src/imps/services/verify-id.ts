import { parseResourceId, parseUserId } from '../address/wv-address.js';
import { child, childrenOf, textOf } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { CspRefusal, Failures, status } from '../status.js';
import { exists } from './contact-lists.js';
import { listsOf } from './contact-list-store.js';
import { groups, joinedOf } from './group-store.js';

/** Says which of some identifiers are good: 200 for all, else 201 with one DetailedResult a kind. */
export const verifyId: Handler = async (context, { session, primitive }) => {
  const list = child(primitive, 'IDList');
  if (!list) throw new CspRefusal(400, 'no IDList');
  const { domain } = context.config;
  const failures = new Failures();
  for (const entry of childrenOf(list, 'UserID')) {
    const user = parseUserId(entry.text, domain);
    if (user === undefined || !(await exists(context, user))) failures.add(531, entry);
  }
  const { lists } = await listsOf(context, session.user);
  for (const entry of childrenOf(list, 'ContactList')) {
    const id = parseResourceId(entry.text, domain);
    if (!lists.some((known) => known.id === id)) failures.add(700, entry);
  }
  for (const entry of childrenOf(list, 'GroupID')) {
    if (!(await group(context, entry.text))) failures.add(800, entry);
  }
  for (const entry of childrenOf(list, 'ScreenName')) {
    const found = await group(context, textOf(entry, 'GroupID'));
    const name = textOf(entry, 'SName');
    if (!found) failures.add(800, entry);
    else if (!joinedOf(found).some(([, joined]) => joined.screenName === name)) failures.add(531, entry);
  }
  for (const entry of childrenOf(list, 'Domain')) {
    if (entry.text.trim().toLowerCase() !== domain) failures.add(404, entry);
  }
  const details = failures.details();
  return status(details.length === 0 ? 200 : 201, details);
};

async function group(context: ImpsContext, text: string | undefined) {
  const id = parseResourceId(text, context.config.domain);
  return id && (await context.store.get(groups, id));
}
