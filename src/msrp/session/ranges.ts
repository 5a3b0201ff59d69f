/** More pieces apart from one another than any honest sender makes. */
const MAX_GAPS = 64;

/** Which octets of a message have come. Positions count from 1 (RFC 4975 §7.1.1). */
export class ReceivedRanges {
  /** Sorted, apart from one another by at least one octet: first, last, first, last. */
  #bounds: number[] = [];

  /** Octets from the first without a gap. */
  get contiguous(): number {
    return this.#bounds[0] === 1 ? this.#bounds[1]! : 0;
  }

  /** @returns false when there are too many gaps to keep. */
  add(first: number, last: number): boolean {
    if (last < first) return true;
    const bounds = this.#bounds;
    const end = bounds.length;
    // nearly always the piece follows what came before it
    if (end === 0 || first > bounds[end - 1]! + 1) {
      bounds.push(first, last);
      return bounds.length <= MAX_GAPS * 2;
    }
    if (first >= bounds[end - 2]!) {
      bounds[end - 1] = Math.max(bounds[end - 1]!, last);
      return true;
    }
    const merged: number[] = [];
    let low = first;
    let high = last;
    for (let i = 0; i < end; i += 2) {
      const [from, to] = [bounds[i]!, bounds[i + 1]!];
      if (to + 1 < low) merged.push(from, to);
      else if (from > high + 1) {
        merged.push(low, high, ...bounds.slice(i));
        this.#bounds = merged;
        return merged.length <= MAX_GAPS * 2;
      } else {
        low = Math.min(low, from);
        high = Math.max(high, to);
      }
    }
    merged.push(low, high);
    this.#bounds = merged;
    return merged.length <= MAX_GAPS * 2;
  }

  /** Whether every octet from the first to `length` has come. */
  covers(length: number): boolean {
    return this.contiguous >= length;
  }
}
