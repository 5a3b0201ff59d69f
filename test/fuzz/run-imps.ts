/**
 * Coverage-guided fuzzing of the CSP decoders (WBXML, XML, plain text), user data of short messages, and the
 * dispatcher behind them.
 *
 *     npm run fuzz:imps [-- inputs [seed]]
 *
 * The rules are in `exercise-imps.ts`.
 */
import { fuzz } from './campaign.js';
import { impsSeeds } from './seeds-imps.js';
import { impsWords } from './words-imps.js';

await fuzz({
  exercise: 'exercise-imps.js',
  seeds: impsSeeds(),
  words: impsWords,
  crashes: 'test/fixtures/imps/malformed',
});
