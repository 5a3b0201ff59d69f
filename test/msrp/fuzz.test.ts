import { describe, expect, it } from 'vitest';
import { exercise } from '../fuzz/exercise-msrp.js';
import { mutate } from '../fuzz/mutate.js';
import { Random } from '../fuzz/random.js';
import { msrpSeeds } from '../fuzz/seeds-msrp.js';
import { msrpWords } from '../fuzz/words-msrp.js';

describe('MSRP', () => {
  it('keeps its rules with every fixture, and with what ever broke one', async () => {
    const seeds = msrpSeeds();
    expect(seeds.length).toBeGreaterThan(30);
    for (const seed of seeds) await exercise(seed);
  });

  it('keeps its rules with 2000 mutants of them', async () => {
    const seeds = msrpSeeds();
    const random = new Random(4975);
    for (let i = 0; i < 2000; i++) {
      const mutant = mutate(random.pick(seeds), random, random.pick(seeds), msrpWords);
      try {
        await exercise(mutant);
      } catch (error) {
        throw new Error(`mutant ${i}: ${JSON.stringify(mutant.toString('latin1'))}`, { cause: error });
      }
    }
  });
});
