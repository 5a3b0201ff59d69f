import { z } from 'zod';

const seconds = (standard: number) => z.number().positive().max(31_536_000).default(standard);

/** Group sessions of the controlling function. */
export const groupSettings = z.strictObject({
  /** Members of a new group at most. */
  maximum: z.int().min(2).max(10_000).default(100),
  /** Connected members below which the sessions of a new group end, when nobody rings any more. */
  minimum: z.int().min(1).max(1_000).default(1),
  /** Groups that a user may make in a minute, at each node. */
  newPerMinute: z.int().min(1).max(1_000_000).default(60),
  /** How long an invitation rings, in seconds. */
  ringing: seconds(180),
  /** Seconds without a message after which the sessions of a group end; its members may start it again. */
  inactivity: seconds(900),
  /** Seconds between two NOTIFYs of one subscription at least; RFC 4575 §3.9 recommends 5, which is slow for who looks at a list. */
  interval: z.number().min(0).max(3_600).default(1),
  /** Session-Expires of every session, in seconds (RFC 4028). */
  sessionExpires: z.int().min(90).max(86_400).default(1_800),
  /** How long an ad-hoc group is kept after its last session, in seconds. */
  keep: seconds(7 * 86_400),
  /** Octets of one message. */
  messageBytes: z.int().min(1_000).max(8_000_000).default(7_000_000),
  /** Messages that are kept for a member without a session, and for how many seconds. */
  missed: z
    .strictObject({
      /** Of one member; what comes beyond is not kept. */
      messages: z.int().min(0).max(100_000).default(1_000),
      /** After which one is gone. */
      seconds: seconds(7 * 86_400),
    })
    .prefault({}),
  /** Who may join open groups: users of the domains, or whoever has an asserted identity. */
  openTo: z.enum(['domain', 'anybody']).default('domain'),
  /** Disposition notifications reach the sender one by one, or gathered for some seconds (RFC 5438 §8.3). */
  receipts: z
    .strictObject({
      /** One notification for each recipient, or one of all that came in the time. */
      mode: z.enum(['each', 'aggregated']).default('each'),
      /** Whether who sent a message learns who has displayed it. */
      displayed: z.boolean().default(false),
      /** For which notifications are gathered. */
      seconds: seconds(2).pipe(z.number().max(25)),
    })
    .prefault({}),
});
