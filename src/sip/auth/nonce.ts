import { createCipheriv, timingSafeEqual } from 'node:crypto';
import type { Cipher } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { RandomPool } from '../../identity/random-pool.js';

const BLOCK = 16;
const TIME = 6;
const MAC = 10;
const TOKEN = BLOCK + MAC;
const TEXT_LENGTH = Math.ceil((TOKEN * 4) / 3);

export interface NonceOptions {
  readonly clock: Clock;
  /** 16 octets; nodes with the same key understand each other's nonces, but do not share nonce counts. */
  readonly key: Uint8Array;
  /** Milliseconds from issue until a nonce is stale. */
  readonly lifetimeMs: number;
  /** Nonces whose count is remembered; when more are in use the oldest become stale early. */
  readonly capacity?: number;
  /** Each nonce serves one request (RFC 7616 §5.4), whatever its nonce count. */
  readonly singleUse?: boolean;
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

/**
 * Server nonces (RFC 7616 §3.3, §5.4). Issuing one keeps nothing: it carries its time, 80 random bits and a MAC. Only a nonce
 * that a right response came with is remembered, with its count, so that strangers cannot fill the table.
 *
 * The MAC is AES-128 of the one block that holds time and random bits, cut to 80 bits: on input of one fixed block a
 * block cipher is a pseudo-random function.
 */
export class ServerNonces {
  readonly #clock: Clock;
  readonly #lifetimeMs: number;
  readonly #perGeneration: number;
  readonly #singleUse: boolean;
  readonly #mac: Cipher;
  readonly #random = new RandomPool();
  readonly #token = Buffer.allocUnsafeSlow(TOKEN);
  #current: Generation;
  #previous: Generation;
  /** Nonces issued up to this moment may have been forgotten although they had not expired. */
  #forgottenUpTo = -Infinity;

  constructor(options: NonceOptions) {
    const { clock, key, lifetimeMs, capacity = 100_000, singleUse = false } = options;
    this.#clock = clock;
    this.#lifetimeMs = lifetimeMs;
    this.#perGeneration = Math.max(1, Math.ceil(capacity / 2));
    this.#singleUse = singleUse;
    this.#mac = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    this.#current = new Generation(clock.now());
    this.#previous = new Generation(clock.now());
  }

  /** Nonces whose count is remembered now. */
  get size(): number {
    return this.#current.uses.size + this.#previous.uses.size;
  }

  /** A fresh nonce of 35 base64url characters. */
  issue(): string {
    const token = this.#token;
    token.writeUIntBE(this.#clock.now(), 0, TIME);
    this.#random.copyTo(token, TIME, BLOCK - TIME);
    this.#mac.update(token.subarray(0, BLOCK)).copy(token, BLOCK, 0, MAC);
    return token.toString('base64url');
  }

  /**
   * Uses a nonce up to a count. To be asked only after the response was found right.
   * @param nc nonce count as received; undefined for a client without qop, whose nonce then serves once.
   * @returns false when the nonce is expired, unknown, or was used with this count or a higher one: the client is to be
   * challenged with `stale=true`.
   */
  spend(nonce: string, nc: string | undefined): boolean {
    const now = this.#clock.now();
    const count = this.#singleUse || nc === undefined ? Infinity : parseInt(nc, 16);
    const use = this.#current.uses.get(nonce) ?? this.#previous.uses.get(nonce);
    if (use) {
      if (use.expiresAt <= now || !(count > use.count)) return false;
      use.count = count;
      return true;
    }
    const issuedAt = this.#issueTime(nonce);
    if (issuedAt === undefined || issuedAt <= this.#forgottenUpTo) return false;
    const expiresAt = issuedAt + this.#lifetimeMs;
    if (expiresAt <= now || !(count > 0)) return false;
    this.#remember(nonce, { count, issuedAt, expiresAt }, now);
    return true;
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

  /** When this server, or one with the same key, issued a nonce; undefined for any other text. */
  #issueTime(nonce: string): number | undefined {
    if (nonce.length !== TEXT_LENGTH) return undefined;
    const given = Buffer.from(nonce, 'base64url');
    if (given.length !== TOKEN || given.toString('base64url') !== nonce) return undefined;
    const mac = this.#mac.update(given.subarray(0, BLOCK)).subarray(0, MAC);
    return timingSafeEqual(mac, given.subarray(BLOCK)) ? given.readUIntBE(0, TIME) : undefined;
  }
}
