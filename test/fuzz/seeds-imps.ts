import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ParleyError } from '../../src/base/errors.js';
import { textCoding, wbxmlCoding, writeMessage, xmlCoding } from '../../src/imps/codec/coding.js';
import { versions } from '../../src/imps/vocabulary/versions.js';
import { primitivesOf } from '../imps/tools/primitives.js';

const root = 'test/fixtures/imps';

const read = (folder: string, file: string): Buffer => {
  const octets = readFileSync(join(root, folder, file));
  return file.endsWith('.hex') ? Buffer.from(octets.toString('latin1').replace(/\s/g, ''), 'hex') : octets;
};

/** Samples, what earlier runs found, and every primitive in every version and syntax that can write it. */
export const impsSeeds = (): Buffer[] => [
  ...['samples', 'text', 'malformed'].flatMap((folder) =>
    readdirSync(join(root, folder)).map((file) => read(folder, file)),
  ),
  ...versions.flatMap((version) =>
    primitivesOf(version).flatMap((primitive) =>
      [wbxmlCoding, xmlCoding, textCoding].flatMap((coding) => {
        const sessionId = primitive.name === 'Login-Request' ? undefined : 's-7f3a';
        const transactions = [{ mode: 'Request', id: '8', primitive }] as const;
        const rest = { sessionType: 'Inband', poll: undefined, cir: undefined } as const;
        try {
          return [writeMessage({ version, sessionId, transactions, ...rest }, coding)];
        } catch (error) {
          if (error instanceof ParleyError) return []; // the plain text syntax has no code for it
          throw error;
        }
      }),
    ),
  ),
];
