import { defineErrors } from '../../base/errors.js';

export const loadErrors = defineErrors({
  'load-bad-option': { sip: 500, http: 400, text: 'the load cannot be run so' },
  'load-sipp-missing': {
    sip: 500,
    http: 500,
    text: 'SIPp is not installed (Debian: apt-get install sip-tester)',
  },
  'load-sipp-failed': { sip: 500, http: 500, text: 'SIPp could not run' },
  'load-not-prepared': { sip: 500, http: 500, text: 'the devices of the scenario could not register' },
});
