/**
 * Counters of edges in the manner of AFL: instrumented code says which block it enters, and the pair of this block and
 * the one before is counted. Two pairs may share a counter.
 */
const SIZE = 65_536;
const counts = new Uint8Array(SIZE);
const touched = new Int32Array(SIZE);
/** For each pair the set of magnitudes (1, 2, 3, 4-7, 8-15...) in which some input has met it. */
const known = new Uint8Array(SIZE);
let touchedCount = 0;
let last = 0;
let edges = 0;

/** Called by instrumented code on entering block `id`, 0 to 65535. */
export function hit(id: number): void {
  const pair = id ^ last;
  last = id >> 1;
  const count = counts[pair]!;
  if (count === 0) touched[touchedCount++] = pair;
  if (count < 255) counts[pair] = count + 1;
}

/** Ends one input. @returns whether it met a pair, or a magnitude of a pair, that no input before it met. */
export function settle(): boolean {
  let isNew = false;
  for (let i = 0; i < touchedCount; i++) {
    const pair = touched[i]!;
    const magnitude = 1 << Math.min(7, 31 - Math.clz32(counts[pair]!));
    counts[pair] = 0;
    const before = known[pair]!;
    if ((before & magnitude) !== 0) continue;
    if (before === 0) edges++;
    known[pair] = before | magnitude;
    isNew = true;
  }
  touchedCount = 0;
  last = 0;
  return isNew;
}

/** Pairs met so far. */
export function edgeCount(): number {
  return edges;
}
