import { crc32 } from 'node:zlib';

/*
 * A batch on disk: length of the body (u32), CRC-32 of what follows it (u32), sequence number (f64), body.
 * The body is entries: kind (u8), table (u8), length of the key (u16), length of the value (u32),
 * deadline in ms since the epoch or Infinity (f64), key (UTF-8), value. All numbers are little-endian.
 */
const headerOctets = 16;
const entryOctets = 16;

export const entryKind = { put: 1, remove: 2, table: 3 } as const;

/** An entry as it is read back; key and value lie in the buffer that was read. */
export interface Entry {
  readonly kind: number;
  readonly table: number;
  readonly key: string;
  readonly deadline: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Collects the entries of one batch in one buffer, which is written as it is. */
export class BatchWriter {
  #bytes: Buffer;
  #end = headerOctets;

  /** @param octets to begin with; it grows. */
  constructor(octets = 256 * 1024) {
    this.#bytes = Buffer.allocUnsafeSlow(octets);
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Octets of the batch with its header. */
  get length(): number {
    return this.#end;
  }

  get isEmpty(): boolean {
    return this.#end === headerOctets;
  }

  /** @returns where the value begins in {@link bytes}. */
  add(
    kind: number,
    table: number,
    key: string,
    deadline: number,
    from: Buffer,
    start: number,
    end: number,
  ): number {
    const valueLength = end - start;
    this.#reserve(entryOctets + key.length * 3 + valueLength);
    const bytes = this.#bytes;
    const at = this.#end;
    const keyLength = bytes.write(key, at + entryOctets);
    bytes[at] = kind;
    bytes[at + 1] = table;
    bytes.writeUInt16LE(keyLength, at + 2);
    bytes.writeUInt32LE(valueLength, at + 4);
    bytes.writeDoubleLE(deadline, at + 8);
    const valueStart = at + entryOctets + keyLength;
    from.copy(bytes, valueStart, start, end);
    this.#end = valueStart + valueLength;
    return valueStart;
  }

  /** Completes the header; then `bytes` from 0 to `length` is what goes to disk. */
  seal(sequence: number): void {
    this.#bytes.writeUInt32LE(this.#end - headerOctets, 0);
    this.#bytes.writeDoubleLE(sequence, 8);
    this.#bytes.writeUInt32LE(crc32(this.#bytes.subarray(8, this.#end)), 4);
  }

  clear(): void {
    this.#end = headerOctets;
  }

  #reserve(octets: number): void {
    if (this.#end + octets <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#end + octets));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

/**
 * Reads the batch at `at`.
 * @returns its sequence number, entries and where the next begins, or undefined when there is no whole batch.
 */
export function readBatch(
  bytes: Buffer,
  at: number,
): { sequence: number; entries: Iterable<Entry>; next: number } | undefined {
  if (at + headerOctets > bytes.length) return undefined;
  const next = at + headerOctets + bytes.readUInt32LE(at);
  if (next > bytes.length || crc32(bytes.subarray(at + 8, next)) !== bytes.readUInt32LE(at + 4))
    return undefined;
  return { sequence: bytes.readDoubleLE(at + 8), entries: readEntries(bytes, at + headerOctets, next), next };
}

function* readEntries(bytes: Buffer, from: number, to: number): Generator<Entry> {
  for (let at = from; at < to;) {
    const keyStart = at + entryOctets;
    const start = keyStart + bytes.readUInt16LE(at + 2);
    const end = start + bytes.readUInt32LE(at + 4);
    yield {
      kind: bytes[at]!,
      table: bytes[at + 1]!,
      key: bytes.toString('utf8', keyStart, start),
      deadline: bytes.readDoubleLE(at + 8),
      bytes,
      start,
      end,
    };
    at = end;
  }
}
