import { readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { storeError } from '../errors.js';
import { readBatch, type Entry } from './batch.js';

export const journalSignature = Buffer.from('parley journal 1\n');
const namePattern = /^journal-(\d{10})\.log$/;

export function segmentPath(folder: string, segment: number): string {
  return join(folder, `journal-${String(segment).padStart(10, '0')}.log`);
}

/** Segments that are in a folder, oldest first. */
export function segmentsIn(folder: string): number[] {
  return readdirSync(folder)
    .flatMap((name) => namePattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Removes the segments up to and including `last`. */
export function removeSegments(folder: string, last: number): void {
  for (const segment of segmentsIn(folder)) if (segment <= last) unlinkSync(segmentPath(folder, segment));
}

/** What reading a journal back has found besides its entries. */
export interface Replayed {
  readonly nextSequence: number;
  /** Octets after the last whole batch of a segment. After `kill -9` that is a batch nobody was told of. */
  readonly octetsDropped: number;
  /** Batches that are missing between others: a power cut or a bad disk took acknowledged updates. */
  readonly batchesMissing: number;
}

/**
 * Reads segments back, in order. A batch holds whole records, so those after a missing one are still good.
 * @throws ParleyError `store-broken` when a file is of another version.
 */
export function replay(
  folder: string,
  segments: readonly number[],
  onEntry: (entry: Entry) => void,
): Replayed {
  let expected: number | undefined;
  let octetsDropped = 0;
  let batchesMissing = 0;
  for (const segment of segments) {
    const path = segmentPath(folder, segment);
    const bytes = readFileSync(path);
    if (!bytes.subarray(0, journalSignature.length).equals(journalSignature.subarray(0, bytes.length))) {
      throw storeError('store-broken', `${path} is not a journal of this version`);
    }
    let at = Math.min(bytes.length, journalSignature.length);
    for (let batch = readBatch(bytes, at); batch; batch = readBatch(bytes, at)) {
      for (const entry of batch.entries) onEntry(entry);
      batchesMissing += batch.sequence - (expected ?? batch.sequence);
      expected = batch.sequence + 1;
      at = batch.next;
    }
    octetsDropped += bytes.length - at;
  }
  return { nextSequence: expected ?? 1, octetsDropped, batchesMissing };
}
