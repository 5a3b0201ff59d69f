import { z } from 'zod';

/** An empty cell of a table is one that is not there. */
const optional = z
  .string()
  .max(400)
  .optional()
  .transform((text) => (text === undefined || text === '' ? undefined : text));
const text = z.string().min(1).max(400);
const flag = z
  .union([z.boolean(), z.enum(['true', 'false', ''])])
  .optional()
  .transform((value) => value === true || value === 'true');

/** What an operator brings along, by kind; columns that are not named are left out of account. */
export const rowSchemas = {
  /** Users with the password of their phones, and where they are on the SIP side. */
  users: z.object({
    user: text,
    password: text,
    msisdn: optional,
    /** Address of record. */
    aor: optional,
    /** Makes a subscriber with this private identity, who registers `aor` and the number. */
    privateId: optional,
  }),
  /** Pairs of addresses. */
  addresses: z.object({ wv: text, aor: text }),
  /** Clients of users, with their Instance ID where they have one already. */
  devices: z.object({
    user: text,
    clientId: optional,
    msisdn: optional,
    applicationId: optional,
    instance: optional,
  }),
  /** Contacts in the contact lists of users. */
  contacts: z.object({
    user: text,
    /** Address of the list, `wv:user/name@domain`, or its name. */
    list: text,
    displayName: optional,
    default: flag,
    contact: text,
    name: optional,
  }),
  /** Entries of users' block and grant lists. */
  access: z.object({
    user: text,
    list: z.enum(['block', 'grant']),
    kind: z
      .enum(['UserID', 'ScreenName', 'GroupID', 'ContactList', 'ApplicationID', ''])
      .optional()
      .transform((kind) => kind || 'UserID'),
    entry: text,
    /** Of a screen name. */
    group: optional,
    /** Whether the whole list holds. */
    inUse: z
      .union([z.boolean(), z.enum(['true', 'false', ''])])
      .optional()
      .transform((value) => (value === undefined || value === '' ? undefined : String(value) === 'true')),
  }),
  /** Members of groups; the row that makes a group says what the group is like. */
  groups: z.object({
    /** `wv:user/name@domain`, or `wv:/name@domain` with an owner. */
    group: text,
    owner: optional,
    name: optional,
    topic: optional,
    accessType: optional,
    type: optional,
    privateMessaging: optional,
    searchable: optional,
    maxActiveUsers: optional,
    requireInvitation: optional,
    minimumAge: optional,
    member: optional,
    role: z
      .enum(['Admin', 'Mod', 'User', ''])
      .optional()
      .transform((role) => role || 'User'),
  }),
} as const;

/** Columns of `groups` that are properties, by the names that those have in CSP. */
export const groupProperties = {
  name: 'Name',
  topic: 'Topic',
  accessType: 'AccessType',
  type: 'Type',
  privateMessaging: 'PrivateMessaging',
  searchable: 'Searchable',
  maxActiveUsers: 'MaxActiveUsers',
  requireInvitation: 'RequireInvitation',
  minimumAge: 'MinimumAge',
} as const;

export type MapKind = keyof typeof rowSchemas;
export type MapRow<K extends MapKind> = z.output<(typeof rowSchemas)[K]>;

export const mapKinds = Object.keys(rowSchemas) as readonly MapKind[];

/** Kinds whose rows can be taken back; a user goes by a command of its own, since messages go with it. */
export const withdrawable = [
  'addresses',
  'devices',
  'contacts',
  'access',
  'groups',
] as const satisfies readonly MapKind[];
export type WithdrawableKind = (typeof withdrawable)[number];
