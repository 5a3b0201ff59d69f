import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KeyGroups } from '../../src/store/lmdb/key-groups.js';

const parts = fc.array(fc.constantFrom('', 'a', 'b', 'ab'), { minLength: 1, maxLength: 3 });
const key = parts.map((given) => given.join('\t'));

it('keys by their first part are those that were added and not taken away, and no others', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ add: fc.boolean(), key }), { maxLength: 60 }), key, (steps, prefix) => {
      const groups = new KeyGroups();
      const model = new Set<string>();
      for (const step of steps) {
        if (step.add) groups.add(step.key);
        else groups.delete(step.key);
        if (step.add) model.add(step.key);
        else model.delete(step.key);
      }
      const held = groups.holding(prefix);
      if (!prefix.includes('\t')) return held === undefined;
      const first = prefix.slice(0, prefix.indexOf('\t') + 1);
      const expected = [...model].filter((one) => one.startsWith(first));
      return JSON.stringify([...(held ?? [])].sort()) === JSON.stringify(expected.sort());
    }),
  );
});

it('keys of a prefix without a whole first part may be anywhere', () => {
  expect(new KeyGroups().holding('')).toBeUndefined();
  expect(new KeyGroups().holding('user')).toBeUndefined();
  expect([...(new KeyGroups().holding('user\t') ?? ['?'])]).toEqual([]);
});
