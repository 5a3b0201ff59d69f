import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { routes } from '../../src/imps/dispatcher.js';
import { tokenTables } from '../../src/imps/vocabulary/tables.js';
import { versions } from '../../src/imps/vocabulary/versions.js';

const root = resolve(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/imps-conformance.md'), 'utf8');

describe('the page of conformance', () => {
  it('names only files that are there', () => {
    const named = [...page.matchAll(/`([\w./-]+(?:\.ts|\/))`/g)].map(([, path]) => path!);
    expect(named.length).toBeGreaterThan(50);
    const missing = named.filter((path) => {
      const places = /^(?:src|test)\//.test(path)
        ? [path]
        : [join('src/imps', path), join('test/imps', path)];
      return !places.some((place) => existsSync(join(root, place)));
    });
    expect(missing).toEqual([]);
  });

  it('has every row of the table of servers in document 004', () => {
    const items = Array.from({ length: 20 }, (_, index) => `SAP-S-${index + 1}`).concat('SAP-C-22');
    for (const item of items) expect(page, item).toContain(`| ${item} |`);
  });

  it('names in each row primitives that there are, and tests', () => {
    const rows = [...page.matchAll(/^\| (SAP-[SC]-\d+) \|(.*)\|$/gm)];
    expect(rows).toHaveLength(21);
    for (const [, item, rest] of rows) {
      const cells = rest!.split(' | ');
      const primitives = [...cells[1]!.matchAll(/`([A-Z][\w-]+)`/g)].map(([, name]) => name!);
      expect(primitives.length, item).toBeGreaterThan(0);
      const unknown = primitives.filter((name) =>
        versions.every((version) => !tokenTables[version].tokens.has(name)),
      );
      expect(unknown, item).toEqual([]);
      expect(cells.at(-1), item).toMatch(/\.test\.ts`/);
    }
  });

  it('may say so: every primitive that a phone may ask for stands in a test', () => {
    const folder = join(root, 'test/imps');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    const tests = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
    expect(Object.keys(routes).filter((name) => !tests.includes(`'${name}'`))).toEqual([]);
  });

  it('names every primitive that a phone may ask for', () => {
    const services = page.slice(page.indexOf('## Services'), page.indexOf('## Bad input'));
    const missing = Object.keys(routes)
      .map((name) => name.replace(/-Request$/, ''))
      .filter((name) => !services.includes(name));
    expect(missing).toEqual([]);
  });
});
