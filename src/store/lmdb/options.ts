/**
 * When the disk itself must have what was committed; `kill -9` loses nothing with any of them.
 * - `none`: when the kernel likes. A power cut may lose about the last half minute.
 * - `interval`: once a second. A power cut may lose the last second.
 * - `commit`: before the acknowledgement. A power cut loses nothing that was acknowledged.
 *
 * With each of them a power cut leaves records whole, and none older than its last checkpoint.
 */
export type SyncMode = 'none' | 'interval' | 'commit';

export const syncModes: readonly SyncMode[] = ['none', 'interval', 'commit'];

export interface LmdbOptions {
  readonly sync: SyncMode;
  /** Records of a table that are kept decoded: those in use now. Many more would be copied by each garbage collection. */
  readonly decodedRecords: number;
  /** The same of a table that is mostly read: they grow old, and are copied no more. */
  readonly decodedWhereRead: number;
  /** Octets of records in memory at which they are written to the files. */
  readonly memoryOctets: number;
  /** Octets of the journal at which the records in memory are written to the files. */
  readonly journalOctets: number;
  /** Milliseconds after which they are written in any case. */
  readonly checkpointMs: number;
  /** Octets of records in memory, and of the journal, at which updates wait for the files. */
  readonly memoryLimit: number;
  readonly journalLimit: number;
}

/** A registrar's records are soft state that phones renew: losing a second of it to a power cut costs a refresh. */
export const lmdbDefaults: LmdbOptions = {
  sync: 'interval',
  decodedRecords: 64,
  decodedWhereRead: 16_384,
  memoryOctets: 64 * 1024 * 1024,
  journalOctets: 256 * 1024 * 1024,
  checkpointMs: 60_000,
  memoryLimit: 192 * 1024 * 1024,
  journalLimit: 1024 * 1024 * 1024,
};
