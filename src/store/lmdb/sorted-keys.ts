import { setImmediate as turn } from 'node:timers/promises';
import { compareKeys } from '../keys.js';
import { Heap } from '../heap.js';

/** Keys that are sorted in one go, about 1 ms: others want the event loop, too. */
const runLength = 1024;

/** Sorts any number of keys by UTF-8 octets without holding the event loop: sorted runs, merged as they are read. */
export async function sortedKeys(keys: Iterable<string>): Promise<Iterable<string>> {
  const runs: string[][] = [];
  let run: string[] = [];
  for (const key of keys) {
    if (run.push(key) < runLength) continue;
    runs.push(run.sort(compareKeys));
    run = [];
    await turn();
  }
  runs.push(run.sort(compareKeys));
  return runs.length === 1 ? run : merge(runs);
}

function* merge(runs: readonly string[][]): Generator<string> {
  const heads = new Heap<{ key: string; readonly run: readonly string[]; at: number }>(
    (a, b) => compareKeys(a.key, b.key) < 0,
  );
  for (const run of runs) if (run.length > 0) heads.push({ key: run[0]!, run, at: 0 });
  for (let head = heads.pop(); head; head = heads.pop()) {
    yield head.key;
    const key = head.run[++head.at];
    if (key === undefined) continue;
    head.key = key;
    heads.push(head);
  }
}
