import { readClientId, type ClientId } from '../address/client-id.js';
import { parseUserId, type UserId } from '../address/wv-address.js';
import { child, numberOf, textOf, textsOf, type Element } from '../codec/element.js';
import type { Origin } from '../context.js';
import { CspRefusal } from '../status.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { offeredSchemas, type DigestSchema } from './digest.js';

/** A Login-Request as it came, before anything is looked up. */
export interface LoginArrival {
  readonly version: CspVersion;
  readonly transactionId: string;
  /** Session-ID of the descriptor: how older clients ask for their session back. */
  readonly sessionId: string | undefined;
  readonly primitive: Element;
  readonly origin: Origin;
}

/** What a Login-Request says (document 004 §6.1.3). */
export interface LoginRequest {
  readonly version: CspVersion;
  readonly transactionId: string;
  /** Undefined when there is no legal User-ID: only a user known from the network may do without. */
  readonly user: UserId | undefined;
  readonly client: ClientId;
  readonly applicationId: string;
  readonly password: string | undefined;
  readonly digest: string | undefined;
  /** Undefined when no DigestSchema was given; empty when none is known. */
  readonly schemas: readonly DigestSchema[] | undefined;
  readonly sessionId: string | undefined;
  /** Seconds; undefined asks for an infinite time. */
  readonly timeToLive: number | undefined;
  readonly cookie: string;
  readonly answers: readonly Element[];
  readonly functions: Element | undefined;
  readonly capabilities: Element | undefined;
  readonly origin: Origin;
}

/** Longest SessionCookie (document 004, table 2). */
const LONGEST_COOKIE = 50;
const LONGEST_SECRET = 255;

/** @throws CspRefusal 400 when a mandatory element is missing, 402 when one is out of bounds */
export function readLogin(arrival: LoginArrival, homeDomain: string): LoginRequest {
  const { primitive, version, transactionId, origin } = arrival;
  const client = readClientId(primitive);
  if (!client) throw new CspRefusal(400, 'no ClientID');
  const cookie = textOf(primitive, 'SessionCookie')?.trim();
  if (cookie === undefined) throw new CspRefusal(400, 'no SessionCookie');
  if (cookie.length > LONGEST_COOKIE || !/^[\x21-\x7e]*$/.test(cookie))
    throw new CspRefusal(402, 'SessionCookie');
  const password = textOf(primitive, 'Password');
  const digest = textOf(primitive, 'DigestBytes');
  if ((password?.length ?? 0) > LONGEST_SECRET || (digest?.length ?? 0) > LONGEST_SECRET) {
    throw new CspRefusal(402, 'Password or DigestBytes');
  }
  const schemas = textsOf(primitive, 'DigestSchema');
  const is13 = version === '1.3';
  return {
    version,
    transactionId,
    user: parseUserId(textOf(primitive, 'UserID'), homeDomain),
    client,
    applicationId: is13 ? (textOf(primitive, 'ApplicationID')?.trim() ?? '') : '',
    password: password === '' ? undefined : password,
    digest: digest === '' ? undefined : digest,
    schemas: schemas.length === 0 ? undefined : offeredSchemas(schemas),
    sessionId: textOf(primitive, 'SessionID')?.trim() || arrival.sessionId,
    timeToLive: numberOf(primitive, 'TimeToLive'),
    cookie,
    answers: is13 ? (child(primitive, 'SystemMessageResponseList')?.children ?? []) : [],
    functions: is13 ? child(primitive, 'Functions') : undefined,
    capabilities: is13 ? child(primitive, 'CapabilityList') : undefined,
    origin,
  };
}
