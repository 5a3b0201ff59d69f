import type { StatusCode } from '../imps/index.js';

/** One line of the table: what one side says is what the other side hears. */
export interface StatusRow {
  readonly sip: number;
  readonly csp: StatusCode;
  /** When the phone hears it, in words of the documentation. */
  readonly meaning: string;
}

/** What a phone hears for the final answer to a request that was sent for it. Others: by class, {@link cspStatus}. */
export const toPhone: readonly StatusRow[] = [
  { sip: 200, csp: 200, meaning: 'delivered to a device' },
  { sip: 202, csp: 200, meaning: 'stored until a device registers' },
  { sip: 400, csp: 400, meaning: 'malformed' },
  { sip: 401, csp: 403, meaning: 'the gateway may not send for the user' },
  { sip: 403, csp: 403, meaning: 'refused by policy' },
  { sip: 404, csp: 531, meaning: 'nobody has the address' },
  { sip: 405, csp: 405, meaning: 'the service is not there' },
  { sip: 406, csp: 415, meaning: 'no content that the other side takes' },
  { sip: 407, csp: 403, meaning: 'the gateway may not send for the user' },
  { sip: 408, csp: 410, meaning: 'no answer in time' },
  { sip: 409, csp: 410, meaning: 'conflict' },
  { sip: 410, csp: 531, meaning: 'the address is gone' },
  { sip: 413, csp: 432, meaning: 'too large' },
  { sip: 414, csp: 402, meaning: 'the address is too long' },
  { sip: 415, csp: 415, meaning: 'the content is of a kind that is not taken' },
  { sip: 416, csp: 901, meaning: 'the address is of a kind that is not served' },
  { sip: 420, csp: 405, meaning: 'an extension is missing' },
  { sip: 421, csp: 405, meaning: 'an extension is missing' },
  { sip: 423, csp: 605, meaning: 'the time asked for is too short' },
  { sip: 428, csp: 403, meaning: 'an identity is missing' },
  { sip: 430, csp: 533, meaning: 'the connection to the device broke' },
  { sip: 433, csp: 532, meaning: 'anonymous senders are refused' },
  { sip: 436, csp: 403, meaning: 'the identity cannot be checked' },
  { sip: 437, csp: 403, meaning: 'the identity cannot be checked' },
  { sip: 438, csp: 403, meaning: 'the identity is wrong' },
  { sip: 439, csp: 500, meaning: 'an edge proxy is missing' },
  { sip: 469, csp: 405, meaning: 'the INFO package is unknown' },
  { sip: 470, csp: 403, meaning: 'consent is needed' },
  { sip: 480, csp: 533, meaning: 'no device is there' },
  { sip: 481, csp: 808, meaning: 'the session is over' },
  { sip: 482, csp: 410, meaning: 'the message goes in a circle' },
  { sip: 483, csp: 410, meaning: 'too many hops' },
  { sip: 484, csp: 901, meaning: 'the address is incomplete' },
  { sip: 485, csp: 901, meaning: 'the address is more than one user’s' },
  { sip: 486, csp: 538, meaning: 'the device refuses' },
  { sip: 487, csp: 410, meaning: 'withdrawn' },
  { sip: 488, csp: 415, meaning: 'the media are not taken' },
  { sip: 489, csp: 405, meaning: 'the event package is unknown' },
  { sip: 491, csp: 410, meaning: 'two changes at once' },
  { sip: 493, csp: 415, meaning: 'the content cannot be decrypted' },
  { sip: 494, csp: 403, meaning: 'a security agreement is missing' },
  { sip: 500, csp: 500, meaning: 'a server failed' },
  { sip: 501, csp: 501, meaning: 'not implemented' },
  { sip: 502, csp: 500, meaning: 'another network failed' },
  { sip: 503, csp: 503, meaning: 'overloaded or unreachable' },
  { sip: 504, csp: 504, meaning: 'another network did not answer' },
  { sip: 505, csp: 505, meaning: 'the version of SIP is unknown' },
  { sip: 513, csp: 432, meaning: 'too large' },
  { sip: 555, csp: 405, meaning: 'push notifications are not served' },
  { sip: 580, csp: 410, meaning: 'a precondition failed' },
  { sip: 600, csp: 538, meaning: 'the user refuses on all devices' },
  { sip: 603, csp: 538, meaning: 'the user refuses' },
  { sip: 604, csp: 531, meaning: 'the user exists nowhere' },
  { sip: 606, csp: 415, meaning: 'nothing that the user takes' },
  { sip: 607, csp: 532, meaning: 'the user does not want it' },
  { sip: 608, csp: 532, meaning: 'an analysis refused it' },
];

