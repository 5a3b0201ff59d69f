import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

it('what tests share registers no hook when it is loaded: of the files that share a process only the first would have it', () => {
  const shared = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
  );
  const hooked = shared.filter((file) =>
    /^(before|after)(Each|All)\(/m.test(readFileSync(join(root, file), 'utf8')),
  );
  expect(hooked).toEqual([]);
});
