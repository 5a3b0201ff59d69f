import { defineErrors } from '../../base/errors.js';

export const drachtioErrors = defineErrors({
  'sip-drachtio-setting': { sip: 500, http: 400, text: 'not a drachtio-server' },
  'sip-drachtio-frame': { sip: 500, http: 502, text: 'the drachtio-server sent something that is no frame' },
  'sip-drachtio-lost': { sip: 503, http: 503, text: 'no connection to a drachtio-server' },
});
