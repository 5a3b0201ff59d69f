import { z } from 'zod';

const seconds = z.number().int().nonnegative();
const endpoint = z.string().regex(/^(\[[^\]]+\]|[^:]+):\d{1,5}$/, 'host:port');

const plainTextCode = z.string().regex(/^[A-Z]{2}$/, 'two capital letters');

const port = z.number().int().min(1).max(65_535);

const smppConfig = z.strictObject({
  /** Of the short message service centre. */
  host: z.string(),
  /** Its port. */
  port: port.default(2775),
  /** Whether the connection is TLS. */
  tls: z.boolean().default(false),
  /** As whom Parley binds (SMPP 3.4 §4.1.5). */
  systemId: z.string().max(15),
  /** At most 8 octets in SMPP 3.4; never logged. */
  password: z.string().max(64).default(''),
  /** Kind of system, where the centre asks for one. */
  systemType: z.string().max(12).default(''),
  /** The service's own number, which phones write to. */
  address: z.string().min(1).max(20),
  /** Type of that number: 0 unknown, 1 international, 3 network specific, 5 alphanumeric (SMPP 3.4 §5.2.5). */
  addressTon: z.number().int().min(0).max(6).default(0),
  /** Port of phones for CIR (IANA: wv-csp-sms-cir). */
  cirPort: port.default(3716),
  /** How a message of several parts is split: by the letters of the plain text syntax, or by user data headers. */
  segmentation: z.enum(['letters', 'headers']).default('letters'),
  /** Believes the number that a short message comes from, as that of a trusted proxy. */
  trustSender: z.boolean().default(false),
  /** Submissions without an answer. */
  window: z.number().int().positive().default(10),
  /** Those that wait behind them. */
  queue: z.number().int().positive().default(10_000),
});

const pushProxyConfig = z.strictObject({
  /** Where push requests are posted. */
  url: z.string().url(),
  /** What stands behind `@` in addresses and push IDs. */
  domain: z.string().default('parley.invalid'),
  /** Of HTTP basic authentication there. */
  user: z.string().optional(),
  /** Never logged. */
  password: z.string().optional(),
});

