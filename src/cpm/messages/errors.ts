import { defineErrors } from '../../base/errors.js';

export const messageErrors = defineErrors({
  'cpm-mailbox-full': { sip: 480, http: 409, text: 'too many messages wait for the recipient' },
  'cpm-message-too-large': { sip: 513, http: 413, text: 'the message is larger than pager mode allows' },
  'cpm-message-malformed': { sip: 400, http: 400, text: 'the message/cpim body is malformed' },
  'cpm-no-identity': { sip: 403, http: 403, text: 'no asserted identity' },
  'cpm-message-unknown': { sip: 404, http: 404, text: 'no such deferred message' },
});
