import { table } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import { child, childrenOf, element, flagOf, textOf } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { CspRefusal, Failures, codeFor, result, status } from '../status.js';
import { exists } from './contact-lists.js';
import { notifyTypes } from './general-notifications.js';
import { usersOf } from './presence.js';

/** What a user shows to everybody, by property name. */
export type ProfileRecord = Readonly<Record<string, string>>;

export const profiles = table<ProfileRecord>('imps-profiles');

const names: ReadonlySet<string> = new Set(
  `PP_AGE PP_CITY PP_COUNTRY PP_FRIENDLY_NAME PP_FREE_TEXT PP_GENDER PP_INTENTION PP_INTERESTS PP_MARITAL_STATUS`.split(
    ' ',
  ),
);
const LONGEST = 500;

/** Age of the public profile, if it has one. */
export async function ageOf(context: ImpsContext, user: UserId): Promise<number | undefined> {
  const age = Number((await context.store.get(profiles, user))?.['PP_AGE']);
  return Number.isInteger(age) ? age : undefined;
}

export const getPublicProfile: Handler = async (context, { primitive }) => {
  const failures = new Failures();
  const shown = [];
  for (const user of usersOf(context, primitive, failures)) {
    if (!(await exists(context, user))) {
      failures.add(531, element('UserID', user));
      continue;
    }
    const profile = (await context.store.get(profiles, user)) ?? {};
    const properties = Object.entries(profile).map(([name, value]) =>
      element('Property', element('Name', name), element('Value', value)),
    );
    shown.push(element('PublicProfile', element('UserID', user), properties));
  }
  const details = failures.details();
  return element('GetPublicProfile-Response', result(codeFor(shown.length, details), details), shown);
};

/** Changes properties of the own profile; an empty value takes one away, ClearPublicProfile all that are not given. */
export const updatePublicProfile: Handler = async (context, { session, primitive }) => {
  const given = new Map<string, string>();
  for (const property of childrenOf(child(primitive, 'PublicProfile'), 'Property')) {
    const name = textOf(property, 'Name')?.trim() ?? '';
    const value = textOf(property, 'Value') ?? '';
    if (!names.has(name)) throw new CspRefusal(702, name.slice(0, 30));
    if (value.length > LONGEST || (name === 'PP_AGE' && !/^\d{0,3}$/.test(value)))
      throw new CspRefusal(702, name);
    given.set(name, value);
  }
  const clear = flagOf(primitive, 'ClearPublicProfile') ?? false;
  await context.store.update(profiles, session.user, (current) => {
    const after = { ...(clear ? {} : current), ...Object.fromEntries(given) };
    const value = Object.fromEntries(Object.entries(after).filter(([, text]) => text !== ''));
    return { kind: 'put', value, result: undefined };
  });
  const list = element('UserList', element('User', element('UserID', session.user)));
  await notifyTypes(context, session.user, 'PPU', [list], { except: session.id });
  return status(200);
};
