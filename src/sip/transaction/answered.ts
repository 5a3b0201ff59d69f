import { randomInt } from 'node:crypto';
import type { Clock, Timer } from '../../base/clock.js';

export interface AnsweredLimits {
  /** Requests remembered. */
  readonly count: number;
  /** Octets of their keys and responses. */
  readonly bytes: number;
}

const CHUNK_BYTES = 1 << 20;
/** Chunks kept for use again. */
const SPARE_CHUNKS = 8;
const FIRST_SLOTS = 1 << 12;

interface Chunk {
  readonly octets: Buffer;
  used: number;
  /** Records that still lie in it. */
  live: number;
}

/**
 * The Completed state of all non-INVITE server transactions over UDP (RFC 3261 §17.2.2): key and response for as
 * long as Timer J runs. At 20,000 requests a second that is 640,000 of them, so they are records in byte chunks
 * and typed arrays that the garbage collector never walks. Their life is equally long, so they end in the order
 * of their making: slots form a ring, and chunks go as a whole. Beyond the limits the oldest go early.
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
  #table = new SlotTable(FIRST_SLOTS);
  #oldest = 0;
  #size = 0;
  #bytes = 0;
  #sweep: Timer | undefined;

  /** @param lifetime Timer J in milliseconds. */
  constructor(clock: Clock, lifetime: number, limits: AnsweredLimits) {
    this.#clock = clock;
    this.#lifetime = lifetime;
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** Octets of keys and responses held. */
  get bytes(): number {
    return this.#bytes;
  }

  add(key: string, response: Buffer): void {
    this.#look(key);
    const keyBytes = this.#text.length;
    const total = keyBytes + response.length;
    if (total > CHUNK_BYTES || total > this.#limits.bytes) return;
    const now = this.#clock.now();
    this.#expire(now);
    while (this.#size >= this.#limits.count || this.#bytes + total > this.#limits.bytes) this.#dropOldest();
    if (this.#size === this.#table.capacity) this.#grow();
    const chunk = this.#chunkFor(total);
    const offset = chunk.used;
    chunk.octets.write(this.#text, offset, 'latin1');
    chunk.octets.set(response, offset + keyBytes);
    chunk.used += total;
    chunk.live++;
    const table = this.#table;
    const slot = (this.#oldest + this.#size) & (table.capacity - 1);
    table.chunk[slot] = this.#firstChunk + this.#chunks.length - 1;
    table.offset[slot] = offset;
    table.keyBytes[slot] = keyBytes;
    table.responseBytes[slot] = response.length;
    table.expires[slot] = now + this.#lifetime;
    table.link(slot, this.#hash);
    this.#size++;
    this.#bytes += total;
    if (!this.#sweep) this.#sweep = this.#clock.after(this.#lifetime, this.#onSweep);
  }

  /** The response to send again, or undefined. Its octets are only good until the next {@link add}. */
  find(key: string): Buffer | undefined {
    if (this.#size === 0) return undefined;
    const table = this.#table;
    this.#look(key);
    const hash = this.#hash;
    for (let slot = table.first(hash); slot >= 0; slot = table.next(slot)) {
      if (table.hashes[slot] !== hash) continue;
      const { octets } = this.#chunks[table.chunk[slot]! - this.#firstChunk]!;
      const offset = table.offset[slot]!;
      const start = offset + table.keyBytes[slot]!;
      if (octets.toString('latin1', offset, start) !== this.#text) continue;
      if (table.expires[slot]! <= this.#clock.now()) return undefined;
      return octets.subarray(start, start + table.responseBytes[slot]!);
    }
    return undefined;
  }

  readonly #onSweep = (): void => {
    this.#sweep = undefined;
    const now = this.#clock.now();
    this.#expire(now);
    if (this.#size > 0) {
      const wait = this.#table.expires[this.#oldest]! - now;
      this.#sweep = this.#clock.after(Math.max(wait, this.#lifetime / 8), this.#onSweep);
    }
  };

  #expire(now: number): void {
    while (this.#size > 0 && this.#table.expires[this.#oldest]! <= now) this.#dropOldest();
  }

  #dropOldest(): void {
    const table = this.#table;
    const slot = this.#oldest;
    table.unlink(slot);
    this.#bytes -= table.keyBytes[slot]! + table.responseBytes[slot]!;
    this.#oldest = (slot + 1) & (table.capacity - 1);
    this.#size--;
    const chunk = this.#chunks[0]!;
    if (--chunk.live > 0) return;
    this.#chunks.shift();
    this.#firstChunk++;
    // under steady load as many chunks are needed as become free, and memory fresh from the system costs page faults
    if (this.#spare.length < SPARE_CHUNKS) this.#spare.push(chunk);
  }

  #chunkFor(total: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last && last.used + total <= CHUNK_BYTES) return last;
    const chunk = this.#spare.pop() ?? { octets: Buffer.allocUnsafeSlow(CHUNK_BYTES), used: 0, live: 0 };
    chunk.used = 0;
    this.#chunks.push(chunk);
    return chunk;
  }

  #grow(): void {
    this.#table = this.#table.doubled(this.#oldest, this.#size);
    this.#oldest = 0;
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

/** Columns of the ring of records, and hash chains through them. Links are slot + 1, so that zero means none. */
class SlotTable {
  readonly capacity: number;
  readonly chunk: Uint32Array;
  readonly offset: Uint32Array;
  readonly keyBytes: Uint32Array;
  readonly responseBytes: Uint32Array;
  readonly expires: Float64Array;
  readonly hashes: Uint32Array;
  readonly #heads: Uint32Array;
  readonly #links: Uint32Array;

  /** @param capacity a power of two. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.chunk = new Uint32Array(capacity);
    this.offset = new Uint32Array(capacity);
    this.keyBytes = new Uint32Array(capacity);
    this.responseBytes = new Uint32Array(capacity);
    this.expires = new Float64Array(capacity);
    this.hashes = new Uint32Array(capacity);
    this.#heads = new Uint32Array(capacity);
    this.#links = new Uint32Array(capacity);
  }

  first(hash: number): number {
    return this.#heads[hash & (this.capacity - 1)]! - 1;
  }

  next(slot: number): number {
    return this.#links[slot]! - 1;
  }

  link(slot: number, hash: number): void {
    const bucket = hash & (this.capacity - 1);
    this.hashes[slot] = hash;
    this.#links[slot] = this.#heads[bucket]!;
    this.#heads[bucket] = slot + 1;
  }

  unlink(slot: number): void {
    const bucket = this.hashes[slot]! & (this.capacity - 1);
    if (this.#heads[bucket] === slot + 1) {
      this.#heads[bucket] = this.#links[slot]!;
      return;
    }
    let before = this.#heads[bucket]! - 1;
    while (before >= 0 && this.#links[before] !== slot + 1) before = this.#links[before]! - 1;
    if (before >= 0) this.#links[before] = this.#links[slot]!;
  }

  /** A table twice as large with the ring's records, the oldest in slot 0. */
  doubled(oldest: number, size: number): SlotTable {
    const table = new SlotTable(this.capacity * 2);
    for (let i = 0; i < size; i++) {
      const from = (oldest + i) & (this.capacity - 1);
      table.chunk[i] = this.chunk[from]!;
      table.offset[i] = this.offset[from]!;
      table.keyBytes[i] = this.keyBytes[from]!;
      table.responseBytes[i] = this.responseBytes[from]!;
      table.expires[i] = this.expires[from]!;
      table.link(i, this.hashes[from]!);
    }
    return table;
  }
}
