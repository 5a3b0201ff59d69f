import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { LmdbStore } from '../../src/store/lmdb/lmdb-store.js';
import type { LmdbOptions } from '../../src/store/lmdb/options.js';
import { table } from '../../src/store/store.js';
import { compiled } from '../tools/compiled.js';
import { missing } from '../tools/install.js';

interface Note {
  readonly octets: Uint8Array;
}
const notes = table<Note>('notes');
const isRoot = process.getuid?.() === 0;

const folders: string[] = [];
const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-faults-'));
  folders.push(folder);
  return folder;
};
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

const open = (folder: string, options: Partial<LmdbOptions> = {}, clock = new VirtualClock()): LmdbStore =>
  new LmdbStore(folder, { clock, log: silentLogger }, options);
const put = (store: LmdbStore, key: string, octets: number): Promise<void> =>
  store.update(notes, key, () => ({
    kind: 'put',
    value: { octets: new Uint8Array(octets).fill(7) },
    deadline: 1000,
    result: undefined,
  }));

/** Puts records until one is refused. @returns the keys that were acknowledged. */
async function fill(store: LmdbStore, octets: number): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let i = 0; i < 10_000; i++) {
    const key = `k${String(i).padStart(5, '0')}`;
    try {
      await put(store, key, octets);
    } catch (error) {
      expect(error).toMatchObject({ code: 'store-unavailable' });
      return acknowledged;
    }
    acknowledged.push(key);
  }
  throw new Error('the disk never became full');
}

/** Lets time pass until the store says that it works; what the disk does takes real time. */
async function heal(store: LmdbStore, clock: VirtualClock): Promise<void> {
  const since = performance.now();
  while (store.trouble() !== undefined) {
    if (performance.now() - since > 10_000) throw new Error(`it still has ${store.trouble()}`);
    await clock.advanceAsync(1000, 1000);
  }
}

async function keys(store: LmdbStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.scan(notes)) found.push(key);
  return found;
}

describe.runIf(isRoot)('a full disk', () => {
  let disk: string;
  beforeAll(() => {
    disk = newFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk]);
  });
  afterAll(() => execFileSync('umount', [disk]));

  it.each<[string, Partial<LmdbOptions>]>([
    ['', {}],
    [', with checkpoints all the time', { memoryOctets: 20_000 }],
    [', with a sync of every commit', { sync: 'commit' }],
  ])('refuses updates, says so, keeps what was acknowledged, and heals%s', async (_, options) => {
    const folder = join(disk, 'data');
    const ballast = join(disk, 'ballast');
    writeFileSync(ballast, Buffer.alloc(11_000_000));
    const clock = new VirtualClock();
    const store = open(folder, options, clock);
    const acknowledged = await fill(store, 3000);
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(store.trouble()).toMatch(/ENOSPC|no space/i);
    expect(await store.get(notes, acknowledged[0]!)).toBeDefined();
    expect(await keys(store)).toEqual(acknowledged);

    // the probe finds that there is room again, although nobody updates anything
    unlinkSync(ballast);
    await heal(store, clock);
    await put(store, 'k-after', 100);
    await heal(store, clock);
    await store.close();

    const again = open(folder);
    expect(await keys(again)).toEqual(['k-after', ...acknowledged]);
    expect(await again.due(notes, 1000, 10_000)).toEqual(['k-after', ...acknowledged]);
    await again.close();
    rmSync(folder, { recursive: true });
  });
});

describe.skipIf(missing('prlimit'))('a limit on the size of files', () => {
  it('is met like a full disk: what was acknowledged is kept, and the process lives', async () => {
    const folder = newFolder();
    const writer = 'test/store/limited-writer.ts';
    const script = compiled(writer);
    const said = execFileSync('prlimit', ['--fsize=3000000', process.execPath, script, folder], {
      encoding: 'utf8',
    });
    const result = JSON.parse(said) as { acknowledged: number; code: string; trouble: string };
    expect(result.code).toBe('store-unavailable');
    expect(result.trouble).toMatch(/EFBIG/);
    expect(result.acknowledged).toBeGreaterThan(200);
    const store = open(folder);
    expect(await keys(store)).toHaveLength(result.acknowledged);
    await store.close();
  });
});

