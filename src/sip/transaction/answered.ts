import { randomInt } from 'node:crypto';
import type { Clock, Timer } from '../../base/clock.js';
import type { Writing } from '../message/serialize.js';
import { AnsweredFilter } from './answered-filter.js';
import { AnsweredTable } from './answered-table.js';

export interface AnsweredLimits {
  /** Requests remembered. */
  readonly count: number;
  /** Octets of their keys and responses. */
  readonly bytes: number;
}

const CHUNK_BYTES = 1 << 20;
/** Chunks kept for use again. */
const SPARE_CHUNKS = 8;
const LEAST_SLOTS = 1 << 12;
const MOST_SLOTS = 1 << 18;

interface Chunk {
  readonly octets: Buffer;
  used: number;
  /** Records that still lie in it. */
  live: number;
}

/**
 * Octets that V8 does not count. What an ArrayBuffer holds counts as memory that a collection might free, so that while load
 * grows the whole heap would be collected every megabyte or so, and to no end: these records live for half a minute.
 */
const unaccounted = (bytes: number): Buffer => Buffer.from(new SharedArrayBuffer(bytes));

/**
 * The Completed state of all non-INVITE server transactions over UDP (RFC 3261 §17.2.2): key and response for as
 * long as Timer J runs. At 20,000 requests a second that is 640,000 of them, so they are records in byte chunks
 * and typed arrays that the garbage collector never walks. Their life is equally long, so they leave in the order in
 * which they came, and chunks and tables go as a whole. Beyond the limits the oldest leave early.
 */
export class AnsweredRequests {
  readonly #clock: Clock;
  readonly #lifetime: number;
  readonly #limits: AnsweredLimits;
  readonly #seed = randomInt(0x7fff_ffff);
  /** The key looked at last, one character an octet in `#text`. */
  #key = '';
  #text = '';
  #hash = 0;
  readonly #chunks: Chunk[] = [];
  readonly #spare: Chunk[] = [];
  /** Sequence number of chunks[0]. */
  #firstChunk = 0;
  /** Oldest first; never empty. */
  readonly #tables = [new AnsweredTable(LEAST_SLOTS)];
  readonly #filter: AnsweredFilter;
  #size = 0;
  #bytes = 0;
  #sweep: Timer | undefined;

  /** @param lifetime Timer J in milliseconds. */
  constructor(clock: Clock, lifetime: number, limits: AnsweredLimits) {
    this.#clock = clock;
    this.#lifetime = lifetime;
    this.#limits = limits;
    this.#filter = new AnsweredFilter(lifetime);
  }

  get size(): number {
    return this.#size;
  }

