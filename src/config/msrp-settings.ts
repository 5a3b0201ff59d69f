import { z } from 'zod';

const HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)`;
const address = z
  .string()
  .regex(new RegExp(`^(?:(?:tcp|tls|ws|wss):)?${HOST}:\\d{1,5}$`), 'must be [tcp|tls|ws|wss:]HOST:PORT');
const count = (most: number, preset: number) => z.number().int().min(1).max(most).default(preset);
const MIB = 1024 * 1024;

/** A relay towards clients that nobody can connect to (RFC 4976). */
const relaySettings = z
  .strictObject({
    /** Takes AUTH of clients, and relays for them. */
    enabled: z.boolean().default(false),
    /** Name in the URIs that clients get, as it stands in the certificate; by default the address of the listener. */
    host: z
      .string()
      .regex(/^[A-Za-z0-9.-]+$/, 'must be a host name')
      .optional(),
    /** Also serves clients without TLS: for labs (RFC 4976 §9.2 forbids it). */
    plain: z.boolean().default(false),
    /** Hash functions of the digest. RFC 4976 §7 knows MD5 alone; clients that know others may be offered them first. */
    algorithms: z
      .array(z.enum(['MD5', 'SHA-256', 'SHA-512-256']))
      .min(1)
      .default(['MD5']),
    /** Hosts of relays whose clients need no password here, since the relay's certificate bears its name (RFC 4976 §6.3). */
    peers: z.array(z.string().regex(/^[A-Za-z0-9.-]+$/, 'must be a host name')).default([]),
    /** URIs that clients may have at once. */
    uris: count(1_000_000, 100_000),
    /** Those of one user. */
    urisPerUser: count(10_000, 100),
    /** Seconds a URI is valid when the client does not say. */
    expires: count(86_400, 900),
    /** Less is refused with 423. */
    minExpires: count(86_400, 60),
    /** More is refused with 423. */
    maxExpires: count(86_400, 3600),
  })
  .refine(({ minExpires, expires, maxExpires }) => minExpires <= expires && expires <= maxExpires, {
    message: 'minExpires, expires and maxExpires must be in that order',
  })
  .prefault({});

/** The part `msrp` of the configuration. */
export const msrpSettings = z
  .strictObject({
    /** HOST:PORT, or with `tcp:`, `tls:`, `ws:` or `wss:` before it. */
    listen: address.default('127.0.0.1:2855'),
    /** More listeners: `tls:`, `ws:`, `wss:`. The certificate of the secure ones is that of `sip.tls`. */
    alsoListen: z.array(address).default([]),
    /** Host that peers are told in place of an address listened on, when that is a wildcard or behind a NAT. */
    advertise: z.string().optional(),
    /** How From-Path is held against the peer's `a=path`: whole, or by its session-id where boxes on the way rewrite paths. */
    matching: z.enum(['path', 'session-id']).default('path'),
    /** Sessions that end at this server, at once. */
    sessions: count(1_000_000, 100_000),
    /** Connections at once. */
    connections: count(1_000_000, 100_000),
    /** Octets of one message. */
    messageBytes: count(4096 * MIB, 100 * MIB),
    /** Octets of messages that are being put together, in the whole process. */
    heldBytes: count(4096 * MIB, 512 * MIB),
    /** How long the peer of a session may take to come. */
    bind: count(3600, 30),
    /** How long nothing may come of a message that has begun. */
    idleMessage: count(3600, 60),
    relay: relaySettings,
  })
  .prefault({});

export type MsrpSettings = z.infer<typeof msrpSettings>;
