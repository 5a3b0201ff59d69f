import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const folder = resolve(import.meta.dirname, '../../fixtures/imps/samples');

/** Names of the sample messages, without extension: each is there as XML and as the WBXML octets of the same message. */
export const sampleNames: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith('.xml'))
  .map((file) => file.slice(0, -4))
  .sort();

export const sampleXml = (name: string): Buffer => readFileSync(join(folder, `${name}.xml`));

export const sampleWbxml = (name: string): Buffer =>
  Buffer.from(readFileSync(join(folder, `${name}.wbxml.hex`), 'latin1').replace(/\s/g, ''), 'hex');
