import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exercise } from '../../fuzz/exercise-imps.js';
import { mutate } from '../../fuzz/mutate.js';
import { Random } from '../../fuzz/random.js';
import { impsSeeds } from '../../fuzz/seeds-imps.js';
import { impsWords } from '../../fuzz/words-imps.js';

const folder = resolve('test/fixtures/imps/malformed');

describe('whatever a phone sends', () => {
  it.each(readdirSync(folder))('%s holds the rules', async (name) => {
    await exercise(readFileSync(join(folder, name)));
  });

  it('as a message of each primitive in each syntax holds the rules', { timeout: 120_000 }, async () => {
    for (const input of impsSeeds()) await exercise(input);
  });

  it('as a mutant of those holds the rules', { timeout: 120_000 }, async () => {
    const random = new Random(20_260_101);
    const corpus = impsSeeds();
    for (let count = 0; count < 600; count++) {
      const input = mutate(random.pick(corpus), random, random.pick(corpus), impsWords);
      await expect(exercise(input), input.toString('hex')).resolves.toBeUndefined();
    }
  });
});
