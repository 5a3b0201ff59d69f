import { defineErrors } from '../../base/errors.js';

const CLAUSE = 'OMA CPM §5.2.3.1.1';

export const participatingErrors = defineErrors({
  'cpm-not-entitled': { sip: 403, http: 403, text: 'the user may not use this service', clause: CLAUSE },
  'cpm-forged-instance': {
    sip: 403,
    http: 403,
    text: 'the Instance ID is none of the sending device',
    clause: 'OMA CPM §5.1.1.3',
  },
  'cpm-blocked-by-sender': {
    sip: 403,
    http: 403,
    text: 'the sender has blocked the recipient',
    clause: CLAUSE,
  },
  'cpm-blocked': { sip: 603, http: 403, text: 'the recipient declines', clause: CLAUSE },
  'cpm-blocked-forbidden': { sip: 403, http: 403, text: 'the recipient does not allow it', clause: CLAUSE },
  'cpm-do-not-disturb': { sip: 480, http: 409, text: 'the recipient is not to be disturbed', clause: CLAUSE },
  'cpm-replaced-device': {
    sip: 480,
    http: 409,
    text: 'the device of the session to replace cannot be addressed alone',
    clause: 'OMA CPM Figure 9, RFC 5627 §6.1',
  },
  'cpm-too-many-sessions': { sip: 486, http: 409, text: 'the user has as many sessions as allowed' },
  'cpm-too-many-messages': { sip: 403, http: 429, text: 'the user has sent as many messages as allowed' },
  'cpm-size-exceeded': { sip: 403, http: 413, text: 'larger than the user may send or get' },
  'cpm-offer-unacceptable': {
    sip: 488,
    http: 400,
    text: 'no usable offer of MSRP',
    clause: 'RFC 4975 §8.2',
  },
});
