import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { table, type Change, type ScanRange, type Store, type Table } from '../../src/store/store.js';
import type { StoreHarness } from './store.js';

/** What a store should be: a sorted map. */
class Model {
  readonly records = new Map<string, { readonly value: number; readonly deadline: number | undefined }>();

  scan({ prefix = '', after, limit = Infinity }: ScanRange): [string, number][] {
    return [...this.records]
      .filter(([key]) => key.startsWith(prefix) && (after === undefined || key > after))
      .map(([key, { value }]): [string, number] => [key, value])
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit);
  }

  due(time: number, limit: number): string[] {
    return [...this.records]
      .flatMap(([key, { deadline }]) => (deadline !== undefined && deadline <= time ? { key, deadline } : []))
      .sort((a, b) => a.deadline - b.deadline || (a.key < b.key ? -1 : 1))
      .slice(0, limit)
      .map(({ key }) => key);
  }
}

const key = fc.constantFrom('a', 'aa', 'ab', 'a\tb', 'a\tc', 'b', 'ba', 'c', 'd', 'dd', 'd\td');
const time = fc.integer({ min: 0, max: 40 });
const limit = fc.integer({ min: 1, max: 9 });
const update = fc.record({
  key,
  kind: fc.constantFrom('put' as const, 'put' as const, 'put' as const, 'remove' as const, 'keep' as const),
  value: fc.nat(),
  deadline: fc.option(time, { nil: undefined }),
});
const step = fc.oneof(
  // updates that are made without waiting for each other
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('updates' as const),
      updates: fc.array(update, { maxLength: 6 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('due' as const), time, limit }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('get' as const), key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('scan' as const),
      range: fc.record(
        { prefix: fc.constantFrom('', 'a', 'a\t', 'a\tb', 'd', 'd\t'), after: key, limit },
        { requiredKeys: [] },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
);

interface Value {
  readonly number: number;
}

/** Holds one backend against a sorted map, over random histories. */
export function storeModel(backend: string, runs: number, setUp: () => Promise<StoreHarness>): void {
  describe(`the store on ${backend}`, () => {
    let harness: StoreHarness;
    let store: Store;
    beforeAll(async () => {
      harness = await setUp();
      store = await harness.open();
    });
    afterAll(() => harness.dispose());

    it('does what a sorted map would do, whatever the history', async () => {
      let histories = 0;
      const one = async (
        steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[],
      ): Promise<void> => {
        const values: Table<Value> = table(
          `model${'-'.repeat(histories % 30)}${'x'.repeat(histories++ % 11)}`,
        );
        for await (const { key } of store.scan(values)) await store.update(values, key, () => remove);
        const model = new Model();
        for (const one of steps) {
          switch (one.do) {
            case 'updates':
              await Promise.all(
                one.updates.map((update) => {
                  const before = model.records.get(update.key)?.value;
                  if (update.kind === 'put') model.records.set(update.key, update);
                  if (update.kind === 'remove') model.records.delete(update.key);
                  return store.update(values, update.key, (current) => {
                    expect(current?.number).toBe(before);
                    return change(update);
                  });
                }),
              );
              break;
            case 'due':
              expect(await store.due(values, one.time, one.limit)).toEqual(model.due(one.time, one.limit));
              break;
            case 'get':
              expect((await store.get(values, one.key))?.number).toBe(model.records.get(one.key)?.value);
              break;
            case 'scan': {
              const found: [string, number][] = [];
              for await (const { key, value } of store.scan(values, one.range))
                found.push([key, value.number]);
              expect(found).toEqual(model.scan(one.range));
              break;
            }
            case 'reopen':
              await store.close();
              store = await harness.open();
          }
        }
      };
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), one), { numRuns: runs });
    }, 120_000);
  });
}

const remove: Change<never, void> = { kind: 'remove', result: undefined };

function change(update: {
  readonly kind: 'put' | 'remove' | 'keep';
  readonly value: number;
  readonly deadline: number | undefined;
}): Change<Value, void> {
  if (update.kind === 'remove') return remove;
  if (update.kind === 'keep') return { kind: 'keep', result: undefined };
  return { kind: 'put', value: { number: update.value }, deadline: update.deadline, result: undefined };
}