  /** Octets of keys and responses held. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Writes a response where it is kept: it is sent from there, since writing it twice would cost as much as sending it does.
   * @returns its octets, good while it is remembered. One that is too large to be stands by itself.
   */
  add(key: string, response: Writing): Buffer {
    this.#look(key);
    const keyBytes = this.#text.length;
    const most = keyBytes + response.most;
    if (most > CHUNK_BYTES || most > this.#limits.bytes) return byItself(response);
    const now = this.#clock.now();
    this.#expire(now);
    while (this.#size >= this.#limits.count || this.#bytes + most > this.#limits.bytes) this.#dropOldest();
    const chunk = this.#chunkFor(most);
    const start = chunk.used + keyBytes;
    chunk.octets.write(this.#text, chunk.used, 'latin1');
    const end = response.writeTo(chunk.octets, start);
    const table = this.#tableToFill();
    const slot = table.add(this.#hash);
    this.#filter.add(this.#hash, now);
    table.chunk[slot] = this.#firstChunk + this.#chunks.length - 1;
    table.offset[slot] = chunk.used;
    table.keyBytes[slot] = keyBytes;
    table.responseBytes[slot] = end - start;
    table.expires[slot] = now + this.#lifetime;
    this.#bytes += end - chunk.used;
    chunk.used = end;
    chunk.live++;
    this.#size++;
    if (!this.#sweep) this.#sweep = this.#clock.after(this.#lifetime, this.#onSweep);
    return chunk.octets.subarray(start, end);
  }

  /** The response to send again, or undefined. Its octets are only good until the next {@link add}. */
  find(key: string): Buffer | undefined {
    if (this.#size === 0) return undefined;
    this.#look(key);
    if (!this.#filter.has(this.#hash)) return undefined;
    for (let i = this.#tables.length - 1; i >= 0; i--) {
      const table = this.#tables[i]!;
      for (let slot = table.newest(this.#hash); slot >= 0; slot = table.older(slot)) {
        const { octets } = this.#chunks[table.chunk[slot]! - this.#firstChunk]!;
        const offset = table.offset[slot]!;
        const start = offset + table.keyBytes[slot]!;
        if (octets.toString('latin1', offset, start) !== this.#text) continue;
        if (table.expires[slot]! <= this.#clock.now()) return undefined;
        return octets.subarray(start, start + table.responseBytes[slot]!);
      }
    }
    return undefined;
  }

  readonly #onSweep = (): void => {
    this.#sweep = undefined;
    const now = this.#clock.now();
    this.#expire(now);
    if (this.#size > 0) {
      const oldest = this.#tables[0]!;
      const wait = oldest.expires[oldest.head]! - now;
      this.#sweep = this.#clock.after(Math.max(wait, this.#lifetime / 8), this.#onSweep);
    }
  };

  #expire(now: number): void {
    while (this.#size > 0) {
      const oldest = this.#tables[0]!;
      if (oldest.expires[oldest.head]! > now) return;
      this.#dropOldest();
    }
  }

  #dropOldest(): void {
    const table = this.#tables[0]!;
    const slot = table.head++;
    this.#bytes -= table.keyBytes[slot]! + table.responseBytes[slot]!;
    this.#size--;
    if (table.size === 0 && this.#tables.length > 1) this.#tables.shift();
    const chunk = this.#chunks[0]!;
    if (--chunk.live > 0) return;
    this.#chunks.shift();
    this.#firstChunk++;
    // under steady load as many chunks are needed as become free, and memory fresh from the system costs page faults
    if (this.#spare.length < SPARE_CHUNKS) this.#spare.push(chunk);
  }

  /** The newest table, or one more when that is full: nothing is moved, so growing takes no longer than anything else. */
  #tableToFill(): AnsweredTable {
    const newest = this.#tables.at(-1)!;
    if (!newest.full) return newest;
    let capacity = LEAST_SLOTS;
    while (capacity < this.#size && capacity < MOST_SLOTS) capacity *= 2;
    if (newest.size === 0) this.#tables.pop();
    const table = new AnsweredTable(capacity);
    this.#tables.push(table);
    return table;
  }

  #chunkFor(total: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last && last.used + total <= CHUNK_BYTES) return last;
    const chunk = this.#spare.pop() ?? { octets: unaccounted(CHUNK_BYTES), used: 0, live: 0 };
    chunk.used = 0;
    this.#chunks.push(chunk);
    return chunk;
  }

  /**
   * Makes `#text` and `#hash` those of a key; a request is asked for when it comes and added when it is answered,
   * often in one go. FNV-1a from a random seed with MurmurHash3's finish: branches that collide are hard to choose.
   */
  #look(key: string): void {
    if (key === this.#key) return;
    let hash = this.#seed;
    let all = 0;
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i);
      all |= code;
      hash = Math.imul(hash ^ code, 0x0100_0193);
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
    this.#hash = (hash ^ (hash >>> 16)) >>> 0;
    this.#key = key;
    this.#text = all < 256 ? key : Buffer.from(key, 'utf8').toString('latin1');
  }
}

function byItself(response: Writing): Buffer {
  const octets = Buffer.allocUnsafe(response.most);
  return octets.subarray(0, response.writeTo(octets, 0));
}
