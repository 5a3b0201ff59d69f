/** Pieces at least this long go to the socket as they are; shorter ones are copied together. */
const OWN_WRITE_OCTETS = 2_048;

/**
 * Collects pieces of output and gives them back as few buffers: one system call then carries many small messages,
 * while long pieces of bodies are never copied.
 */
export class OutputBatch {
  #pieces: (string | Buffer)[] = [];
  #octets = 0;

  get octets(): number {
    return this.#octets;
  }

  add(piece: string | Buffer): void {
    this.#pieces.push(piece);
    this.#octets += piece.length;
  }

  /** Everything added since the last call. */
  take(): Buffer[] {
    const pieces = this.#pieces;
    const buffers: Buffer[] = [];
    for (let from = 0; from < pieces.length;) {
      const piece = pieces[from]!;
      if (typeof piece !== 'string' && piece.length >= OWN_WRITE_OCTETS) {
        buffers.push(piece);
        from++;
        continue;
      }
      let to = from;
      let octets = 0;
      for (; to < pieces.length; to++) {
        const next = pieces[to]!;
        if (typeof next !== 'string' && next.length >= OWN_WRITE_OCTETS) break;
        octets += next.length;
      }
      buffers.push(join(pieces, from, to, octets));
      from = to;
    }
    this.#pieces = [];
    this.#octets = 0;
    return buffers;
  }
}

function join(pieces: readonly (string | Buffer)[], from: number, to: number, octets: number): Buffer {
  const joined = Buffer.allocUnsafe(octets);
  let at = 0;
  for (let i = from; i < to; i++) {
    const piece = pieces[i]!;
    if (typeof piece === 'string') joined.write(piece, at, 'latin1');
    else piece.copy(joined, at);
    at += piece.length;
  }
  return joined;
}
