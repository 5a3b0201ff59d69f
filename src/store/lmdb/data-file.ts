import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { storeError } from '../errors.js';

/* From lmdb.h and mdb.c of LMDB 0.9.9x as the lmdb package builds it, for 64-bit little-endian machines. */
const metaOctets = 0xa8;
const metaFlag = 0x08;
const magic = 0xbeefc0de;
const dataVersion = 2;
/** The file may end before its last page when that is free. */
const pagesThatMayBeMissing = 64;

interface Meta {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: bigint;
}

/**
 * Looks at what LMDB would trust without looking: it takes the process down when `data.mdb` is not what it should be.
 * @throws ParleyError `store-broken`.
 */
export function checkDataFile(folder: string): void {
  const path = join(folder, 'data.mdb');
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    if (size === 0) return;
    const first = readMeta(fd, 0);
    const second = first && readMeta(fd, first.pageSize);
    if (!first || !second) throw storeError('store-broken', `${path} is not a data file, or is damaged`);
    const newest = first.transaction > second.transaction ? first : second;
    const missing = newest.lastPage + 1 - Math.floor(size / newest.pageSize);
    if (missing > pagesThatMayBeMissing) {
      throw storeError('store-broken', `${path} was cut off: ${missing} of its pages are missing`);
    }
  } finally {
    closeSync(fd);
  }
}

function readMeta(fd: number, at: number): Meta | undefined {
  const page = Buffer.alloc(metaOctets);
  if (readSync(fd, page, 0, metaOctets, at) < metaOctets) return undefined;
  const isMeta =
    (page.readUInt16LE(0x12) & metaFlag) !== 0 &&
    page.readUInt32LE(0x18) === magic &&
    (page.readUInt32LE(0x1c) & 0xffff) === dataVersion;
  const pageSize = page.readUInt32LE(0x30);
  if (!isMeta || pageSize < 256 || pageSize > 65_536) return undefined;
  return { pageSize, lastPage: Number(page.readBigUInt64LE(0x90)), transaction: page.readBigUInt64LE(0x98) };
}
