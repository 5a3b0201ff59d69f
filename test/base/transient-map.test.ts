import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TransientMap } from '../../src/base/transient-map.js';

type Step = { readonly kind: 'set' | 'delete' | 'clear'; readonly key: string; readonly value: string };

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step['kind'][]>('set', 'set', 'set', 'delete', 'delete', 'clear'),
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e', '__proto__'),
    value: fc.string(),
  }),
  { maxLength: 60 },
);

describe('a map for what comes and goes', () => {
  it('holds what a Map would hold, whatever the history', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const [made, model] = [new TransientMap<string>(), new Map<string, string>()];
        for (const { kind, key, value } of history) {
          if (kind === 'set') {
            made.set(key, value);
            model.set(key, value);
          } else if (kind === 'delete') expect(made.delete(key)).toBe(model.delete(key));
          else {
            made.clear();
            model.clear();
          }
          expect(made.size).toBe(model.size);
          expect(made.get(key)).toBe(model.get(key));
          expect(made.has(key)).toBe(model.has(key));
          expect([...made.values()].sort()).toEqual([...model.values()].sort());
        }
      }),
    );
  });
});
