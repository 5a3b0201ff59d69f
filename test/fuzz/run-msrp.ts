/**
 * Coverage-guided fuzzing of MSRP: the parser, CPIM, session descriptions, and a node with sessions, joined sessions and a
 * relay behind two connections.
 *
 *     npm run fuzz:msrp [-- inputs [seed]]
 *
 * The rules are in `exercise-msrp.ts`.
 */
import { fuzz } from './campaign.js';
import { msrpSeeds } from './seeds-msrp.js';
import { msrpWords } from './words-msrp.js';

await fuzz({
  exercise: 'exercise-msrp.js',
  seeds: msrpSeeds(),
  words: msrpWords,
  crashes: 'test/msrp/fixtures/malformed',
});
