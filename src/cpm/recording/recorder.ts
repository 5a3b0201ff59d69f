import type { MessageObserver, PassingMessage } from '../../msrp/session/index.js';
import { utf8 } from '../../msrp/message/index.js';
import { formatRecording, type RecordedMessage } from './recorded-message.js';

/** A session that is recorded. */
export type RecordedSession = Pick<RecordedMessage, 'session' | 'conversationId'>;

/** What a recorder needs. */
export interface RecorderHost {
  readonly now: () => number;
  /** Octets of one message that are kept. */
  readonly messageOctets: number;
  /** @returns false when no more may be held. */
  hold(octets: number): boolean;
  /** Keeps a recording; what `held` counts is let go when it is safe. */
  keep(at: number, recording: Buffer, held: number): void;
}

/** Puts one message together as it passes. What exceeds the limits is counted and not kept. */
export class Recorder implements MessageObserver {
  readonly #host: RecorderHost;
  readonly #about: Omit<RecordedMessage, 'octets' | 'status' | 'complete'>;
  readonly #total: number | undefined;
  readonly #pieces: { readonly octets: Buffer; readonly position: number }[] = [];
  #held = 0;
  #passed = 0;
  #cut = false;

  constructor(
    host: RecorderHost,
    session: RecordedSession,
    { messageId, contentType, total }: Pick<PassingMessage, 'messageId' | 'contentType' | 'total'>,
    ends: { readonly from: string; readonly to: string },
  ) {
    this.#host = host;
    this.#total = total;
    this.#about = { ...session, ...ends, at: host.now(), messageId, contentType: utf8(contentType) };
  }

  piece(piece: Buffer, position: number): void {
    this.#passed += piece.length;
    const fits = position + piece.length - 1 <= this.#host.messageOctets;
    if (!fits || this.#cut || !this.#host.hold(piece.length)) {
      this.#cut = true;
      return;
    }
    this.#held += piece.length;
    // a copy, so that the whole buffer that was read from the socket does not stay for it
    this.#pieces.push({ octets: Buffer.from(piece), position });
  }

  end(status: number): void {
    const content = this.#content();
    const whole =
      !this.#cut && content.gapless && (this.#total ?? content.octets.length) === content.octets.length;
    const about = { ...this.#about, octets: this.#passed, status, complete: status === 200 && whole };
    this.#host.keep(this.#about.at, formatRecording(about, content.octets), this.#held);
  }

  /** What came from the first octet on without a gap. Later pieces win where they overlap (RFC 4975 §7.3.1). */
  #content(): { octets: Buffer; gapless: boolean } {
    const end = Math.max(0, ...this.#pieces.map(({ octets, position }) => position + octets.length - 1));
    const whole = Buffer.alloc(end);
    let reached = 0;
    for (const { octets, position } of [...this.#pieces].sort((a, b) => a.position - b.position))
      if (position <= reached + 1) reached = Math.max(reached, position + octets.length - 1);
    for (const { octets, position } of this.#pieces) octets.copy(whole, position - 1);
    return { octets: whole.subarray(0, reached), gapless: reached === end };
  }
}
