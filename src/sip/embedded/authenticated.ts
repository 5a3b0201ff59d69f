import { ParleyError } from '../../base/errors.js';
import { parseChallenge } from '../auth/challenge.js';
import { DigestClient } from '../auth/digest-client.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Credentials } from '../stack.js';
import { sendRequest, type Send } from './client.js';
import type { Sending } from './outgoing.js';

/** A request as it was sent last, and its final response. */
export interface Exchange {
  readonly request: SipRequest;
  readonly response: SipResponse;
}

/** Who asks: a server by 401, a proxy by 407 (RFC 3261 §22.2, §22.3). */
const askers = [
  { challenge: 'WWW-Authenticate', answer: 'Authorization', info: 'Authentication-Info' },
  { challenge: 'Proxy-Authenticate', answer: 'Proxy-Authorization', info: 'Proxy-Authentication-Info' },
] as const;

/** Challenged once by a server and once by a proxy before it, each perhaps with a nonce gone stale. */
const MAX_ATTEMPTS = 4;
const MAX_REMEMBERED = 1_000;

/** A realm whose challenge was answered. */
interface Realm {
  readonly name: string;
  readonly answer: string;
  client: DigestClient;
  /** Its nonce came with an earlier exchange. */
  remembered: boolean;
}

/**
 * Answers challenges of others, and remembers their nonces by credentials and place, so that later requests are signed
 * before they are asked (RFC 7616 §3.6).
 */
export class Authorizations {
  /** Oldest first. */
  readonly #realms = new Map<string, Realm[]>();

  /** What is known for that place; kept for the next exchange. */
  of(credentials: Credentials, place: string): Realm[] {
    const key = `${credentials.username}\n${credentials.password}\n${place}`;
    const realms = this.#realms.get(key) ?? [];
    this.#realms.delete(key);
    this.#realms.set(key, realms);
    if (this.#realms.size > MAX_REMEMBERED) this.#realms.delete(this.#realms.keys().next().value ?? '');
    for (const realm of realms) realm.remembered = true;
    return realms;
  }
}

export interface AuthenticatingSending extends Sending {
  readonly authorizations: Authorizations;
}

/**
 * Sends a request; with credentials, answers the challenges to it (RFC 3261 §22.2, §22.3).
 * @param make builds the request for each attempt, with a CSeq of its own.
 * @returns the last attempt; its response is the 401 or 407 when the credentials were refused.
 */
export async function sendAuthenticated(
  sending: AuthenticatingSending,
  make: () => SipRequest,
  send: Send,
  credentials: Credentials | undefined,
): Promise<Exchange> {
  let request = make();
  if (!credentials) return { request, response: await sendRequest(sending, request, send) };
  const realms = sending.authorizations.of(credentials, placeOf(request));
  for (let attempt = 1; ; attempt++) {
    sign(request, realms);
    const response = await sendRequest(sending, request, send);
    const asked = response.status === 401 || response.status === 407;
    if (!asked) followInfo(sending, request, response, realms);
    const over = !asked || attempt === MAX_ATTEMPTS || send.stopped?.() === true;
    if (over || !takeUp(response, realms, credentials)) return { request, response };
    request = make();
  }
}

/** Moves on to the next nonce that the server or proxy gives, and checks that it knows the password (RFC 7616 §3.5). */
function followInfo(
  sending: Sending,
  request: SipRequest,
  response: SipResponse,
  realms: readonly Realm[],
): void {
  for (const { info, answer } of askers) {
    const value = response.get(info);
    const [realm, ...others] = realms.filter((known) => known.answer === answer);
    // the field names no realm
    if (value === undefined || !realm || others.length > 0) continue;
    const { method, uri, body } = request;
    if (!realm.client.confirmed(value, { method, uri, body }, response.body))
      sending.log.warn({ callId: request.callId }, 'a server could not prove that it knows the password');
  }
}

/** Whose challenges to expect: the server that the request goes to first. */
function placeOf(request: SipRequest): string {
  return request.headers.list('Route')[0] ?? request.uri.replace(/^(sips?:)[^@]*@/i, '$1');
}

function sign(request: SipRequest, realms: readonly Realm[]): void {
  const { method, uri, body } = request;
  for (const { client, answer } of realms) {
    const value = client.sign({ method, uri, body });
    if (value !== undefined) request.headers.append(answer, value);
  }
}

/** Takes up all challenges of a response. @returns false when there is none that could be answered anew. */
function takeUp(response: SipResponse, realms: Realm[], credentials: Credentials): boolean {
  let any = false;
  for (const { challenge, answer } of askers) {
    const byRealm = new Map<string, string[]>();
    for (const value of response.headers.lines(challenge)) {
      const name = realmOf(value);
      if (name !== undefined) byRealm.set(name, [...(byRealm.get(name) ?? []), value]);
    }
    for (const [name, values] of byRealm) any = takeUpRealm(realms, name, answer, values, credentials) || any;
  }
  return any;
}

function takeUpRealm(
  realms: Realm[],
  name: string,
  answer: string,
  values: readonly string[],
  credentials: Credentials,
): boolean {
  let realm = realms.find((known) => known.name === name && known.answer === answer);
  // a remembered nonce that is refused proves nothing about the password
  if (realm?.remembered === true) [realm.client, realm.remembered] = [new DigestClient(credentials), false];
  if (!realm) {
    realm = { name, answer, client: new DigestClient(credentials), remembered: false };
    realms.push(realm);
  }
  try {
    return realm.client.challenged(values);
  } catch (error) {
    if (error instanceof ParleyError) return false;
    throw error;
  }
}

function realmOf(challenge: string): string | undefined {
  try {
    return parseChallenge(challenge)?.realm;
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}
