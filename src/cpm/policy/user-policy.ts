import { z } from 'zod';

/** Services that a user may be entitled to. */
export const entitlements = ['messages', 'sessions', 'groups', 'large-messages', 'file-transfer'] as const;
export type Entitlement = (typeof entitlements)[number];

const shape = {
  /** Services that the user may use. */
  services: z.array(z.enum(entitlements)),
  /** Identities whose requests do not reach the user, and to whom the user sends none. */
  blocked: z.array(z.string().regex(/^(?:sips?|tel|wv|mailto):[^\s<>]{1,500}$/, 'must be a URI')).max(10_000),
  /** What a blocked sender gets: 603, 403, or for a message a 200 that tells nothing. */
  blockedAnswer: z.enum(['decline', 'forbid', 'silent']),
  /** Instance ID, a URN, of the only device that gets requests to the user; all devices unless given. */
  deliverTo: z.string().regex(/^urn:[^\s<>"]{1,200}$/, 'must be an Instance ID, a URN'),
  /** Sessions are refused with 480, messages wait. */
  doNotDisturb: z.boolean(),
  /** Whether the media of the user's sessions pass this server. */
  mediaPath: z.boolean(),
  /** Whether the messages of the user's sessions are recorded, where a folder for that is configured; puts them into the media path. */
  record: z.boolean(),
  /**
   * What the user's IMPS phones answer to session invitations: `accept` at once; `alone` does so only for the phone that an invitation
   * names, or while no other device of the user could take it; `refuse`, and messages come one by one.
   */
  phoneSessions: z.enum(['accept', 'alone', 'refuse']),
  /** Sessions that the user may have at once. */
  maxSessions: z.int().min(0).max(1_000_000),
  /** Messages that the user may send in a minute. */
  messagesPerMinute: z.int().min(0).max(1_000_000),
  /** Octets of the largest message or file that the user may send or get, in any mode. */
  maxBytes: z
    .int()
    .min(0)
    .max(2 ** 40),
};

/** What holds for every user who has no setting of his own. */
export const standardPolicy = z
  .strictObject({
    services: shape.services.default([...entitlements]),
    blocked: shape.blocked.default([]),
    blockedAnswer: shape.blockedAnswer.default('decline'),
    deliverTo: shape.deliverTo.optional(),
    doNotDisturb: shape.doNotDisturb.default(false),
    mediaPath: shape.mediaPath.default(false),
    record: shape.record.default(false),
    phoneSessions: shape.phoneSessions.default('alone'),
    maxSessions: shape.maxSessions.optional(),
    messagesPerMinute: shape.messagesPerMinute.optional(),
    maxBytes: shape.maxBytes.optional(),
  })
  .prefault({});

export type UserPolicy = z.infer<typeof standardPolicy>;

export const ownPolicy = z.strictObject(shape).partial();
/** The settings of one user: each overrides the standard one. */
export type OwnPolicy = Partial<UserPolicy>;
