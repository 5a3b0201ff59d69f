import { defineErrors } from '../../base/errors.js';

export const recordingErrors = defineErrors({
  'recording-folder': { sip: 500, http: 500, text: 'the folder of recordings cannot be used' },
  'recording-unknown': { sip: 404, http: 404, text: 'no such recording' },
});
