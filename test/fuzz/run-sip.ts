/**
 * Coverage-guided fuzzing of the SIP message parser, its decoders and the stream framer.
 *
 *     npm run fuzz:sip [-- inputs [seed]]
 *
 * The rules are in `exercise-sip.ts`.
 */
import { fixtures, fuzz } from './campaign.js';
import { sipWords } from './words-sip.js';

await fuzz({
  exercise: 'exercise-sip.js',
  seeds: fixtures('rfc4475', 'cpm', 'sip-malformed', 'sip-fields'),
  words: sipWords,
  crashes: 'test/fixtures/sip-malformed',
});
