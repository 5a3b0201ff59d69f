/** Finding where a head or a body ends (RFC 4975 §5.1, §7.1). */

const CR = 0x0d;
const LF = 0x0a;
const HYPHEN = 0x2d;
const HYPHENS = 7;

/** Octets after the marker of an end-line: the continuation flag and CRLF. */
export const FLAG_AND_CRLF = 3;

/** CRLF, seven hyphens, the longest transaction identifier of 32 characters, flag and CRLF. */
export const LONGEST_END_LINE = 2 + HYPHENS + 32 + FLAG_AND_CRLF;

/** CRLF, seven hyphens and the transaction identifier: how the end of a body begins. */
export function endLineMarker(transactionId: string): Buffer {
  return Buffer.from(`\r\n-------${transactionId}`, 'latin1');
}

/**
 * @returns position of the CRLF after the last header field, which a blank line or the end-line follows; -1 while
 * neither has arrived completely enough to be told from a header field.
 */
export function endOfHead(octets: Buffer, limit: number): number {
  const end = Math.min(octets.length, limit + 2);
  for (let at = octets.indexOf(LF, 1); at >= 0 && at < end; at = octets.indexOf(LF, at + 1)) {
    if (octets[at - 1] !== CR) continue;
    const next = octets[at + 1];
    if (next === CR && octets[at + 2] === LF) return at - 1;
    if (next === HYPHEN && hyphensAt(octets, at + 1)) return at - 1;
  }
  return -1;
}

function hyphensAt(octets: Buffer, from: number): boolean {
  for (let i = from; i < from + HYPHENS; i++) if (octets[i] !== HYPHEN) return false;
  return true;
}

/**
 * Looks for an end-line: the marker, a continuation flag, CRLF.
 * @returns its position, or that of an end of `octets` which the next octets may make one
 * (then position + marker length + {@link FLAG_AND_CRLF} exceeds the length), or -1.
 */
export function findEndLine(octets: Buffer, marker: Buffer): number {
  for (let at = octets.indexOf(marker); at >= 0; at = octets.indexOf(marker, at + 1)) {
    if (mayBeFlag(octets, at + marker.length)) return at;
  }
  const first = Math.max(0, octets.length - marker.length + 1);
  for (let at = first; at < octets.length; at++) {
    if (octets[at] === CR && marker.compare(octets, at, octets.length, 0, octets.length - at) === 0)
      return at;
  }
  return -1;
}

/** Whether a whole end-line stands at `at`. */
export function isEndLine(octets: Buffer, at: number, marker: Buffer): boolean {
  const flagAt = at + marker.length;
  return (
    octets.length >= flagAt + FLAG_AND_CRLF &&
    marker.compare(octets, at, flagAt) === 0 &&
    mayBeFlag(octets, flagAt)
  );
}

/** Whether flag and CRLF stand at `at`, as far as the octets reach. */
function mayBeFlag(octets: Buffer, at: number): boolean {
  const flag = octets[at];
  if (flag !== undefined && flag !== 0x24 && flag !== 0x2b && flag !== 0x23) return false;
  const cr = octets[at + 1];
  if (cr !== undefined && cr !== CR) return false;
  const lf = octets[at + 2];
  return lf === undefined || lf === LF;
}
