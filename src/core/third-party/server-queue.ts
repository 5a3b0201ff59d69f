/** Sends to one server at once. */
export const AT_ONCE = 256;

/**
 * What one application server is still to be told, in order for each subject: one message of a subject is on its way, and of those
 * that wait only the newest is kept. A slow server holds up nobody else's.
 */
export class ServerQueue<T> {
  readonly #send: (message: T, superseded: () => boolean) => Promise<void>;
  readonly #waiting = new Map<string, T>();
  readonly #running = new Set<string>();
  readonly #limit: number;
  readonly #onEmpty: () => void;

  /**
   * @param limit how many messages wait at most.
   * @param send never rejects; `superseded` says whether a newer message of the subject waits.
   * @param onEmpty called when nothing is left to be sent.
   */
  constructor(
    limit: number,
    send: (message: T, superseded: () => boolean) => Promise<void>,
    onEmpty: () => void,
  ) {
    this.#limit = limit;
    this.#send = send;
    this.#onEmpty = onEmpty;
  }

  /** @returns false when too many wait: the message is not taken. */
  add(subject: string, message: T): boolean {
    if (this.#waiting.size >= this.#limit && !this.#waiting.has(subject)) return false;
    this.#waiting.set(subject, message);
    this.#next();
    return true;
  }

  #next(): void {
    for (const [subject, message] of this.#waiting) {
      if (this.#running.size >= AT_ONCE) return;
      if (this.#running.has(subject)) continue;
      this.#waiting.delete(subject);
      this.#running.add(subject);
      void this.#send(message, () => this.#waiting.has(subject)).finally(() => {
        this.#running.delete(subject);
        this.#next();
        if (this.#running.size === 0) this.#onEmpty();
      });
    }
  }
}
