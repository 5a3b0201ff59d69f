import { msrpError } from '../errors.js';
import type { IncomingMessage, MessageReceiver, MessageSink } from './receiver.js';

/** Octets that wait for a reader before the sender is stopped. */
const HIGH_WATER = 262_144;

/**
 * Takes messages as streams: `take` is called when one begins and reads its octets in order; while it does not read,
 * the sender is stopped. The iteration fails with `msrp-message-abandoned` when the message does not become whole.
 * What `take` gives, or 500 when it fails, answers the end of the message.
 */
export function streamedMessages(
  limit: number,
  take: (message: IncomingMessage, octets: AsyncIterable<Buffer>) => Promise<number>,
): MessageReceiver {
  return {
    holds: false,
    limit,
    begin: (message) => {
      const stream = new MessageStream(message);
      stream.status = take(message, stream).catch(() => 500);
      return stream;
    },
  };
}

class MessageStream implements MessageSink, AsyncIterable<Buffer> {
  status: Promise<number> = Promise.resolve(500);
  readonly #message: IncomingMessage;
  #pieces: Buffer[] = [];
  #waiting = 0;
  #held = false;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(message: IncomingMessage) {
    this.#message = message;
  }

  piece(piece: Buffer): void {
    if (this.#ended) return;
    this.#pieces.push(piece);
    this.#waiting += piece.length;
    if (this.#waiting > HIGH_WATER && !this.#held) {
      this.#held = true;
      this.#message.hold();
    }
    this.#wake?.();
  }

  complete(): Promise<number> {
    this.#ended = true;
    this.#wake?.();
    return this.status;
  }

  abandoned(reason: string): void {
    this.#ended = true;
    this.#error = msrpError('msrp-message-abandoned', reason);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        const pieces = this.#pieces;
        this.#pieces = [];
        for (const piece of pieces) {
          this.#waiting -= piece.length;
          this.#releaseIfRoom();
          yield piece;
        }
        if (this.#pieces.length > 0) continue;
        if (this.#error) throw this.#error;
        if (this.#ended) return;
        await new Promise<void>((resolve) => (this.#wake = resolve));
        this.#wake = undefined;
      }
    } finally {
      // who stops reading lets the rest pass
      this.#ended = true;
      this.#pieces = [];
      this.#waiting = 0;
      this.#releaseIfRoom();
    }
  }

  #releaseIfRoom(): void {
    if (!this.#held || this.#waiting > HIGH_WATER / 2) return;
    this.#held = false;
    this.#message.release();
  }
}
