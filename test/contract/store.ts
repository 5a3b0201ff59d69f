import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { table, type Change, type ScanRange, type Store, type Table } from '../../src/store/store.js';

/** One backend as the contract suite sees it. */
export interface StoreHarness {
  /** Opens one more node on the same records. */
  open(): Promise<Store>;
  /** Closes every node and removes the records. */
  dispose(): Promise<void>;
}

/** A record as the registrar would keep it: nested, with text, numbers, octets. */
interface Note {
  readonly text: string;
  readonly count: number;
  readonly octets?: Uint8Array;
  readonly parts?: readonly { readonly id: string; readonly at: number | null; readonly on: boolean }[];
}

const note = (count: number, text = 'text'): Note => ({ text, count });
const put = <T>(value: T, deadline?: number): Change<T, void> => ({
  kind: 'put',
  value,
  deadline,
  result: undefined,
});
const remove = (): Change<never, void> => ({ kind: 'remove', result: undefined });
const increment = (current: Note | undefined): Change<Note, number> => {
  const count = (current?.count ?? 0) + 1;
  return { kind: 'put', value: note(count), result: count };
};

/** States what callers may expect of a store, and holds it against one backend. */
export function storeContract(backend: string, setUp: () => Promise<StoreHarness>): void {
  describe(`the store on ${backend}`, () => {
    let harness: StoreHarness;
    let store: Store;
    let tables = 0;
    /** A table of its own for each test. */
    const fresh = (): Table<Note> => table<Note>(`t${'-'.repeat(tables % 40)}${letters(tables++)}`);
    const keys = async (of: Table<Note>, range?: ScanRange): Promise<string[]> => {
      const found: string[] = [];
      for await (const { key } of store.scan(of, range)) found.push(key);
      return found;
    };
    const fill = async (of: Table<Note>, names: readonly string[]): Promise<void> => {
      await Promise.all(names.map((name, i) => store.update(of, name, () => put(note(i)))));
    };

    beforeAll(async () => {
      harness = await setUp();
      store = await harness.open();
    });
    afterAll(() => harness.dispose());

    it('reads what it gets', async () => {
      const notes = fresh();
      expect(await store.read(notes, 'a')).toBeUndefined();
      await store.update(notes, 'a', () => put(note(1)));
      expect(await store.read(notes, 'a')).toEqual(note(1));
      const unfit = async (): Promise<unknown> => store.read(notes, '');
      await expect(unfit()).rejects.toMatchObject({ code: 'store-key-invalid' });
    });

    it('keeps the records of a table in its form, and reads those from before it had one', async () => {
      const { name } = fresh();
      await store.update(table<Note>(name), 'a', () => put(note(1)));
      const packed: unknown[] = [];
      const formed = table<Note>(name, {
        pack: ({ text, count }) => (packed.push(count), [text, count]),
        unpack: (stored) =>
          Array.isArray(stored)
            ? { text: stored[0] as string, count: stored[1] as number }
            : (stored as Note),
      });
      await store.update(formed, 'b', () => put(note(2)));
      expect(packed).toEqual([2]);
      expect(await store.get(formed, 'a')).toEqual(note(1));
      expect(await store.get(formed, 'b')).toEqual(note(2));
      const scanned: Note[] = [];
      for await (const { value } of store.scan(formed)) scanned.push(value);
      expect(scanned).toEqual([note(1), note(2)]);
    });

    describe('an update', () => {
      it('creates a record that was not there, and gives its function undefined', async () => {
        const notes = fresh();
        const seen = await store.update(notes, 'a', (current) => ({
          kind: 'put',
          value: note(1),
          result: current,
        }));
        expect(seen).toBeUndefined();
        expect(await store.get(notes, 'a')).toEqual(note(1));
      });

      it('gives its function the record as the last update left it', async () => {
        const notes = fresh();
        await store.update(notes, 'a', () => put(note(7, 'seven')));
        expect(await store.update(notes, 'a', (current) => ({ kind: 'keep', result: current }))).toEqual(
          note(7, 'seven'),
        );
      });

      it('changes nothing when it keeps', async () => {
        const notes = fresh();
        await store.update(notes, 'a', () => put(note(1)));
        expect(await store.update(notes, 'a', () => ({ kind: 'keep', result: 'kept' }))).toBe('kept');
        expect(await store.update(notes, 'b', () => ({ kind: 'keep', result: 'none' }))).toBe('none');
        expect(await store.get(notes, 'a')).toEqual(note(1));
        expect(await keys(notes)).toEqual(['a']);
      });

      it('removes a record, and removing one that is not there is no error', async () => {
        const notes = fresh();
        await store.update(notes, 'a', () => put(note(1)));
        await store.update(notes, 'a', remove);
        await store.update(notes, 'a', remove);
        expect(await store.get(notes, 'a')).toBeUndefined();
        expect(await keys(notes)).toEqual([]);
      });

      it('rejects with what its function throws, and changes nothing', async () => {
        const notes = fresh();
        await store.update(notes, 'a', () => put(note(1)));
        const thrown = new Error('the CSeq is too low');
        const failing = store.update(notes, 'a', () => {
          throw thrown;
        });
        await expect(failing).rejects.toBe(thrown);
        expect(await store.get(notes, 'a')).toEqual(note(1));
        expect(await store.update(notes, 'a', increment)).toBe(2);
      });

      it('of one record waits for the one before it: a hundred at once count to a hundred', async () => {
        const notes = fresh();
        const counts = await Promise.all(
          Array.from({ length: 100 }, () => store.update(notes, 'a', increment)),
        );
        expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
        expect((await store.get(notes, 'a'))?.count).toBe(100);
      });

      it('of one record in one table leaves the same key of another table alone', async () => {
        const [one, other] = [fresh(), fresh()];
        await store.update(one, 'a', () => put(note(1)));
        await store.update(other, 'a', () => put(note(2)));
        await store.update(one, 'a', remove);
        expect(await store.get(one, 'a')).toBeUndefined();
        expect(await store.get(other, 'a')).toEqual(note(2));
      });

      it('can create, remove and create again without waiting in between', async () => {
        const notes = fresh();
        await Promise.all([
          store.update(notes, 'a', () => put(note(1))),
          store.update(notes, 'a', remove),
          store.update(notes, 'a', (current) => put(note(current ? 99 : 2))),
        ]);
        expect(await store.get(notes, 'a')).toEqual(note(2));
      });
    });

    describe('a record', () => {
      it('keeps octets octet for octet', async () => {
        const notes = fresh();
        const octets = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
        await store.update(notes, 'a', () => put({ ...note(1), octets }));
        const found = await store.get(notes, 'a');
        expect([...(found?.octets ?? [])]).toEqual([...octets]);
      });

      it('keeps text of every script, nested arrays, null, booleans and large numbers', async () => {
        const notes = fresh();
        const value: Note = {
          text: 'Ünïcödé \u0000 日本語 \u{1f4f1} "<&>\r\n',
          count: Number.MAX_SAFE_INTEGER,
          parts: [
            { id: '<urn:gsma:imei:35-209900-176148-0>', at: null, on: true },
            { id: '', at: -1.5, on: false },
          ],
        };
        await store.update(notes, 'a', () => put(value));
        expect(await store.get(notes, 'a')).toEqual(value);
      });

      it('may have a megabyte', async () => {
        const notes = fresh();
        const octets = new Uint8Array(1_000_000).fill(0xa5);
        await store.update(notes, 'big', () => put({ ...note(1), octets }));
        expect((await store.get(notes, 'big'))?.octets?.length).toBe(1_000_000);
      });

      it('of more than 8 MiB is refused', async () => {
        const notes = fresh();
        const octets = new Uint8Array(8 * 1024 * 1024 + 1);
        await expect(store.update(notes, 'big', () => put({ ...note(1), octets }))).rejects.toMatchObject({
          code: 'store-record-too-large',
        });
        expect(await store.get(notes, 'big')).toBeUndefined();
      });
    });

    describe('a key', () => {
      it('may hold any text up to 1024 octets', async () => {
        const notes = fresh();
        const names = [
          'k'.repeat(1024),
          'tel:+4930',
          'sip:a b%20@x;y={z}',
          'Ä\u0001ö',
          '\u{1f4f1}',
          '{',
          '}{',
          '0',
        ];
        await fill(notes, names);
        for (const [i, name] of names.entries()) expect(await store.get(notes, name)).toEqual(note(i));
      });

      it('is refused when it is empty, longer than 1024 octets, or not well-formed', async () => {
        const notes = fresh();
        for (const key of ['', 'k'.repeat(1025), 'é'.repeat(513), 'a\ud800']) {
          const refused = { code: 'store-key-invalid' };
          await expect(store.update(notes, key, increment)).rejects.toMatchObject(refused);
          await expect(store.get(notes, key)).rejects.toMatchObject(refused);
        }
      });
    });

    describe('a scan', () => {
      it('walks a table in the order of UTF-8 octets', async () => {
        const notes = fresh();
        // U+FF5E is three octets and U+1F4F1 four, but in UTF-16 the surrogates of the second come first
        await fill(notes, ['b', '\u{1f4f1}', 'a', '\uff5e', 'ab', 'Z', 'ä', 'a~']);
        expect(await keys(notes)).toEqual(['Z', 'a', 'ab', 'a~', 'b', 'ä', '\uff5e', '\u{1f4f1}']);
      });

      it('gives the keys with a prefix, after a key, and no more than the limit', async () => {
        const notes = fresh();
        await fill(notes, ['a', 'b', 'b1', 'b2', 'b3', 'c']);
        expect(await keys(notes, { prefix: 'b' })).toEqual(['b', 'b1', 'b2', 'b3']);
        expect(await keys(notes, { after: 'b1' })).toEqual(['b2', 'b3', 'c']);
        expect(await keys(notes, { after: 'b0' })).toEqual(['b1', 'b2', 'b3', 'c']);
        expect(await keys(notes, { prefix: 'b', after: 'b1', limit: 1 })).toEqual(['b2']);
        expect(await keys(notes, { prefix: 'b', after: 'a' })).toEqual(['b', 'b1', 'b2', 'b3']);
        expect(await keys(notes, { prefix: 'b', after: 'c' })).toEqual([]);
        expect(await keys(notes, { prefix: 'x' })).toEqual([]);
        expect(await keys(notes, { limit: 0 })).toEqual([]);
      });

      it('gives the records with their keys', async () => {
        const notes = fresh();
        await fill(notes, ['a', 'b']);
        const found: [string, number][] = [];
        for await (const { key, value } of store.scan(notes)) found.push([key, value.count]);
        expect(found).toEqual([
          ['a', 0],
          ['b', 1],
        ]);
      });

      it.each([1000, 1001])('finds each of %i records once', async (count) => {
        const notes = fresh();
        const names = Array.from(
          { length: count },
          (_, i) => `sip:user${String(i).padStart(5, '0')}@ims.test`,
        );
        await fill(notes, names.toReversed());
        expect(await keys(notes)).toEqual(names);
      });

      it('goes on while its table changes, and sees each record that stays exactly once', async () => {
        const notes = fresh();
        const names = Array.from({ length: 600 }, (_, i) => `k${String(i).padStart(4, '0')}`);
        await fill(notes, names);
        const seen: string[] = [];
        for await (const { key } of store.scan(notes)) {
          seen.push(key);
          if (key === 'k0100') await store.update(notes, 'k0599', remove);
          if (key === 'k0200') await store.update(notes, 'k0300', increment);
        }
        expect(seen.filter((key) => key !== 'k0599')).toEqual(names.slice(0, 599));
      });
    });

    describe('a deadline', () => {
      it('makes its record due at that millisecond and not before', async () => {
        const notes = fresh();
        await store.update(notes, 'a', () => put(note(1), 5000));
        expect(await store.due(notes, 4999, 10)).toEqual([]);
        expect(await store.due(notes, 5000, 10)).toEqual(['a']);
      });

      it('stays due until an update moves or removes it', async () => {
        const notes = fresh();
        await store.update(notes, 'a', () => put(note(1), 5000));
        expect(await store.due(notes, 6000, 10)).toEqual(['a']);
        expect(await store.due(notes, 6000, 10)).toEqual(['a']);
        await store.update(notes, 'a', () => ({ kind: 'keep', result: 0 }));
        expect(await store.due(notes, 6000, 10)).toEqual(['a']);
      });

      it('can be made later, and is then due only at the later time', async () => {
        const notes = fresh();
        await store.update(notes, 'a', () => put(note(1), 5000));
        await store.update(notes, 'a', () => put(note(2), 9000));
        expect(await store.due(notes, 8999, 10)).toEqual([]);
        expect(await store.due(notes, 9000, 10)).toEqual(['a']);
      });

      it('can be made earlier, and is then due at the earlier time', async () => {
        const notes = fresh();
        await store.update(notes, 'a', () => put(note(1), 9000));
        await store.update(notes, 'a', () => put(note(2), 5000));
        expect(await store.due(notes, 5000, 10)).toEqual(['a']);
      });

      it('can go up and down any number of times, before and after it was asked for', async () => {
        const notes = fresh();
        for (const deadline of [9000, 5000, 20_000, 8000, 7000, 30_000, 6000]) {
          await store.update(notes, 'a', () => put(note(1), deadline));
          expect(await store.due(notes, deadline - 1, 10)).toEqual([]);
          expect(await store.due(notes, deadline, 10)).toEqual(['a']);
        }
      });

      it('ends when a put names none, and when the record is removed', async () => {
        const notes = fresh();
        await fill(notes, ['a', 'b']);
        await store.update(notes, 'a', () => put(note(1), 5000));
        await store.update(notes, 'b', () => put(note(1), 5000));
        await store.update(notes, 'a', () => put(note(2)));
        await store.update(notes, 'b', remove);
        expect(await store.due(notes, 1e12, 10)).toEqual([]);
        await store.update(notes, 'b', () => put(note(3), 7000));
        expect(await store.due(notes, 1e12, 10)).toEqual(['b']);
      });

      it('of many records come earliest first, and no more than the limit', async () => {
        const notes = fresh();
        const at = [7000, 3000, 9000, 1000, 5000];
        await Promise.all(at.map((time) => store.update(notes, `k${time}`, () => put(note(1), time))));
        expect(await store.due(notes, 8000, 10)).toEqual(['k1000', 'k3000', 'k5000', 'k7000']);
        expect(await store.due(notes, 8000, 2)).toEqual(['k1000', 'k3000']);
        // the first of the old order become the last of the new
        await store.update(notes, 'k1000', () => put(note(2), 7500));
        await store.update(notes, 'k3000', () => put(note(2), 6500));
        expect(await store.due(notes, 8000, 2)).toEqual(['k5000', 'k3000']);
        expect(await store.due(notes, 8000, 9)).toEqual(['k5000', 'k3000', 'k7000', 'k1000']);
      });

      it('at one time come in the order of keys', async () => {
        const notes = fresh();
        for (const key of ['c', 'a', 'b']) await store.update(notes, key, () => put(note(1), 5000));
        expect(await store.due(notes, 5000, 10)).toEqual(['a', 'b', 'c']);
      });

      it('of 1001 records are all given, in pages', async () => {
        const notes = fresh();
        const names = Array.from({ length: 1001 }, (_, i) => `k${String(i).padStart(4, '0')}`);
        await Promise.all(names.map((name, i) => store.update(notes, name, () => put(note(1), 1000 + i))));
        const found: string[] = [];
        for (;;) {
          const page = await store.due(notes, 1e12, 250);
          if (page.length === 0) break;
          found.push(...page);
          await Promise.all(page.map((key) => store.update(notes, key, remove)));
        }
        expect(found).toEqual(names);
      });

      it('of one table says nothing about another', async () => {
        const [one, other] = [fresh(), fresh()];
        await store.update(one, 'a', () => put(note(1), 1000));
        expect(await store.due(other, 1e12, 10)).toEqual([]);
      });
    });

    describe('an event', () => {
      it('reaches every listener of its channel on the node that published it, and no other', async () => {
        const heard: string[] = [];
        const both = heardBy(2);
        const ends = [
          store.subscribe('news', (payload) => both.hear(heard.push(`1 ${payload}`))),
          store.subscribe('news', (payload) => both.hear(heard.push(`2 ${payload}`))),
          store.subscribe('other', () => heard.push('wrong')),
        ];
        await store.publish('news', 'Grüße \u{1f4f1}');
        await both.done;
        expect(heard.toSorted()).toEqual(['1 Grüße \u{1f4f1}', '2 Grüße \u{1f4f1}']);
        ends.forEach((end) => end());
      });

      it('does not reach a listener that has ended', async () => {
        const heard: string[] = [];
        const once = heardBy(1);
        const end = store.subscribe('ended', () => heard.push('wrong'));
        end();
        end();
        const endOther = store.subscribe('ended', (payload) => once.hear(heard.push(payload)));
        await store.publish('ended', 'right');
        await once.done;
        expect(heard).toEqual(['right']);
        endOther();
      });

      it('reaches the other listeners when one throws', async () => {
        const once = heardBy(1);
        const ends = [
          store.subscribe('throwing', () => {
            throw new Error('a fault of a listener');
          }),
          store.subscribe('throwing', () => once.hear(1)),
        ];
        await store.publish('throwing', 'x');
        await once.done;
        expect(store.trouble()).toBeUndefined();
        ends.forEach((end) => end());
      });
    });

    it('has no trouble while it works', () => {
      expect(store.trouble()).toBeUndefined();
    });

    it('commits what is pending when it is closed, and has it when it is opened again', async () => {
      const notes = fresh();
      const pending = [
        store.update(notes, 'a', () => put(note(1), 5000)),
        store.update(notes, 'b', () => put(note(2))),
        store.update(notes, 'c', () => put(note(3), 4000)),
      ];
      await store.close();
      await Promise.all(pending);
      store = await harness.open();
      expect(await keys(notes)).toEqual(['a', 'b', 'c']);
      expect(await store.get(notes, 'b')).toEqual(note(2));
      expect(await store.due(notes, 9000, 10)).toEqual(['c', 'a']);
      expect(await store.update(notes, 'a', increment)).toBe(2);
    });

    it('refuses work after it was closed', async () => {
      const notes = fresh();
      await store.close();
      await expect(store.update(notes, 'a', increment)).rejects.toMatchObject({ code: 'store-unavailable' });
      await expect(store.get(notes, 'a')).rejects.toMatchObject({ code: 'store-unavailable' });
      await store.close();
      store = await harness.open();
      expect(await store.get(notes, 'a')).toBeUndefined();
    });
  });
}

function letters(n: number): string {
  return n < 26 ? String.fromCharCode(97 + n) : letters(Math.floor(n / 26) - 1) + letters(n % 26);
}

function heardBy(listeners: number): { done: Promise<void>; hear: (_: number) => void } {
  let hear = (_: number): void => {};
  const done = new Promise<void>((resolve) => {
    hear = () => {
      if (--listeners === 0) resolve();
    };
  });
  return { done, hear: (n) => hear(n) };
}
