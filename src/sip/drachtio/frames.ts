import { ParleyError } from '../../base/errors.js';
import './errors.js';

const HASH = 35;
const DIGIT_0 = 48;
const MAX_LENGTH_DIGITS = 8;

/** Largest frame taken from a server, in octets: a SIP message with a body of 1 MiB and its header fields. */
const MAX_FRAME = (1 << 20) + (1 << 17);

/** A frame as it goes on the wire: the length of its octets in decimal, `#`, the octets. */
export function writeFrame(head: string, message?: Buffer): Buffer {
  const headOctets = Buffer.byteLength(head);
  const length = headOctets + (message ? message.length + 2 : 0);
  const prefix = `${length}#`;
  const frame = Buffer.allocUnsafe(prefix.length + length);
  frame.write(prefix, 0, 'latin1');
  frame.write(head, prefix.length, 'utf8');
  if (message) {
    frame.write('\r\n', prefix.length + headOctets, 'latin1');
    frame.set(message, prefix.length + headOctets + 2);
  }
  return frame;
}

/** A frame taken apart: the fields between bars, and the SIP message behind them. */
export interface Frame {
  readonly fields: readonly string[];
  readonly message: Buffer | undefined;
}

/** Takes frames out of a stream of octets that is cut anywhere. */
export class FrameReader {
  readonly #chunks: Buffer[] = [];
  #size = 0;
  /** Octets that the frame being received needs, its length prefix included; undefined until the prefix is there. */
  #needed: number | undefined;
  #prefix = 0;

  /** @returns the frames that are complete now. @throws ParleyError `sip-drachtio-frame`; the stream is lost then. */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames: Frame[] = [];
    for (;;) {
      if (this.#needed === undefined && !this.#readPrefix()) return frames;
      if (this.#needed === undefined || this.#size < this.#needed) return frames;
      const data = this.#joined();
      frames.push(readFrame(data.subarray(this.#prefix, this.#needed)));
      this.#keep(data.subarray(this.#needed));
      this.#needed = undefined;
    }
  }

  /** Reads the length when its `#` is there. */
  #readPrefix(): boolean {
    if (this.#size === 0) return false;
    const data = this.#joined();
    let length = 0;
    for (let i = 0; i < data.length; i++) {
      const octet = data[i]!;
      if (octet === HASH && i > 0) {
        this.#prefix = i + 1;
        this.#needed = i + 1 + length;
        return true;
      }
      const digit = octet - DIGIT_0;
      length = length * 10 + digit;
      if (digit < 0 || digit > 9 || i >= MAX_LENGTH_DIGITS || length > MAX_FRAME)
        throw new ParleyError('sip-drachtio-frame', `length ${data.toString('latin1', 0, i + 1)}`);
    }
    return false;
  }

  /** What has arrived and is not a frame yet, in one piece; joined once per frame and not once per chunk. */
  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks));
    return this.#chunks[0]!;
  }

  #keep(rest: Buffer): void {
    this.#chunks.length = 0;
    this.#size = rest.length;
    if (rest.length > 0) this.#chunks.push(rest);
  }
}

function readFrame(octets: Buffer): Frame {
  const end = octets.indexOf('\r\n');
  const head = octets.toString('utf8', 0, end < 0 ? octets.length : end);
  return { fields: head.split('|'), message: end < 0 ? undefined : octets.subarray(end + 2) };
}