/** Configuration of the IMPS role. Times are seconds, sizes octets. */
export const impsConfig = z.strictObject({
  /** CSP over HTTP (`/csp`) and CIR polls (`/cir`). */
  listen: endpoint.default('127.0.0.1:8090'),
  /** PEM files that turn the HTTP listener into HTTPS; CIR polls then need `cirHttpListen`. */
  tls: z
    .strictObject({
      /** The private key. */
      key: z.string(),
      /** The certificate, with those between it and its authority. */
      cert: z.string(),
    })
    .optional(),
  /** CSP and CIR over SMS, and WAP push where there is no push proxy: a short message service centre (SMPP 3.4). */
  smpp: smppConfig.optional(),
  /** WAP push by PAP: CIR and offline notifications with the bearers WAPSMS and WAPUDP. */
  pushProxy: pushProxyConfig.optional(),
  /** CIR over TCP and UDP. */
  cirListen: endpoint.default('127.0.0.1:8091'),
  /** A listener for CIR polls alone, which always are HTTP without TLS; without it the one of `listen` takes them. */
  cirHttpListen: endpoint.optional(),
  /** URL that clients are told instead of the one listened on, behind a NAT. */
  publicHttp: z.string().url().optional(),
  /** HOST:PORT that clients are told for CIR over TCP and UDP. */
  publicCir: endpoint.optional(),
  /** Where CIR polls reach Parley, without path; `publicHttp` is taken where it is not https. */
  publicCirHttp: z
    .string()
    .regex(/^http:\/\/[^/?#]+\/?$/, 'http://host:port')
    .optional(),
  /** Domain of the users of this server. */
  domain: z.string().toLowerCase().default('ims.test'),
  /** What clients are told of the service (Service-Response). */
  serviceProvider: z
    .strictObject({
      /** Its name. */
      name: z.string().default('Parley'),
      /** A few words. */
      description: z.string().default('Instant messaging and presence'),
      /** A page about it. */
      url: z.string().default('http://127.0.0.1:8080/'),
    })
    .prefault({}),
  /** Where a map of a position is; the default is the position itself (RFC 5870). */
  mapUrl: z.string().default('geo:{latitude},{longitude}'),
  /**
   * Codes of the plain text syntax, by the name of the primitive or element, in place of Parley's own
   * (`vocabulary/plain-text.ts` says which are established).
   */
  plainText: z
    .strictObject({
      /** Of primitives. */
      primitives: z.record(z.string(), plainTextCode).default({}),
      /** Of elements. */
      elements: z.record(z.string(), plainTextCode).default({}),
    })
    .prefault({}),
  /** Octets of one request. */
  bodyLimit: z.number().int().positive().default(1_048_576),
  /** How long a request may take to arrive whole. */
  requestTimeout: seconds.default(30),
  /** Addresses of proxies whose MSISDN headers are believed. */
  trustedProxies: z.array(z.string()).default([]),
  /** HTTP headers by which these proxies assert the IMEI of a handset; none is established. */
  imeiHeaders: z
    .array(
      z
        .string()
        .toLowerCase()
        .regex(/^[a-z0-9-]{1,64}$/, 'must be a header name'),
    )
    .default([]),
  /** Bounds of the Keep-Alive-Time that clients may ask for. */
  keepAlive: z
    .strictObject({
      /** Who asks for less gets this. */
      min: seconds.default(60),
      /** Who asks for more gets this. */
      max: seconds.default(7200),
    })
    .prefault({}),
  login: z
    .strictObject({
      /** Schemas offered in this order. */
      schemas: z.array(z.enum(['MD5', 'SHA', 'MD4'])).default(['MD5', 'SHA', 'MD4']),
      /** Answers a password in the clear with 401 and a challenge. */
      requireDigest: z.boolean().default(false),
      /** How long the nonce of a 4-way login may be answered. */
      challengeLifetime: seconds.default(120),
      /** Phones and applications of one user that are logged in at once. */
      sessionsPerUser: z.number().int().positive().default(8),
      /** A client that authenticates afresh takes over its own session when that was silent so long; 0 never. */
      replaceSilentAfter: seconds.default(0),
      /** Wrong passwords from one address for one user before logins are put off. */
      failureLimit: z.number().int().positive().default(10),
      /** The same from all addresses together; one that a client of the user logged in from before is not put off. */
      userFailureLimit: z.number().int().positive().default(100),
      /** Within which wrong passwords count. */
      failureWindow: seconds.default(300),
    })
    .prefault({}),
  autoRegistration: z
    .strictObject({
      /** Who becomes a user by logging in: nobody, numbers that a trusted proxy asserts, or anybody. */
      policy: z.enum(['off', 'network', 'open']).default('off'),
      /** Makes a password and sends it, instead of keeping the one of the first login. */
      makePassword: z.boolean().default(false),
      /** Questions to be answered before the service may be used; each is answered by its first option. */
      questions: z
        .array(
          z.strictObject({
            /** By which its answer is kept. */
            id: z.string(),
            /** What the user reads. */
            text: z.string(),
            /** Answers to choose from. */
            options: z.array(z.string()).min(1),
            /** What the user must type besides, as a verification. */
            key: z.string().optional(),
          }),
        )
        .default([]),
      /** What tells a user that the registration is complete (document 004 §6.2). */
      welcome: z.string().min(1).default('Your registration is complete. The service is ready to be used.'),
    })
    .prefault({}),
  polling: z
    .strictObject({
      /** Seconds between two polls of a client, at least. */
      min: seconds.default(5),
      /** A server request without an answer is sent again after so long. */
      repeatAfter: seconds.default(60),
      /** Server requests that may wait for an answer of one session. */
      inFlight: z.number().int().positive().default(10),
      /** Lets an otherwise empty reply carry the next server request; clients in the field only look for Poll T. */
      piggyBack: z.boolean().default(false),
    })
    .prefault({}),
  messages: z
    .strictObject({
      /** How long a message waits whose sender does not say. */
      defaultValidity: seconds.default(7 * 86_400),
      /** Who asks for more gets this. */
      maxValidity: seconds.default(30 * 86_400),
      /** Messages that may wait for one user. */
      waitingLimit: z.number().int().positive().default(100_000),
      /** Whether messages to users who are not logged in wait; else they are refused. */
      storeOffline: z.boolean().default(true),
      /** Recipients of one message or invitation. */
      recipientLimit: z.number().int().positive().default(200),
    })
    .prefault({}),
  /** Which of two sessions comes first: the one with the larger or with the smaller priority. */
  priorityOrder: z.enum(['larger-first', 'smaller-first']).default('larger-first'),
  /** Tells a phone that is not logged in that something waits (WVON). */
  offlineNotification: z
    .strictObject({
      /** False tells none. */
      enabled: z.boolean().default(true),
      /** A phone that did not come is told again after so long. */
      repeatAfter: seconds.default(86_400),
    })
    .prefault({}),
  limits: z
    .strictObject({
      /** Contact lists of one user. */
      contactLists: z.number().int().positive().default(50),
      /** Contacts of one list. */
      contacts: z.number().int().positive().default(500),
      /** Groups that one user may own. */
      groupsPerUser: z.number().int().positive().default(50),
      /** Users who are in a group at once. */
      joinedUsers: z.number().int().positive().default(500),
      /** Members of a group. */
      groupMembers: z.number().int().positive().default(1000),
      /** Entries of a block, grant or reject list. */
      accessList: z.number().int().positive().default(1000),
      /** Users and contact lists for which a user may say what they see. */
      attributeLists: z.number().int().positive().default(1000),
      /** Results that a search keeps. */
      searchHits: z.number().int().positive().default(1000),
      /** Results that one answer carries. */
      searchPage: z.number().int().positive().default(50),
      /** Server requests that wait for a client, messages apart; the oldest give way to new ones. */
      serverRequests: z.number().int().positive().default(1000),
    })
    .prefault({}),
});

export type ImpsConfig = z.infer<typeof impsConfig>;
/** Configuration as it is written: everything may be left out. */
export type ImpsConfigInput = z.input<typeof impsConfig>;
