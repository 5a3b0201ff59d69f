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
  { sip: 204, csp: 200, meaning: 'delivered, and no word with it' },
  { sip: 300, csp: 901, meaning: 'the address is several' },
  { sip: 301, csp: 901, meaning: 'the address is another one now' },
  { sip: 302, csp: 901, meaning: 'the address is another one for a while' },
  { sip: 305, csp: 901, meaning: 'only by way of a proxy' },
  { sip: 380, csp: 901, meaning: 'only by another service' },
  { sip: 400, csp: 400, meaning: 'malformed' },
  { sip: 401, csp: 403, meaning: 'the gateway may not send for the user' },
  { sip: 402, csp: 403, meaning: 'payment is wanted' },
  { sip: 403, csp: 403, meaning: 'refused by policy' },
  { sip: 404, csp: 531, meaning: 'nobody has the address' },
  { sip: 405, csp: 405, meaning: 'the service is not there' },
  { sip: 406, csp: 415, meaning: 'no content that the other side takes' },
  { sip: 407, csp: 403, meaning: 'the gateway may not send for the user' },
  { sip: 408, csp: 410, meaning: 'no answer in time' },
  { sip: 410, csp: 531, meaning: 'the address is gone' },
  { sip: 412, csp: 410, meaning: 'the state is not what was supposed' },
  { sip: 413, csp: 432, meaning: 'too large' },
  { sip: 414, csp: 402, meaning: 'the address is too long' },
  { sip: 415, csp: 415, meaning: 'the content is of a kind that is not taken' },
  { sip: 416, csp: 901, meaning: 'the address is of a kind that is not served' },
  { sip: 417, csp: 901, meaning: 'the resource priority is unknown' },
  { sip: 420, csp: 405, meaning: 'an extension is missing' },
  { sip: 421, csp: 405, meaning: 'an extension is missing' },
  { sip: 422, csp: 605, meaning: 'the session timer asked for is too short' },
  { sip: 423, csp: 605, meaning: 'the time asked for is too short' },
  { sip: 424, csp: 400, meaning: 'the location is malformed' },
  { sip: 425, csp: 400, meaning: 'a header field of the alert is bad' },
  { sip: 428, csp: 403, meaning: 'an identity is missing' },
  { sip: 429, csp: 403, meaning: 'the referrer is not named' },
  { sip: 430, csp: 533, meaning: 'the connection to the device broke' },
  { sip: 433, csp: 532, meaning: 'anonymous senders are refused' },
  { sip: 436, csp: 403, meaning: 'the identity cannot be checked' },
  { sip: 437, csp: 403, meaning: 'the identity cannot be checked' },
  { sip: 438, csp: 403, meaning: 'the identity is wrong' },
  { sip: 439, csp: 500, meaning: 'an edge proxy is missing' },
  { sip: 440, csp: 410, meaning: 'too many branches' },
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
  { sip: 400, csp: 420, meaning: 'the transaction is unknown' },
  { sip: 403, csp: 422, meaning: 'the session is somebody else’s' },
  { sip: 481, csp: 423, meaning: 'the invitation is unknown' },
  { sip: 400, csp: 424, meaning: 'the search is unknown' },
  { sip: 400, csp: 425, meaning: 'the search has no such page' },
  { sip: 481, csp: 426, meaning: 'the message is unknown' },
  { sip: 403, csp: 427, meaning: 'the sender is another user' },
  { sip: 403, csp: 428, meaning: 'the sender is another client' },
  { sip: 400, csp: 429, meaning: 'the group is not named' },
  { sip: 413, csp: 432, meaning: 'too large for the phone' },
  { sip: 403, csp: 450, meaning: 'the application is another one' },
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
  { sip: 400, csp: 536, meaning: 'too many hits' },
  { sip: 400, csp: 537, meaning: 'the search is too broad' },
  { sip: 603, csp: 538, meaning: 'the user refuses' },
  { sip: 480, csp: 541, meaning: 'forwarded elsewhere' },
  { sip: 480, csp: 542, meaning: 'its time is over' },
  { sip: 403, csp: 543, meaning: 'no common way to hash the password' },
  { sip: 400, csp: 562, meaning: 'the search is malformed' },
  { sip: 480, csp: 600, meaning: 'the session ended' },
  { sip: 480, csp: 601, meaning: 'the session was ended' },
  { sip: 403, csp: 603, meaning: 'already logged in' },
  { sip: 480, csp: 604, meaning: 'the user is not logged in' },
  { sip: 400, csp: 605, meaning: 'a value is not taken' },
  { sip: 480, csp: 606, meaning: 'some services are not there' },
  { sip: 404, csp: 700, meaning: 'no such contact list' },
  { sip: 403, csp: 701, meaning: 'the contact list is there already' },
  { sip: 400, csp: 702, meaning: 'a property of the user is wrong' },
  { sip: 400, csp: 750, meaning: 'a presence attribute is wrong' },
  { sip: 400, csp: 751, meaning: 'a presence value is wrong' },
  { sip: 400, csp: 752, meaning: 'a property of the contact list is wrong' },
  { sip: 403, csp: 753, meaning: 'too many contact lists' },
  { sip: 403, csp: 754, meaning: 'too many contacts' },
  { sip: 403, csp: 755, meaning: 'too many attribute lists' },
  { sip: 404, csp: 800, meaning: 'no such group' },
  { sip: 403, csp: 801, meaning: 'the group is there already' },
  { sip: 403, csp: 803, meaning: 'the group is not open to the user' },
  { sip: 400, csp: 806, meaning: 'a property of the group is wrong' },
  { sip: 403, csp: 807, meaning: 'in the group already' },
  { sip: 481, csp: 808, meaning: 'not in the group' },
  { sip: 403, csp: 809, meaning: 'the group rejects the user' },
  { sip: 403, csp: 810, meaning: 'no member of the group' },
  { sip: 403, csp: 811, meaning: 'the screen name is taken' },
  { sip: 403, csp: 812, meaning: 'no private messages in the group' },
  { sip: 403, csp: 813, meaning: 'no private messages to the user' },
  { sip: 403, csp: 814, meaning: 'too many groups' },
  { sip: 403, csp: 816, meaning: 'no right to do it' },
  { sip: 486, csp: 817, meaning: 'the group is full' },
  { sip: 501, csp: 821, meaning: 'no history is kept' },
  { sip: 480, csp: 824, meaning: 'gone from the group by its logout' },
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
