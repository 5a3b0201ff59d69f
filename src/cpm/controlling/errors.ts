import { defineErrors, ParleyError } from '../../base/errors.js';

export const groupErrors = defineErrors({
  'group-list-missing': { sip: 400, http: 400, text: 'no recipient list', clause: 'RFC 5366 §4' },
  'group-list-malformed': {
    sip: 400,
    http: 400,
    text: 'the recipient list cannot be read',
    clause: 'RFC 4826 §3.2',
  },
  'group-list-empty': { sip: 403, http: 400, text: 'the recipient list names nobody', clause: 'RFC 5366 §4' },
  'group-list-too-long': {
    sip: 403,
    http: 400,
    text: 'more recipients than a group may have',
    clause: 'RFC 5366 §7',
  },
  'group-list-method': {
    sip: 400,
    http: 400,
    text: 'an entry of the recipient list asks for another method',
    clause: 'RFC 5368 §10',
  },
  'group-full': { sip: 486, http: 409, text: 'the group is full', clause: 'RFC 4575 §5.3.3' },
  'group-too-many': {
    sip: 486,
    http: 409,
    text: 'the member has as many sessions or subscriptions as it may',
    clause: 'RFC 4353 §4.6',
  },
  'group-too-many-new': {
    sip: 480,
    http: 429,
    text: 'the user has made as many groups as allowed in a minute',
    clause: 'RFC 3261 §21.4.18',
    retryAfter: 60,
  },
  'group-unknown': { sip: 404, http: 404, text: 'no such group', clause: 'RFC 3261 §21.4.5' },
  'group-exists': { sip: 403, http: 409, text: 'there is such a group', clause: 'RFC 4353 §5.1' },
  'group-moved': {
    sip: 480,
    http: 409,
    text: 'another node runs the group',
    clause: 'RFC 4353 §4.1',
  },
  'group-node-silent': {
    sip: 480,
    http: 504,
    text: 'the node that runs the group does not answer: look whether it was done',
  },
  'group-node-failed': { sip: 500, http: 502, text: 'the node that runs the group could not do it' },
  'group-not-a-member': {
    sip: 403,
    http: 403,
    text: 'not a member of the group',
    clause: 'RFC 4353 §4.6',
  },
  'group-not-allowed': {
    sip: 403,
    http: 403,
    text: 'the role does not allow this',
    clause: 'RFC 4353 §4.6',
  },
  'group-member-unknown': {
    sip: 404,
    http: 404,
    text: 'no such participant',
    clause: 'RFC 4353 §5.3',
  },
  'group-refer-malformed': {
    sip: 400,
    http: 400,
    text: 'Refer-To cannot be followed',
    clause: 'RFC 3515 §2.4.2',
  },
  'group-event-unknown': {
    sip: 489,
    http: 400,
    text: 'not the conference package',
    clause: 'RFC 6665 §4.2.1.1',
  },
  'group-not-acceptable': {
    sip: 406,
    http: 406,
    text: 'Accept leaves out application/conference-info+xml',
    clause: 'RFC 4575 §3.4',
  },
  'group-session-missing': {
    sip: 488,
    http: 400,
    text: 'no session description that a group can use',
    clause: 'RFC 3264 §5',
  },
  'group-method-unknown': {
    sip: 405,
    http: 405,
    text: 'a group does not do that',
    clause: 'RFC 3261 §21.4.6',
  },
});

/** A failure of group sessions, with its code checked by the compiler. */
export function groupError(
  code: keyof typeof groupErrors,
  detail?: string,
  options?: ErrorOptions,
): ParleyError {
  return new ParleyError(code, detail, options);
}
