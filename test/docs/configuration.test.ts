import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { variables } from '../../src/config/load.js';
import { configSchema } from '../../src/config/schema.js';
import { commentsOf, settingsOf, type Setting } from './settings.js';

const root = resolve(import.meta.dirname, '../..');
const comments = commentsOf(join(root, 'src/config/schema.ts'), 'configSchema');

const cell = (text: string): string => text.replaceAll('|', '\\|');
const code = (text: string): string => (text === '' ? '' : `\`${cell(text)}\``);

/** Settings that hold others and have a comment of their own have a row before those. */
function rows(settings: readonly Setting[], part: string): string[] {
  const seen = new Set([part]);
  return settings.flatMap(({ path, takes, preset }) => {
    const above = [...path.matchAll(/\[\](?=\.)|(?=\.)/g)]
      .map(({ index }) => path.slice(0, index))
      .filter((holder) => !seen.has(holder) && comments.has(holder));
    for (const holder of above) seen.add(holder);
    return [
      ...above.map((holder) => `| \`${holder}\` | | | ${cell(comments.get(holder)!)} |`),
      `| \`${path}\` | ${cell(takes)} | ${code(preset)} | ${cell(comments.get(path) ?? '')} |`,
    ];
  });
}

const table = (settings: readonly Setting[], part: string): string[] => [
  '| setting | takes | unless set | |',
  '| --- | --- | --- | --- |',
  ...rows(settings, part),
  '',
];

function page(): string {
  const settings = settingsOf(configSchema);
  const partOf = ({ path }: Setting): string => /^[^.[]+(?=[.[])/.exec(path)?.[0] ?? '';
  const parts = [...new Set(settings.map(partOf))].filter((part) => part !== '');
  return [
    '# Configuration',
    '',
    'Every setting of `parley.yaml`. A name with dots is one inside another (`sip.listen` is `listen` below `sip:`), `[]` is each entry of a',
    'list. Times are in seconds and sizes in octets unless something else is said. `parley check-config` names what cannot be used, by line.',
    '',
    'This page is written by its test: `npx vitest run test/docs/configuration.test.ts -u`.',
    '',
    '## Environment',
    '',
    'A variable wins over the file. A list is one text with commas.',
    '',
    '| variable | setting |',
    '| --- | --- |',
    ...Object.entries(variables).map(([name, { path }]) => `| \`${name}\` | \`${path.join('.')}\` |`),
    '| `PARLEY_CONFIG` | the file |',
    '',
    '## The server',
    '',
    ...table(
      settings.filter((setting) => partOf(setting) === ''),
      '',
    ),
    ...parts.flatMap((part) => [
      `## ${part}`,
      '',
      ...(comments.has(part) ? [comments.get(part)!, ''] : []),
      ...table(
        settings.filter((setting) => partOf(setting) === part),
        part,
      ),
    ]),
  ].join('\n');
}

it('the page of settings has every one as it is', async () => {
  await expect(page()).toMatchFileSnapshot(join(root, 'docs/configuration.md'));
});
