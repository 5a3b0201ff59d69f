import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { errorCatalogue } from '../../src/base/errors.js';

const root = resolve(import.meta.dirname, '../..');

const cell = (text: string): string => text.replaceAll('|', '\\|');

function page(): string {
  const rows = [...errorCatalogue()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { sip, http, text, clause }]) =>
        `| \`${code}\` | ${sip} | ${http} | ${cell(text)} | ${clause ?? ''} |`,
    );
  return [
    '# Errors',
    '',
    'Every error that Parley answers with, by its stable code. The code stands in the decision trail, in the log, in answers of the',
    'admin API and in `parley trail`; the text begins the reason phrase of the SIP response.',
    '',
    'This page is written by its test: `npx vitest run test/docs/errors.test.ts -u`.',
    '',
    '| code | SIP | HTTP | text | clause |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
const catalogues = sources.filter((name) => name.endsWith('errors.ts'));

it('every code of the catalogue is that of some error', async () => {
  for (const file of catalogues) await import(pathToFileURL(join(root, 'src', file)).href);
  const code = sources
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
    .join('\n');
  // once in its catalogue, and where it is thrown
  expect([...errorCatalogue().keys()].filter((name) => code.split(`'${name}'`).length < 3)).toEqual([]);
});

it('the page of errors has every code of the catalogue as it is', async () => {
  for (const file of catalogues) await import(pathToFileURL(join(root, 'src', file)).href);
  await expect(page()).toMatchFileSnapshot(join(root, 'docs/errors.md'));
});
