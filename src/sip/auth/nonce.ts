import { createCipheriv, randomInt, timingSafeEqual } from 'node:crypto';
import type { Cipher } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import type { Soon } from '../../base/soon.js';
import { RandomPool } from '../../identity/random-pool.js';

const BLOCK = 16;
const TIME = 6;
const MAKER = 4;
const MAC = 10;
const TOKEN = BLOCK + MAC;
const TEXT_LENGTH = Math.ceil((TOKEN * 4) / 3);
/** The maker of nonces that all nodes count together. */
const ALL_NODES = 0;
/** Higher than any nonce count: nothing comes after it. */
const LAST = 2 ** 32;

/** Where nodes count the use of a nonce together. */
export interface NonceUses {
  /**
   * Raises the count of a nonce.
   * @param expiresAt after it, in milliseconds since the epoch, the nonce need not be remembered.
   * @returns false when it was used with this count or a higher one.
   */
  spend(nonce: string, count: number, expiresAt: number): Promise<boolean>;
}

/**
 * What came of spending a nonce. `stale`: it is expired, unknown, or was used with this count or a higher one. `elsewhere`: another node
 * made it and knows how it was used, or all nodes count it: who answers goes to several of them.
 */
export type Spent = 'spent' | 'stale' | 'elsewhere';

export interface NonceOptions {
  readonly clock: Clock;
  /** 16 octets, the same at nodes that challenge the same clients. */
  readonly key: Uint8Array;
  /** Milliseconds from issue until a nonce is stale. */
  readonly lifetimeMs: number;
  /** Nonces whose count is remembered; when more are in use the oldest become stale early. */
  readonly capacity?: number;
  /** Each nonce serves one request (RFC 7616 §5.4), whatever its nonce count. */
  readonly singleUse?: boolean;
  /** Without it only the node that made a nonce takes it. */
  readonly uses?: NonceUses | undefined;
}

/** What is remembered of a nonce in use. */
interface Use {
  /** Highest nonce count so far. */
  count: number;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** Nonces that came into use in one span of time, forgotten together. */
class Generation {
  readonly uses = new Map<string, Use>();
  readonly startedAt: number;
  newestIssue = -Infinity;

  constructor(startedAt: number) {
    this.startedAt = startedAt;
  }
}

/** What a nonce of ours says of itself. */
interface Origin {
  /** The nonce by itself: what was received is a slice of its whole message, which it would keep in memory. */
  readonly text: string;
  readonly issuedAt: number;
  /** {@link ALL_NODES}, or the number that a node has drawn for this life of its process. */
  readonly maker: number;
}

/**
 * Server nonces (RFC 7616 §3.3, §5.4). Issuing one keeps nothing: it carries its time, its maker, 48 random bits and a MAC. Only a nonce
 * that a right response came with is remembered, with its count, so that strangers cannot fill the table.
 *
 * A nonce is good at the node that made it, whose memory has its count. A client that brings it to another one gets there one that all
 * nodes count together, so that no request is taken twice, wherever it is replayed, and only clients that move cost a round trip to the store.
 *
 * The MAC is AES-128 of the one block that holds time and random bits, cut to 80 bits: on input of one fixed block a
 * block cipher is a pseudo-random function.
 */
export class ServerNonces {
  readonly #clock: Clock;
  readonly #lifetimeMs: number;
  readonly #perGeneration: number;
  readonly #singleUse: boolean;
  readonly #uses: NonceUses | undefined;
  readonly #maker = randomInt(ALL_NODES + 1, 2 ** 32);
  readonly #mac: Cipher;
  readonly #random = new RandomPool();
  readonly #token = Buffer.allocUnsafeSlow(TOKEN);
  #current: Generation;
  #previous: Generation;
  /** Nonces issued up to this moment may have been forgotten although they had not expired. */
  #forgottenUpTo = -Infinity;

