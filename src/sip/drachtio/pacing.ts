/**
 * drachtio-server keeps what it receives from an application in a ring of 12,228 octets and reads up to 8,192 at a time,
 * so that a longer frame never becomes complete, and one of more than 4,036 octets with others right behind it is
 * overwritten. Frames over {@link FREE_OCTETS} therefore go out alone: nothing follows until their reply has come.
 */
export const MAX_FRAME_OCTETS = 12_200;
export const FREE_OCTETS = 4_000;

interface Waiting {
  readonly id: string;
  readonly frame: Buffer;
}

/** The order in which frames go out. */
export class Pacing {
  readonly #write: (frame: Buffer) => void;
  readonly #waiting: Waiting[] = [];
  #octets = 0;
  /** The id of the long frame whose reply is waited for. */
  #alone: string | undefined;

  constructor(write: (frame: Buffer) => void) {
    this.#write = write;
  }

  /** Of all frames that wait. */
  get octets(): number {
    return this.#octets;
  }

  /** @param first before all that waits. */
  send(id: string, frame: Buffer, first = false): void {
    if (this.#alone === undefined) {
      this.#pass(id, frame);
      return;
    }
    if (first) this.#waiting.unshift({ id, frame });
    else this.#waiting.push({ id, frame });
    this.#octets += frame.length;
  }

  /** The reply to a frame has come. */
  replied(id: string): void {
    if (id !== this.#alone) return;
    this.#alone = undefined;
    while (this.#alone === undefined) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#octets -= next.frame.length;
      this.#pass(next.id, next.frame);
    }
  }

  #pass(id: string, frame: Buffer): void {
    if (frame.length > FREE_OCTETS) this.#alone = id;
    this.#write(frame);
  }
}
