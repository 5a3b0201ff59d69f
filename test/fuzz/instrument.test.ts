import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { instrument } from './instrument.js';

const folder = mkdtempSync(join(tmpdir(), 'parley-instrument-'));
afterAll(() => rmSync(folder, { recursive: true }));

const code = `
export class Shape { constructor(n) { this.n = n; } }
export class Square extends Shape { constructor(n) { super(n); } get area() { return this.n ** 2; } }
export function kind(n) {
  if (n < 0) return 'negative';
  else if (n === 0) return 'zero';
  for (const half of [2, 4]) if (n === half) { return 'even'; }
  switch (n) { case 1: return 'one'; default: }
  const big = n > 100 && 'big';
  return big || (n > 10 ? 'middle' : 'small');
}
export const orElse = (value) => { value ??= 'nothing'; return value; };
`;

const hits: number[] = [];
Object.assign(globalThis, { __testHits: hits });
writeFileSync(join(folder, 'coverage.mjs'), 'export const hit = (id) => globalThis.__testHits.push(id);');
writeFileSync(join(folder, 'code.mjs'), instrument(code, './coverage.mjs', 1));

interface Subject {
  kind(n: number): string;
  orElse(value?: string): string;
  Square: new (n: number) => { readonly area: number };
}
const subject = (await import(pathToFileURL(join(folder, 'code.mjs')).href)) as Subject;

function blocks(work: () => unknown): string {
  hits.length = 0;
  work();
  return hits.join(' ');
}

describe('instrumented code', () => {
  it('does what it did before', () => {
    expect([-1, 0, 1, 2, 4, 3, 11, 101].map((n) => subject.kind(n))).toEqual([
      'negative', 'zero', 'one', 'even', 'even', 'small', 'middle', 'big',
    ]); // prettier-ignore
    expect([subject.orElse(), subject.orElse('x'), new subject.Square(3).area]).toEqual(['nothing', 'x', 9]);
  });

  it('shows every way through it as other blocks', () => {
    const ways = [-1, 0, 1, 2, 3, 11, 101].map((n) => blocks(() => subject.kind(n)));
    expect(new Set(ways).size).toBe(7);
    expect(blocks(() => subject.orElse())).not.toBe(blocks(() => subject.orElse('x')));
    expect(blocks(() => new subject.Square(3).area)).not.toBe('');
  });
});
