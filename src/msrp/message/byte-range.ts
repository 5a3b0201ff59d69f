import { malformed } from '../errors.js';

/** The Byte-Range of a chunk (RFC 4975 §7.1.1). Positions count from 1; undefined stands for `*`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number | undefined;
  readonly total: number | undefined;
}

const pattern = /^([0-9]{1,15})-([0-9]{1,15}|\*)\/([0-9]{1,15}|\*)$/;

/**
 * @param text the value of the header field.
 * @throws ParleyError `msrp-malformed` when it is no range, or one that ends before it starts or after its total.
 */
export function parseByteRange(text: string): ByteRange {
  const found = pattern.exec(text);
  if (!found) throw malformed('Byte-Range');
  const start = Number(found[1]);
  const end = found[2] === '*' ? undefined : Number(found[2]);
  const total = found[3] === '*' ? undefined : Number(found[3]);
  // an empty body is 1-0/0, so the end may lie one before the start
  if (start < 1 || (end !== undefined && end < start - 1)) throw malformed(`Byte-Range ${text}`);
  if (total !== undefined && (start > total + 1 || (end !== undefined && end > total)))
    throw malformed(`Byte-Range ${text}`);
  return { start, end, total };
}

/** The inverse of {@link parseByteRange}. */
export function formatByteRange(start: number, end: number | undefined, total: number | undefined): string {
  return `${start}-${end ?? '*'}/${total ?? '*'}`;
}
