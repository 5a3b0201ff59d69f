import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { LmdbStore } from '../../src/store/lmdb/lmdb-store.js';
import type { LmdbOptions } from '../../src/store/lmdb/options.js';
import { counts, shared } from '../store/sigkill-victim.js';
import { compiled } from '../tools/compiled.js';
import { hearLines, killAgainAndAgain } from '../tools/sigkill.js';

/** What a record is, or would be; undefined when there is none. */
type State = { readonly count: number; readonly deadline: number | undefined } | undefined;

const victim = 'test/store/sigkill-victim.ts';
const script = compiled(victim);
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** Kills a process that updates a store, and compares what the store then has with what was acknowledged. */
async function killUpdaters(times: number, options: Partial<LmdbOptions>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-sigkill-'));
  folders.push(folder);
  const acknowledged = new Map<string, State>();
  const tried = new Map<string, State>();
  let total = 0;
  let updates = 0;
  const hear = (line: string): void => {
    const [what, name, count, deadline] = line.split(' ') as [string, string, string?, string?];
    if (what === 'try') {
      const put = { count: Number(count), deadline: deadline === '-' ? undefined : Number(deadline) };
      tried.set(name, put.count === 0 ? undefined : put);
    } else if (what === 'ok') {
      acknowledged.set(name, tried.get(name));
      tried.delete(name);
      updates++;
    } else {
      total = Math.max(total, Number(name));
      updates++;
    }
  };
  await killAgainAndAgain({
    times,
    withinMs: 150,
    start(heard) {
      const child = spawn(process.execPath, [script, folder, JSON.stringify(options)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const silent = hearLines(child, (line) => {
        hear(line);
        if (!line.startsWith('try')) heard();
      });
      return { process: child, silent };
    },
    async verify(round) {
      const store = new LmdbStore(folder, { clock: new VirtualClock(), log: silentLogger });
      const deadlines = new Map<string, number>();
      for (const [key, state] of [...acknowledged, ...tried]) {
        const count = (await store.get(counts, key))?.count;
        const states = tried.has(key) ? [acknowledged.get(key), tried.get(key)] : [state];
        const found = states.find((possible) => possible?.count === count);
        expect(
          states.map((possible) => possible?.count),
          `round ${round}, ${key}`,
        ).toContain(count);
        if (found?.deadline !== undefined) deadlines.set(key, found.deadline);
        acknowledged.set(key, found);
      }
      tried.clear();
      const inOrder = [...deadlines]
        .sort(([a, at], [b, bt]) => at - bt || (a < b ? -1 : 1))
        .map(([key]) => key);
      expect(await store.due(counts, 1e9, 1000), `round ${round}`).toEqual(inOrder);
      const counted = (await store.get(shared, 'total'))?.count ?? 0;
      expect(counted, `round ${round}`).toBeGreaterThanOrEqual(total);
      if (counted > 0) expect(await store.due(shared, counted, 10), `round ${round}`).toEqual(['total']);
      await store.close();
    },
  });
  return updates;
}

describe('SIGKILL under load', () => {
  it('loses no acknowledged update and no deadline in 50 kills', { timeout: 180_000 }, async () => {
    expect(await killUpdaters(50, {})).toBeGreaterThan(5000);
  });

  it('loses none in 50 kills in the midst of checkpoints', { timeout: 180_000 }, async () => {
    expect(await killUpdaters(50, { memoryOctets: 100_000, decodedRecords: 16 })).toBeGreaterThan(5000);
  });
});