describe.runIf(isRoot)('a folder on a full or read-only disk', () => {
  let disk: string;
  beforeAll(() => {
    disk = newFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]);
  });
  afterAll(() => execFileSync('umount', [disk]));

  it('that is full when the store is opened can be read, and written when there is room again', async () => {
    const folder = join(disk, 'data');
    const ballast = join(disk, 'ballast');
    const first = open(folder);
    await put(first, 'a', 100);
    await first.close();
    const fd = openSync(ballast, 'w');
    const fillUp = (octets: number): void => {
      try {
        for (;;) writeSync(fd, Buffer.alloc(octets));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' });
      }
    };
    for (const octets of [65_536, 4096, 1]) fillUp(octets);
    closeSync(fd);

    const clock = new VirtualClock();
    const store = open(folder, {}, clock);
    expect(store.trouble()).toMatch(/ENOSPC/);
    expect(await keys(store)).toEqual(['a']);
    await expect(put(store, 'b', 100)).rejects.toMatchObject({ code: 'store-unavailable' });
    unlinkSync(ballast);
    await heal(store, clock);
    await put(store, 'b', 100);
    expect(await keys(store)).toEqual(['a', 'b']);
    await store.close();
  });

  it('that is read-only is refused with its path', () => {
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    expect(() => open(join(disk, 'data'))).toThrow(join(disk, 'data'));
    expect(() => open(join(disk, 'new'))).toThrow(join(disk, 'new'));
    execFileSync('mount', ['-o', 'remount,rw', disk]);
  });
});

describe('a data folder that cannot be used', () => {
  const broken = (folder: string, why: RegExp): void => {
    try {
      open(folder);
    } catch (error) {
      expect(error).toMatchObject({ code: 'store-broken' });
      expect((error as Error).message).toContain(folder);
      expect((error as Error).message).toMatch(why);
      return;
    }
    throw new Error('it was opened');
  };
  /** A folder with a hundred records in its data file. */
  const used = async (): Promise<string> => {
    const folder = newFolder();
    const store = open(folder);
    await Promise.all(Array.from({ length: 2000 }, (_, i) => put(store, `k${i}`, 600)));
    await store.close();
    return folder;
  };

  it('is refused when a file stands in its place', () => {
    const path = join(newFolder(), 'data');
    writeFileSync(path, 'I am a file');
    broken(path, /EEXIST|ENOTDIR/);
  });

  it('is refused when it may not be written', () => {
    const folder = newFolder();
    chmodSync(folder, 0o555);
    if (isRoot) process.seteuid!(65_534);
    try {
      broken(folder, /EACCES|permission denied/i);
    } finally {
      if (isRoot) process.seteuid!(0);
    }
  });

  it('is refused when data.mdb is something else', async () => {
    const folder = await used();
    writeFileSync(join(folder, 'data.mdb'), Buffer.alloc(100_000, 'x'));
    broken(folder, /damaged/);
  });

  it('is refused when the head of data.mdb is overwritten in part', async () => {
    const folder = await used();
    const fd = openSync(join(folder, 'data.mdb'), 'r+');
    writeSync(fd, Buffer.alloc(4096, 'x'), 0, 4096, 4096);
    closeSync(fd);
    broken(folder, /damaged/);
  });

  it('is refused when data.mdb was cut off', async () => {
    const folder = await used();
    const path = join(folder, 'data.mdb');
    truncateSync(path, statSync(path).size / 2);
    broken(folder, /pages are missing/);
    truncateSync(path, 100);
    broken(folder, /damaged/);
  });

  it('is refused when its journal is something else', async () => {
    const folder = await used();
    writeFileSync(join(folder, 'journal-0000000099.log'), 'not a journal, this\n');
    broken(folder, /journal of this version/);
  });

  it('is refused when another process has it open, which is named', async () => {
    const folder = newFolder();
    const store = open(folder);
    expect(() => open(folder)).toThrow(`is open in process ${process.pid}`);
    await put(store, 'a', 1);
    await store.close();
    const again = open(folder);
    expect(await keys(again)).toEqual(['a']);
    await again.close();
  });
});

