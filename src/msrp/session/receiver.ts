import type { Source } from '../connection/lane.js';

/** A message that begins to arrive. Header values are Latin-1 as on the wire. */
export interface IncomingMessage extends Source {
  readonly messageId: string;
  readonly contentType: string;
  /** Octets of the whole message, when the sender said so. */
  readonly total: number | undefined;
  readonly successReport: boolean;
  /** Every other header field of its first chunk as a whole line. */
  readonly fields: readonly string[];
}

/** Why a message does not become whole. */
export type Abandonment =
  /** The sender gave it up. */
  | 'aborted'
  /** It was refused in the middle: too large, wrong byte ranges. */
  | 'refused'
  /** Its octets stopped to come. */
  | 'timeout'
  /** The session ended. */
  | 'closed';

/** Where the octets of one message go. */
export interface MessageSink {
  /** Octets from `position`, counted from 1. Keep the piece if you like, but do not change it. */
  piece(piece: Buffer, position: number): void;
  /**
   * Everything came. The status answers the last chunk: give 200 when the message is safe. A success report is
   * then sent if the sender asked for it.
   * @param length octets.
   */
  complete(length: number): number | Promise<number>;
  /** It will not become whole. */
  abandoned(reason: Abandonment): void;
}

/** Who takes the messages of a session. */
export interface MessageReceiver {
  /** `true` when the octets are kept until the end: then they may come in any order, and are counted. */
  readonly holds: boolean;
  /** Octets of one message. */
  readonly limit: number;
  /** A message begins. @returns where it goes, or the status that refuses it (RFC 4975 §10). */
  begin(message: IncomingMessage): MessageSink | number;
}

/** A message that came whole. */
export interface WholeMessage {
  readonly messageId: string;
  readonly contentType: string;
  readonly octets: Buffer;
  readonly fields: readonly string[];
  readonly successReport: boolean;
}

/** Takes messages whole; what `take` gives, or 500 when it fails, answers the message. */
export function wholeMessages(
  limit: number,
  take: (message: WholeMessage) => number | Promise<number>,
): MessageReceiver {
  return {
    holds: true,
    limit,
    begin: (message) => {
      const pieces: { octets: Buffer; position: number }[] = [];
      return {
        piece: (octets, position) => {
          pieces.push({ octets, position });
        },
        complete: (length) => {
          const { messageId, contentType, fields, successReport } = message;
          return take({ messageId, contentType, octets: join(pieces, length), fields, successReport });
        },
        abandoned: () => {
          pieces.length = 0;
        },
      };
    },
  };
}

/** Later pieces win where they overlap (RFC 4975 §7.3.1). */
function join(pieces: readonly { octets: Buffer; position: number }[], length: number): Buffer {
  const first = pieces[0];
  if (first?.octets.length === length) return first.octets;
  const whole = Buffer.allocUnsafe(length);
  for (const { octets, position } of pieces) octets.copy(whole, position - 1);
  return whole;
}
