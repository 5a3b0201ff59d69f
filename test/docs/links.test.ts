import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const pages = ['.', 'docs', 'docs/ladders', 'bench', 'sipp-scenarios'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

/** Anchors of a page's headings, as GitHub makes them. */
function anchors(page: string): string[] {
  const headings = readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** @returns the links of a page that lead nowhere. */
function broken(page: string): string[] {
  const links = readFileSync(join(root, page), 'utf8').matchAll(
    /\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)/g,
  );
  return [...links].flatMap(([link, file = '', anchor]) => {
    const target = file === '' ? join(root, page) : resolve(root, dirname(page), file);
    const there = existsSync(target) && (anchor === undefined || anchors(target).includes(anchor));
    return there ? [] : [`${page}: ${link}`];
  });
}

it('each link from one page of the documentation to another leads there', () => {
  expect(pages).toContain('README.md');
  expect(pages.flatMap(broken)).toEqual([]);
});