describe('a data folder that is deleted under the running store', () => {
  const refused = { code: 'store-unavailable', message: expect.stringMatching(/restart it/) as string };

  it('ends all acknowledging, and what was there can still be read', async () => {
    const folder = newFolder();
    const store = open(folder);
    await put(store, 'a', 1);
    rmSync(folder, { recursive: true });
    await expect(put(store, 'b', 1)).rejects.toMatchObject(refused);
    expect(store.trouble()).toMatch(/the journal was deleted/);
    expect(await keys(store)).toEqual(['a']);
    await expect(put(store, 'b', 1)).rejects.toMatchObject(refused);
    await store.close().catch(() => undefined);
  });

  it('is not taken for another that was put in its place', async () => {
    const folder = newFolder();
    const store = open(folder);
    await put(store, 'a', 1);
    rmSync(folder, { recursive: true });
    const other = open(folder);
    await put(other, 'c', 1);
    await expect(put(store, 'b', 1)).rejects.toMatchObject(refused);
    await store.close().catch(() => undefined);
    expect(await keys(other)).toEqual(['c']);
    await other.close();
  });

  it('of which data.mdb alone is gone is met at the next segment of the journal', async () => {
    const folder = newFolder();
    const store = open(folder, { journalOctets: 65_536 });
    await put(store, 'a', 1);
    unlinkSync(join(folder, 'data.mdb'));
    await fill(store, 1000);
    expect(store.trouble()).toMatch(/data\.mdb was deleted or replaced/);
    await store.close().catch(() => undefined);
  });
});

describe('a journal that ends badly', () => {
  /** A folder as `kill -9` leaves it: all records in the journal, none in the data file. */
  const crashed = async (): Promise<{ folder: string; journal: string }> => {
    const folder = newFolder();
    const store = open(folder);
    for (const key of ['a', 'b', 'c']) await put(store, key, 600);
    const copy = newFolder();
    const journal = readdirSync(folder).find((name) => name.startsWith('journal-'))!;
    execFileSync('cp', [join(folder, journal), copy]);
    await store.close();
    return { folder: copy, journal: join(copy, journal) };
  };

  it('has its records in the store after the next start', async () => {
    const { folder } = await crashed();
    const store = open(folder);
    expect(await keys(store)).toEqual(['a', 'b', 'c']);
    expect(await store.due(notes, 1000, 10)).toEqual(['a', 'b', 'c']);
    await store.close();
    expect(readdirSync(folder).filter((name) => name.startsWith('journal-'))).toEqual([]);
  });

  it('loses only the batch that was cut off', async () => {
    for (const cut of [1, 300, 600]) {
      const { folder, journal } = await crashed();
      truncateSync(journal, statSync(journal).size - cut);
      const store = open(folder);
      expect(await keys(store)).toEqual(['a', 'b']);
      await put(store, 'c', 1);
      await store.close();
      const again = open(folder);
      expect(await keys(again)).toEqual(['a', 'b', 'c']);
      await again.close();
    }
  });

  it('loses only the batch of which an octet is wrong', async () => {
    const { folder, journal } = await crashed();
    const fd = openSync(journal, 'r+');
    writeSync(fd, 'x', statSync(journal).size - 100);
    closeSync(fd);
    const store = open(folder);
    expect(await keys(store)).toEqual(['a', 'b']);
    await store.close();
  });
});
