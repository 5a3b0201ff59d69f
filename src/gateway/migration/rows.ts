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
} as const;

export type MapKind = keyof typeof rowSchemas;
export type MapRow<K extends MapKind> = z.output<(typeof rowSchemas)[K]>;

export const mapKinds = Object.keys(rowSchemas) as readonly MapKind[];
