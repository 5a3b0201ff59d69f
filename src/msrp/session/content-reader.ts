/** A message's next octets, and whether they are its last. */
export interface Cut {
  readonly octets: Buffer;
  readonly last: boolean;
}

/** Cuts the content of a message into chunks. */
export interface ContentReader {
  /** Octets of the whole, if known. */
  readonly size: number | undefined;
  /** @returns `later` while the source has not given enough; `failed` when it never will. */
  take(most: number): Cut | 'later' | 'failed';
  /** Asks the source, unless it is being asked. @param ready is called when it has answered. */
  prefetch(ready: () => void): void;
  /** Nothing more is wanted. */
  stop(): void;
}

export function readContent(
  content: Uint8Array | AsyncIterable<Uint8Array>,
  size: number | undefined,
): ContentReader {
  return content instanceof Uint8Array ? new BytesReader(content) : new IterableReader(content, size);
}

function bufferOf(octets: Uint8Array): Buffer {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}

class BytesReader implements ContentReader {
  readonly size: number;
  readonly #octets: Buffer;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = bufferOf(octets);
    this.size = octets.length;
  }

  take(most: number): Cut {
    const octets = this.#octets.subarray(this.#at, this.#at + most);
    this.#at += octets.length;
    return { octets, last: this.#at === this.size };
  }

  prefetch(): void {}
  stop(): void {}
}

class IterableReader implements ContentReader {
  readonly size: number | undefined;
  readonly #iterator: AsyncIterator<Uint8Array>;
  /** One piece ahead, because only what follows tells whether a piece is the last. */
  #pieces: Buffer[] = [];
  #asking = false;
  #ended = false;
  #failed = false;
  #given = 0;

  constructor(content: AsyncIterable<Uint8Array>, size: number | undefined) {
    this.size = size;
    this.#iterator = content[Symbol.asyncIterator]();
  }

  take(most: number): Cut | 'later' | 'failed' {
    if (this.#failed) return 'failed';
    const [piece = Buffer.alloc(0), next] = this.#pieces;
    if (!this.#ended && next === undefined) return 'later';
    const octets = piece.subarray(0, most);
    if (octets.length < piece.length) this.#pieces[0] = piece.subarray(most);
    else this.#pieces.shift();
    this.#given += octets.length;
    const last = this.#ended && this.#pieces.length === 0;
    if (this.size !== undefined && (this.#given > this.size || (last && this.#given < this.size)))
      return 'failed';
    return { octets, last };
  }

  prefetch(ready: () => void): void {
    if (this.#asking || this.#ended || this.#failed || this.#pieces.length > 1) return;
    this.#asking = true;
    this.#iterator.next().then(
      ({ done, value }) => {
        this.#asking = false;
        if (done) this.#ended = true;
        else if (value.length > 0) this.#pieces.push(bufferOf(value));
        if (!this.#ended && this.#pieces.length < 2) this.prefetch(ready);
        else ready();
      },
      () => {
        this.#failed = true;
        ready();
      },
    );
  }

  stop(): void {
    if (this.#ended || this.#failed) return;
    this.#ended = true;
    // a source that is a file is to be closed
    this.#iterator.return?.().catch(() => undefined);
  }
}