/** What a SIP user hears for what a phone, or the IMPS server for it, answers. Others: by class, {@link sipStatus}. */
export const fromPhone: readonly StatusRow[] = [
  { sip: 200, csp: 200, meaning: 'the phone has it, or it waits for its next poll' },
  { sip: 200, csp: 201, meaning: 'a part succeeded' },
  { sip: 202, csp: 202, meaning: 'accepted for later' },
  { sip: 202, csp: 203, meaning: 'accepted, a confirmation is open' },
  { sip: 400, csp: 400, meaning: 'malformed' },
  { sip: 403, csp: 401, meaning: 'not authorised' },
  { sip: 400, csp: 402, meaning: 'a parameter is wrong' },
  { sip: 403, csp: 403, meaning: 'forbidden' },
  { sip: 404, csp: 404, meaning: 'not found' },
  { sip: 405, csp: 405, meaning: 'the service is not there' },
  { sip: 403, csp: 409, meaning: 'wrong password' },
  { sip: 480, csp: 410, meaning: 'cannot be delivered' },
  { sip: 415, csp: 415, meaning: 'the content is of a kind that is not taken' },
  { sip: 481, csp: 423, meaning: 'the invitation is unknown' },
  { sip: 481, csp: 426, meaning: 'the message is unknown' },
  { sip: 413, csp: 432, meaning: 'too large for the phone' },
  { sip: 500, csp: 500, meaning: 'the server failed' },
  { sip: 501, csp: 501, meaning: 'not implemented' },
  { sip: 480, csp: 502, meaning: 'the session is lost' },
  { sip: 503, csp: 503, meaning: 'the service is not available' },
  { sip: 504, csp: 504, meaning: 'no answer in time' },
  { sip: 505, csp: 505, meaning: 'the version is not supported' },
  { sip: 480, csp: 506, meaning: 'the phone did not negotiate the service' },
  { sip: 480, csp: 507, meaning: 'too much waits for the user' },
  { sip: 404, csp: 516, meaning: 'the domain is not served' },
  { sip: 480, csp: 521, meaning: 'the user did not answer' },
  { sip: 404, csp: 531, meaning: 'no such user' },
  { sip: 403, csp: 532, meaning: 'the user blocked the sender' },
  { sip: 480, csp: 533, meaning: 'the user is not logged in' },
  { sip: 403, csp: 534, meaning: 'the user may not' },
  { sip: 603, csp: 538, meaning: 'the user refuses' },
  { sip: 480, csp: 541, meaning: 'forwarded elsewhere' },
  { sip: 480, csp: 542, meaning: 'its time is over' },
  { sip: 480, csp: 600, meaning: 'the session ended' },
  { sip: 480, csp: 601, meaning: 'the session was ended' },
  { sip: 480, csp: 604, meaning: 'the user is not logged in' },
  { sip: 404, csp: 800, meaning: 'no such group' },
  { sip: 403, csp: 809, meaning: 'the group rejects the user' },
  { sip: 403, csp: 810, meaning: 'no member of the group' },
  { sip: 425, csp: 811, meaning: 'the screen name is taken (nickname, RFC 7701 §10)' },
  { sip: 428, csp: 812, meaning: 'no private messages in the group (RFC 7701 §6)' },
  { sip: 428, csp: 813, meaning: 'no private messages to the user (RFC 7701 §6)' },
  { sip: 403, csp: 816, meaning: 'no right to do it' },
  { sip: 486, csp: 817, meaning: 'the group is full' },
  { sip: 500, csp: 900, meaning: 'several things failed' },
  { sip: 416, csp: 901, meaning: 'the address is wrong' },
];

const toCsp = new Map(toPhone.map(({ sip, csp }) => [sip, csp]));
const toSip = new Map(fromPhone.map(({ sip, csp }) => [csp, sip]));

/** The CSP status of a final SIP response; one that the table does not have counts as its class (RFC 3261 §8.1.3.2). */
export function cspStatus(sip: number): StatusCode {
  const known = toCsp.get(sip);
  if (known !== undefined) return known;
  if (sip < 300) return 200;
  if (sip < 400) return 901;
  return sip < 500 ? 400 : sip < 600 ? 500 : 538;
}

/** The SIP status of a CSP status; one that the table does not have counts as its class. */
export function sipStatus(csp: StatusCode): number {
  const known = toSip.get(csp);
  if (known !== undefined) return known;
  if (csp < 300) return 200;
  if (csp < 500) return 400;
  return csp < 600 ? 500 : csp < 700 ? 480 : 403;
}

/** The MSRP status (RFC 4975 §10) of what a message in a session got as SIP status. */
export function msrpStatus(sip: number): number {
  if (sip < 300) return 200;
  if (sip === 480 || sip === 413 || sip === 513) return 413;
  return sip === 400 || sip === 415 || sip === 481 ? sip : 403;
}