  constructor(options: NonceOptions) {
    const { clock, key, lifetimeMs, capacity = 100_000, singleUse = false, uses } = options;
    this.#clock = clock;
    this.#lifetimeMs = lifetimeMs;
    this.#perGeneration = Math.max(1, Math.ceil(capacity / 2));
    this.#singleUse = singleUse;
    this.#uses = uses;
    this.#mac = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    this.#current = new Generation(clock.now());
    this.#previous = new Generation(clock.now());
  }

  /** Nonces whose count is remembered now. */
  get size(): number {
    return this.#current.uses.size + this.#previous.uses.size;
  }

  /** A fresh nonce of 35 base64url characters. @param anywhere whether any node is to take it, where nodes count together. */
  issue(anywhere = false): string {
    const token = this.#token;
    token.writeUIntBE(this.#clock.now(), 0, TIME);
    token.writeUInt32BE(anywhere && this.#uses ? ALL_NODES : this.#maker, TIME);
    this.#random.copyTo(token, TIME + MAKER, BLOCK - TIME - MAKER);
    this.#mac.update(token.subarray(0, BLOCK)).copy(token, BLOCK, 0, MAC);
    return token.toString('base64url');
  }

  /**
   * Uses a nonce up to a count. To be asked only after the response was found right. Unless it is spent, the client is to be challenged
   * with `stale=true`. Throws what the store of the common counts throws.
   * @param nc nonce count as received; undefined for a client without qop, whose nonce then serves once.
   */
  spend(nonce: string, nc: string | undefined): Soon<Spent> {
    const now = this.#clock.now();
    const count = this.#singleUse || nc === undefined ? LAST : parseInt(nc, 16);
    const use = this.#current.uses.get(nonce) ?? this.#previous.uses.get(nonce);
    if (use) {
      if (use.expiresAt <= now || !(count > use.count)) return 'stale';
      use.count = count;
      return 'spent';
    }
    const origin = this.#originOf(nonce);
    if (!origin) return 'stale';
    const { text, issuedAt, maker } = origin;
    const expiresAt = issuedAt + this.#lifetimeMs;
    const isGood = expiresAt > now && count > 0;
    if (maker === ALL_NODES) return isGood ? this.#spendAnywhere(nonce, count, expiresAt) : 'elsewhere';
    if (maker !== this.#maker) return isGood ? 'elsewhere' : 'stale';
    if (!isGood || issuedAt <= this.#forgottenUpTo) return 'stale';
    this.#remember(text, { count, issuedAt, expiresAt }, now);
    return 'spent';
  }

  async #spendAnywhere(nonce: string, count: number, expiresAt: number): Promise<Spent> {
    return (await this.#uses?.spend(nonce, count, expiresAt)) === true ? 'spent' : 'elsewhere';
  }

  #remember(nonce: string, use: Use, now: number): void {
    const outlived = now - this.#current.startedAt >= this.#lifetimeMs;
    if (outlived || this.#current.uses.size >= this.#perGeneration) {
      // a generation that ended a lifetime ago holds expired nonces only; else its nonces must not pass for new ones
      if (now - this.#current.startedAt < this.#lifetimeMs) {
        this.#forgottenUpTo = Math.max(this.#forgottenUpTo, this.#previous.newestIssue);
      }
      this.#previous = this.#current;
      this.#current = new Generation(now);
    }
    this.#current.uses.set(nonce, use);
    this.#current.newestIssue = Math.max(this.#current.newestIssue, use.issuedAt);
  }

  /** When and by whom a nonce was made, when it was one with our key; undefined for any other text. */
  #originOf(nonce: string): Origin | undefined {
    if (nonce.length !== TEXT_LENGTH) return undefined;
    const given = Buffer.from(nonce, 'base64url');
    const text = given.toString('base64url');
    if (given.length !== TOKEN || text !== nonce) return undefined;
    const mac = this.#mac.update(given.subarray(0, BLOCK)).subarray(0, MAC);
    if (!timingSafeEqual(mac, given.subarray(BLOCK))) return undefined;
    return { text, issuedAt: given.readUIntBE(0, TIME), maker: given.readUInt32BE(TIME) };
  }
}
