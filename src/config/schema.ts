import { z } from 'zod';
import { standardPolicy } from '../cpm/policy/user-policy.js';
import { gatewayConfig } from '../gateway/config.js';
import { impsConfig } from '../imps/config.js';
import { groupSettings } from './group-settings.js';
import { interworkingConfig } from './interworking.js';
import { msrpSettings } from './msrp-settings.js';
import { profileName, profileSchema } from './profiles.js';

const port = z.int().min(0).max(65_535);
const HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)`;
const hostPort = z
  .string()
  .regex(new RegExp(`^${HOST}:\\d{1,5}$`), 'must be HOST:PORT')
  .refine(
    (text) => port.safeParse(Number(text.slice(text.lastIndexOf(':') + 1))).success,
    'port is above 65535',
  );
const listener = z
  .string()
  .regex(
    new RegExp(`^(?:udp|tcp|tls|ws|wss):${HOST}:\\d{1,5}$`),
    'must be PROTOCOL:HOST:PORT with udp, tcp, tls, ws or wss',
  )
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'port is above 65535');
const domain = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/, 'must be a domain name');
const seconds = (standard: number) => z.number().positive().max(31_536_000).default(standard);
const milliseconds = (standard: number) => z.int().min(10).max(600_000).default(standard);
const aor = z.string().regex(/^(?:sips?|tel):/, 'must be a sip: or tel: URI');

const originOf = (url: string): string => new URL(url).origin;

export const roles = ['core', 'participating', 'controlling', 'imps'] as const;

const hex = (octets: number) =>
  z.string().regex(new RegExp(`^[0-9a-fA-F]{${2 * octets}}$`), `must be ${octets} octets in hex, in quotes`);
/** Of Milenage, or twice as long of TUAK. */
const akaKey = z.string().regex(/^(?:[0-9a-fA-F]{32}){1,2}$/, 'must be 16 or 32 octets in hex, in quotes');
const akaAlgorithms = ['AKAv1-MD5', 'AKAv2-MD5', 'AKAv2-SHA-256'] as const;

const subscriber = z.strictObject({
  /** The user name of digest (RFC 3261 §22), the private identity of IMS. */
  privateId: z.string().min(1),
  /** For digest and IMPS; may be absent when there are keys for AKA. */
  password: z.string().min(1).optional(),
  /** What the subscriber's USIM holds. */
  aka: z
    .strictObject({
      /** Key that the USIM shares with the operator: 16 octets for MILENAGE, 16 or 32 for TUAK. */
      k: akaKey,
      /** The operator's own value, OP or TOP: this or `opc`. */
      op: akaKey.optional(),
      /** What is computed of it and `k`: OPc or TOPc. */
      opc: akaKey.optional(),
      /** Authentication management field (3GPP TS 33.102 annex H), 2 octets. */
      amf: hex(2).default('8000'),
      /** Sequence number that the first challenge comes after, 6 octets. */
      sqn: hex(6).default('000000000000'),
    })
    .refine(({ op, opc }) => (op === undefined) !== (opc === undefined), 'needs one of op and opc')
    .refine(
      ({ k, op, opc }) => k.length === 32 || (op ?? opc)?.length === 64,
      'a key of 32 octets needs TOP or TOPc of 32 octets',
    )
    .optional(),
  /** Public identities, `sip:` or `tel:`; the first that is not barred is the default one. */
  identities: z.array(aor).min(1),
  /** Those that register the others, and neither call nor are called. */
  barred: z.array(aor).optional(),
  /** Identities that are registered together; all of them unless given (3GPP TS 24.229 §5.4.1). */
  implicitSets: z.array(z.array(aor).min(1)).optional(),
  /** Wildcarded identities (3GPP TS 23.003 §13.5) that register with the first identity: `sip:pbx!.*!@ims.test`. */
  wildcards: z.array(aor).optional(),
  /** Service profile of all its identities. */
  profile: profileName.optional(),
  /** File with its user profile as an HSS gives it on Cx (3GPP TS 29.228 annex E): service profiles of its identities. */
  imsSubscription: z.string().min(1).optional(),
  /** User-ID under which the subscriber logs in with IMPS phones, with the same password. */
  imps: z
    .string()
    .regex(/^wv:[^@/]+@[^@/]+$/, 'must be wv:USER@DOMAIN')
    .optional(),
});

/** The configuration file, every switch with its default. */
export const configSchema = z.strictObject({
  /** Home domain and digest realm. */
  domain: domain.default('ims.test'),
  /** Further domains served as the home domain is. */
  domains: z.array(domain).default([]),
  /** What this process is: registrar and S-CSCF, the two CPM functions, the IMPS server. */
  roles: z
    .array(z.enum(roles))
    .min(1)
    .default([...roles]),
  /** `none` lets anyone of the home domain register; only with loopback listeners or `insecure`. */
  auth: z.enum(['digest', 'none']).default('digest'),
  digest: z
    .strictObject({
      /** Offered in this order, the most preferred first (RFC 8760 §2.3). */
      algorithms: z
        .array(z.enum(['MD5', 'SHA-256', 'SHA-512-256']))
        .min(1)
        .default(['SHA-512-256', 'SHA-256', 'MD5']),
      /** Protection of the request alone, or of its body too (RFC 7616 §3.3). */
      qop: z
        .array(z.enum(['auth', 'auth-int']))
        .min(1)
        .default(['auth']),
      /** Wrong answers of one user within the window, after which it is locked for a while. */
      maxFailures: z.int().min(1).max(1_000).default(10),
      /** Within which they count. */
      failureWindow: seconds(300),
    })
    .prefault({}),
  aka: z
    .strictObject({
      /** A device gets the one that it asks for, else the first. */
      algorithms: z
        .array(z.enum(akaAlgorithms))
        .min(1)
        .default([...akaAlgorithms]),
      /** Seconds that an answered nonce serves further requests, with rising counts; 0: never (RFC 4169 §4.4). */
      nonceReuse: z.number().min(0).max(86_400).default(0),
    })
    .prefault({}),
  /** Allows `auth: none` on addresses that others reach, as `--insecure` does. */
  insecure: z.boolean().default(false),
  /** See [store](store.md). */
  store: z
    .string()
    .regex(/^(?:lmdb:.+|rediss?(?:\+sentinel)?:\/\/.+)$/, 'must be lmdb:PATH or redis://HOST:PORT')
    .default('lmdb:./data'),
  /** URI that groups are made with; `sip:conference-factory@` the home domain unless given. */
  conferenceFactory: z
    .string()
    .regex(/^sips?:/, 'must be a SIP URI')
    .optional(),
  /** How long SIGTERM lets what is under way end. */
  drainSeconds: seconds(10),
  log: z
    .strictObject({
      /** The least severe of what is logged: with `trace` whole SIP messages, with `debug` every decision. */
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    })
    .prefault({}),
  sip: z
    .strictObject({
      /** `embedded`, or `drachtio://:secret@host:port`: see [drachtio](drachtio.md). */
      stack: z
        .string()
        .regex(/^(?:embedded|drachtio:\/\/.*)$/, 'must be embedded or drachtio://:secret@host:port')
        .default('embedded'),
      /** `udp:`, `tcp:`, `tls:`, `ws:` or `wss:`, then HOST:PORT; IPv6 in brackets. */
      listen: z.array(listener).min(1).default(['udp:127.0.0.1:5060', 'tcp:127.0.0.1:5060']),
      /** Web pages that may connect by WebSocket, besides those of the same host: all, but none when `auth` is `none`. */
      origins: z
        .array(z.union([z.literal('*'), z.url({ protocol: /^https?$/ }).transform(originOf)]))
        .optional(),
      /** IP addresses whose requests are believed as they come: P-Asserted-Identity and the other headers of the trust domain. */
      trusted: z.array(z.union([z.ipv4(), z.ipv6()])).default([]),
      /** PEM files of the `tls` and `wss` listeners, and how peers' certificates are judged. */
      tls: z
        .strictObject({
          /** The server's certificate, with those between it and its authority. */
          cert: z.string(),
          /** Its private key. */
          key: z.string(),
          /** Authorities that peers' certificates may come from; the system's when absent. */
          ca: z.string().optional(),
          /** False connects to servers whose certificate does not prove their name: for labs. */
          verify: z.boolean().default(true),
        })
        .optional(),
      /** RFC 3261 §17.1.1.1, milliseconds. */
      timers: z
        .strictObject({
          /** Estimate of a round trip; a request without answer is given up after 64 of it. */
          t1: milliseconds(500),
          /** Longest wait between two retransmissions. */
          t2: milliseconds(4_000),
          /** How long a message stays in the network. */
          t4: milliseconds(5_000),
        })
        .prefault({}),
      /** RFC 3261 §16.6 step 11, seconds. */
      timerC: z.number().min(180).max(3_600).default(180),
      /** Queueing delay in milliseconds above which new requests get 503. */
      overloadDelay: milliseconds(250),
    })
    .prefault({}),
  registrar: z
    .strictObject({
      /** Bounds of what a device may ask for (423 below), and what it gets when it asks for nothing. */
      expires: z
        .strictObject({
          /** Less is refused with 423 (RFC 3261 §10.3 step 7). */
          minimum: seconds(60),
          /** Who asks for more gets this. */
          maximum: seconds(600_000),
          /** Who does not say gets this. */
          standard: seconds(3_600),
        })
        .refine((expires) => expires.minimum <= expires.maximum, 'minimum is above maximum')
        .prefault({}),
      /** Of one registration set. */
      maxContacts: z.int().min(1).max(1_000).default(50),
      /** How a device that sends an Instance ID without reg-id is found again: by it alone (3GPP TS 24.229), or also by its contact (RFC 3261). */
      matching: z.enum(['instance', 'contact']).default('instance'),
      /** False issues no GRUUs, for labs whose devices do not take them (RFC 5627). */
      gruu: z.boolean().default(true),
      /** Networks that users may roam in, as P-Visited-Network-ID of a trusted P-CSCF names them; all when absent. */
      visitedNetworks: z.array(z.string().min(1)).max(10_000).optional(),
      /** Name space for the UUIDs that hide IMEI and MEID in GRUUs; made at the first start when absent. */
      gruuNameSpace: z.uuid().optional(),
    })
    .prefault({}),
  /** Converged IP messaging. */
  cpm: z
    .strictObject({
      /** Messages of sessions whose users' policy says `record`. Without a folder nothing is recorded. */
      recording: z
        .strictObject({
          /** Where recordings are written. */
          folder: z.string().min(1).optional(),
          /** Octets of one message that are kept. */
          messageBytes: z.int().min(0).max(100_000_000).default(1_000_000),
          /** Octets of all recordings; above, messages pass unrecorded. */
          totalBytes: z.int().min(0).default(10_000_000_000),
          /** Octets in memory of messages that pass or are being written. */
          heldBytes: z.int().min(0).default(64_000_000),
          /** Days after which a recording is removed. */
          keepDays: z.int().min(1).max(36_500).default(30),
        })
        .prefault({}),
      /** Largest body of a pager mode message, in octets (RFC 3428 §8). */
      pagerBytes: z.int().min(200).max(65_000).default(1_300),
      /** Largest message in large message mode, in octets. */
      largeBytes: z.int().min(1_300).max(1_000_000_000).default(10_000_000),
      deferral: z
        .strictObject({
          /** How long a message waits for its recipient, in seconds. */
          seconds: seconds(7 * 86_400),
          /** Messages that may wait for one user. */
          perUser: z.int().min(0).max(1_000_000).default(10_000),
          /** Their octets together, of large ones as well. */
          bytesPerUser: z.int().min(0).default(100_000_000),
          /** Whether a message that waited goes to a user once, or to each device of the user that comes back in time. */
          oncePer: z.enum(['user', 'device']).default('user'),
          /** Times that a device came back and a message failed, after which it lets those behind it pass. */
          attempts: z.int().min(1).max(100).default(3),
        })
        .prefault({}),
      groups: groupSettings.prefault({}),
      interworking: interworkingConfig,
      /** Preferences and policy of users who have none of their own. */
      policy: standardPolicy,
      /** Session timer in seconds, asked for where the caller can do one and asks for none (RFC 4028 §8.1). */
      sessionExpires: z.int().min(90).max(86_400).default(1_800),
      /** Seconds in which a device whose registration ran out, or whose connection broke, may come back to its sessions. */
      lostDeviceSeconds: z.number().min(0).max(3_600).default(90),
    })
    .prefault({}),
  /** IMPS phones as CPM devices. */
  gateway: gatewayConfig.prefault({}),
  /** Registration events (RFC 3680). */
  regEvent: z
    .strictObject({
      /** Seconds; the standard one is RFC 3680's. */
      expires: z
        .strictObject({
          /** Less is refused with 423 (RFC 6665 §4.2.1.1). */
          minimum: seconds(60),
          /** Who asks for more gets this. */
          maximum: seconds(600_000),
          /** Who does not say gets this. */
          standard: seconds(3_761),
        })
        .prefault({}),
      /** What documents after the first hold: everything, as 3GPP TS 24.229 wants, or what changed. */
      documents: z.enum(['full', 'partial']).default('full'),
      /** Seconds between two NOTIFYs of one subscription at least; RFC 3680 recommends 5, IMS tells at once. */
      interval: z.number().min(0).max(3_600).default(0),
      /** Subscriptions to one registration set. */
      perSet: z.int().min(1).max(10_000).default(256),
      /** Subscriptions altogether. */
      total: z.int().min(1).max(10_000_000).default(500_000),
    })
    .prefault({}),
  /** The core that this server stands behind without the role `core`. */
  foreignCore: z
    .strictObject({
      /** Where requests of our services and SUBSCRIBEs go; its address is trusted. */
      uri: z
        .string()
        .regex(/^sips?:[^;?<>\s]+$/, 'must be a SIP URI without parameters')
        .optional(),
      /** Our own URI, as whom we subscribe; `sip:parley@` the home domain unless given. */
      self: z
        .string()
        .regex(/^sips?:[^?<>\s]+$/, 'must be a SIP URI')
        .optional(),
      /** Seconds that subscriptions to registration events ask for. */
      expires: seconds(3_600),
      /** Users watched at most. */
      users: z.int().min(1).max(10_000_000).default(500_000),
    })
    .prefault({}),
  /** Service profiles: initial filter criteria that users share. The one named `default` is that of users without. */
  profiles: z.array(profileSchema).default([]),
  isc: z
    .strictObject({
      /** Milliseconds in which an application server must answer or send the request back, before its default handling applies. */
      patience: milliseconds(2_000),
      /** Third-party REGISTERs that wait for one server with all that the device said; those beyond say only how the user is registered. */
      waiting: z.number().int().min(1).max(1_000_000).default(10_000),
    })
    .prefault({}),
  http: z
    .strictObject({
      /** Console, admin API, metrics, and SIP over WebSocket at `/sip`. */
      listen: hostPort.default('127.0.0.1:8080'),
      /** Bearer token of the admin API; needed unless it listens on loopback. */
      token: z.string().min(16, 'must have at least 16 characters').optional(),
    })
    .prefault({}),
  imps: z
    .strictObject({
      ...impsConfig.shape,
      /** CSP over HTTP (`/csp`) and CIR polls (`/cir`). */
      listen: hostPort.default('127.0.0.1:8090'),
      /** CIR over TCP and UDP. */
      cirListen: hostPort.default('127.0.0.1:8091'),
      /** The home domain unless given. */
      domain: domain.optional(),
    })
    .prefault({}),
  msrp: msrpSettings,
  /** Subscribers made at start when they do not exist yet. */
  subscribers: z
    .array(
      subscriber
        .refine(({ password, aka }) => password !== undefined || aka !== undefined, 'needs password or aka')
        .refine(({ password, imps }) => password !== undefined || imps === undefined, {
          path: ['imps'],
          error: 'needs a password',
        }),
    )
    .default([]),
});

/** A configuration with every default filled in. */
export type Config = z.infer<typeof configSchema>;
