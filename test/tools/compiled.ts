import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '../..');
const out = join(root, '.cache/compiled');

const modifiedAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/**
 * Gives a child process something that it can run: translates the TypeScript of `src/` and of `extra`, as far as it
 * changed since the last time, without checking types.
 * @param extra files that are wanted besides, relative to the project.
 * @returns finds the JavaScript of a file, as in `js('src/main.ts')`.
 */
export function compiled(...extra: readonly string[]): (file: string) => string {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => join('src', file));
  const js = (file: string): string => join(out, file.replace(/\.ts$/, '.js'));
  for (const file of [...sources, ...extra]) {
    const source = join(root, file);
    if (modifiedAt(js(file)) > modifiedAt(source)) continue;
    const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
      fileName: file,
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        inlineSourceMap: true,
      },
    });
    mkdirSync(dirname(js(file)), { recursive: true });
    // another test process may be doing the same
    const partial = `${js(file)}.${process.pid}`;
    writeFileSync(partial, outputText);
    renameSync(partial, js(file));
  }
  return js;
}
