import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { routes } from '../../src/imps/dispatcher.js';

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

  it('names every primitive that a phone may ask for', () => {
    const services = page.slice(page.indexOf('## Services'), page.indexOf('## Bad input'));
    const missing = Object.keys(routes)
      .map((name) => name.replace(/-Request$/, ''))
      .filter((name) => !services.includes(name));
    expect(missing).toEqual([]);
  });
});
