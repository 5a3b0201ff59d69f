import { child, childrenOf, textOf, type Element } from '../codec/element.js';
import { CspRefusal } from '../status.js';
import { byName } from '../vocabulary/by-name.js';

type Check = (value: string) => boolean;
const truth: Check = (value) => value === 'T' || value === 'F';
const whole: Check = (value) => /^\d{1,9}$/.test(value);
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value);
const text: Check = (value) => value.length <= 200;

/** Group properties that may be set; ActiveUsers is read only. */
const groupChecks: Readonly<Record<string, Check>> = byName({
  Name: text,
  Topic: text,
  AccessType: oneOf('Open', 'Restricted'),
  Type: oneOf('Public', 'Private'),
  PrivateMessaging: truth,
  Searchable: truth,
  MaxActiveUsers: whole,
  AutoDelete: truth,
  Validity: whole,
  History: oneOf('F'),
  RequireInvitation: truth,
  MinimumAge: whole,
});

const ownChecks: Readonly<Record<string, Check>> = byName({
  AutoJoin: truth,
  ShowID: truth,
  PrivateMessaging: truth,
});

export const defaultGroupProperties: Readonly<Record<string, string>> = {
  Name: '',
  Topic: '',
  AccessType: 'Open',
  Type: 'Public',
  PrivateMessaging: 'T',
  Searchable: 'T',
  AutoDelete: 'F',
};

const spelling = new Map(
  [...Object.keys(groupChecks), ...Object.keys(ownChecks)].map((name) => [name.toLowerCase(), name]),
);

function read(parent: Element | undefined, checks: Readonly<Record<string, Check>>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const property of childrenOf(parent, 'Property')) {
    // clients of the field write Accesstype
    const given = textOf(property, 'Name')?.trim() ?? '';
    const name = spelling.get(given.toLowerCase()) ?? given;
    const value = textOf(property, 'Value') ?? '';
    if (name === 'History' && value === 'T') throw new CspRefusal(821);
    if (!checks[name]?.(value)) throw new CspRefusal(806, given.slice(0, 30));
    found[name] = value;
  }
  return found;
}

/** @throws CspRefusal 806 for an unknown property or value, 821 for a history */
export const readGroupProperties = (parent: Element | undefined): Record<string, string> =>
  read(parent, groupChecks);

/** @throws CspRefusal 806; the privilege level is not the user's own to set */
export const readOwnProperties = (parent: Element | undefined): Record<string, string> =>
  read(parent, ownChecks);

/** Characters of a WelcomeNote. */
const LONGEST_WELCOME = 10_000;

/** The WelcomeNote of GroupProperties, if there is one. @throws CspRefusal 806 for one that is too long */
export function readWelcome(parent: Element | undefined): Element | undefined {
  const note = child(parent, 'WelcomeNote');
  const data = child(note, 'ContentData');
  if ((data?.bytes?.length ?? data?.text.length ?? 0) > LONGEST_WELCOME)
    throw new CspRefusal(806, 'WelcomeNote');
  return note;
}
