import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Path of a file or folder at the top of this package, wherever it is built or installed. */
export function inPackage(name: string, from: string = import.meta.dirname): string {
  if (existsSync(join(from, 'package.json'))) return join(from, name);
  if (dirname(from) === from) throw new Error('no package.json above');
  return inPackage(name, dirname(from));
}
