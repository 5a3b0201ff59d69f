import { randomBytes } from 'node:crypto';
import { Packr } from 'msgpackr';
import type { RecordForm } from '../store.js';

/*
 * A record in Redis: version (u48), stamp (10 octets that no other put of any node has), the value as MessagePack.
 * Version and stamp together are the token that an update compares: a record that was removed and made again has
 * the version 1 once more, but never the stamp.
 */
const versionOctets = 6;
export const tokenOctets = 16;

/** What this node knows of a record. */
export interface Known {
  /** Its first octets, empty when there is no record. */
  readonly token: Buffer;
  readonly version: number;
  /** Undefined when there is no record. */
  readonly value: unknown;
}

export const noRecord: Known = { token: Buffer.alloc(0), version: 0, value: undefined };

/** Names of properties are in each record: nodes share no table of them. */
const packr = new Packr({ useRecords: false, copyBuffers: true, mapsAsObjects: true });

/** Makes the tokens of one node. */
export class Stamps {
  readonly #node = randomBytes(6);
  /** What no other node is called. */
  readonly node = this.#node.toString('hex');
  #next = 0;

  /** @returns a whole record and what is known of it. */
  stamp<T>(version: number, value: T, form?: RecordForm<T>): { octets: Buffer; known: Known } {
    const packed = packr.pack(form ? form.pack(value) : value);
    const octets = Buffer.allocUnsafe(tokenOctets + packed.length);
    octets.writeUIntBE(version, 0, versionOctets);
    this.#node.copy(octets, versionOctets);
    octets.writeUInt32BE(this.#next++ >>> 0, versionOctets + this.#node.length);
    packed.copy(octets, tokenOctets);
    return { octets, known: { token: octets.subarray(0, tokenOctets), version, value } };
  }
}

/** @param octets as Redis has them, null when it has none. */
export function readRecord<T>(octets: Buffer | null, form?: RecordForm<T>): Known {
  if (octets === null) return noRecord;
  const stored: unknown = packr.unpack(octets, { start: tokenOctets, end: octets.length });
  return {
    token: octets.subarray(0, tokenOctets),
    version: octets.readUIntBE(0, versionOctets),
    value: form ? form.unpack(stored) : stored,
  };
}

/** @param head the first octets of a record, or none. */
export function readVersion(head: Buffer): number {
  return head.length < versionOctets ? 0 : head.readUIntBE(0, versionOctets);
}
