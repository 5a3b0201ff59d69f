import { defineErrors } from '../../base/errors.js';

export const largeMessageErrors = defineErrors({
  'large-message-offer': {
    sip: 488,
    http: 400,
    text: 'no offer of MSRP in which one message can be received',
    clause: 'RFC 4975 §8.2',
  },
  'large-message-size': { sip: 403, http: 413, text: 'larger than a large message may be' },
});
