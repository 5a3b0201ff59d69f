import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/**
 * Translates what tests run in processes of their own, as far as it changed since the last time, without checking types;
 * vitest runs it once before all tests.
 */
export default function compile(): void {
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', import.meta.dirname], { stdio: 'inherit' });
}

/** @returns the JavaScript of a file that `test/tools/tsconfig.json` includes, as in `compiled('src/main.ts')`. */
export function compiled(file: string): string {
  const script = join(root, '.cache/compiled', file.replace(/\.ts$/, '.js'));
  if (!existsSync(script)) throw new Error(`test/tools/tsconfig.json does not include ${file}`);
  return script;
}
