import { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr';
import type { RecordForm } from '../store.js';

/** Octets of an encoded value: `bytes[start]` to `bytes[end - 1]`, good until anything is encoded with msgpackr. */
export interface Encoded {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** In the mode used here msgpackr hands out its own buffer and says in these fields where the value lies in it. */
type ReusedBuffer = Buffer & { readonly start?: number; readonly end?: number };

const withoutSubarray = REUSE_BUFFER_MODE | RESET_BUFFER_MODE;

/**
 * MessagePack of one table's values. Names of properties are kept once for the table (msgpackr's record
 * structures) and not in each record, so whoever stores a value must first have stored {@link structures}.
 */
export class Codec {
  readonly #packr: Packr;
  #structures: readonly string[][] = [];
  /** Grows with every change of the structures. */
  generation = 0;
  /** Must be there before a value of a table that has one is encoded or decoded. */
  form: RecordForm<unknown> | undefined;

  /** @param structures what {@link structures} was when the table's records were encoded. */
  constructor(structures?: Buffer) {
    this.#packr = new Packr({
      // a stored table cannot be opened with fewer than it has
      maxSharedStructures: 256,
      copyBuffers: true,
      getStructures: () => this.#structures.map((names) => [...names]),
      saveStructures: (next) => {
        this.#structures = (next as string[][]).map((names) => [...names]);
        this.generation++;
      },
    });
    if (structures) this.adopt(structures);
  }

  /** JSON: encoding it must not use the buffer of an encoded value. */
  get structures(): Buffer {
    return Buffer.from(JSON.stringify(this.#structures));
  }

  /** Takes structures that were stored later than those it was made with. They are only ever added to. */
  adopt(stored: Buffer): void {
    const structures = JSON.parse(stored.toString()) as string[][];
    if (structures.length > this.#structures.length) this.#structures = structures;
  }

  encode(value: unknown): Encoded {
    const bytes: ReusedBuffer = this.#packr.pack(this.form ? this.form.pack(value) : value, withoutSubarray);
    return { bytes, start: bytes.start ?? 0, end: bytes.end ?? bytes.length };
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    const stored: unknown = this.#packr.unpack(bytes, { start, end });
    return this.form ? this.form.unpack(stored) : stored;
  }
}
