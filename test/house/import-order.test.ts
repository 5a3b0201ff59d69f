import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/** A file may import from its own row and the rows above it (design, section 3). Row 0 is ours: clock, errors, trail, log. */
const rows: Record<string, number> = {
  base: 0,
  identity: 1,
  sip: 1,
  msrp: 1,
  store: 1,
  registrar: 2,
  subscriptions: 2,
  'reg-event': 2,
  imps: 2,
  core: 3,
  cpm: 3,
  gateway: 4,
  http: 5,
  cli: 5,
  config: 5,
  app: 6,
  'app.ts': 6,
  'main.ts': 6,
};
/** Folders that a folder of the same row must not know. */
const strangers: Record<string, string[]> = {
  imps: ['sip', 'registrar', 'subscriptions', 'reg-event', 'msrp'],
  msrp: ['sip'],
  store: ['sip', 'msrp'],
};

const root = resolve(import.meta.dirname, '../../src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = /(?:import|export)\s[^'"]*?from\s+'(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)/g;
const room = (file: string): string => file.split('/')[0]!;

describe('the house', () => {
  it('has a row for every folder of src', () => {
    expect([...new Set(files.map(room))].filter((name) => !(name in rows))).toEqual([]);
  });

  it('lets a file import only from its own row and the rows above it', () => {
    const wrong: string[] = [];
    for (const file of files) {
      for (const [, fixed, dynamic] of readFileSync(join(root, file), 'utf8').matchAll(imports)) {
        const target = relative(root, resolve(root, dirname(file), (fixed ?? dynamic)!));
        const from = room(file);
        const to = room(target).replace(/\.js$/, '.ts');
        const tooLow = (rows[to] ?? 0) > (rows[from] ?? 0);
        if (tooLow || strangers[from]?.includes(to)) wrong.push(`${file} -> ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('keeps sockets and drachtio-srf inside the folders that own a wire', () => {
    const wires = new Set(['sip', 'msrp', 'imps', 'http', 'cli', 'store']);
    const wrong = files.filter(
      (file) =>
        (!wires.has(room(file)) &&
          /from '(node:)?(dgram|net|tls)'/.test(readFileSync(join(root, file), 'utf8'))) ||
        (!file.startsWith('sip/drachtio/') &&
          /from 'drachtio-srf/.test(readFileSync(join(root, file), 'utf8'))),
    );
    expect(wrong).toEqual([]);
  });

  it('gives process.exit to main.ts alone', () => {
    const wrong = files.filter(
      (file) => file !== 'main.ts' && /process\.exit\(/.test(readFileSync(join(root, file), 'utf8')),
    );
    expect(wrong).toEqual([]);
  });
});
