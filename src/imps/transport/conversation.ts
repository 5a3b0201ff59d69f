import { readMessage, writeMessage, type Coding, type ReadMessage } from '../codec/coding.js';
import type { CspMessage } from '../codec/envelope.js';
import { defaultLimits, type CodecLimits } from '../codec/limits.js';
import type { ImpsContext, Origin } from '../context.js';
import { exchange } from '../exchange.js';
import type { Replies } from '../replies.js';
import { plainTextCodes, type PlainTextCodes } from '../vocabulary/plain-text.js';
import { fit } from './fitting.js';
import { TransactionNumbers } from './transaction-numbers.js';

/** An answer as octets, with the content type that it is in. */
export interface Answer {
  readonly body: Buffer;
  readonly contentType: string;
}

/** CSP in octets, whatever transport carries them: reads, works, writes, and keeps to the client's ParserSize. */
export class Conversation {
  readonly #context: ImpsContext;
  readonly #replies: Replies;
  readonly #limits: CodecLimits;
  readonly #codes: PlainTextCodes;
  readonly #numbers = new TransactionNumbers();
  readonly #unsubscribe: () => void;

  constructor(context: ImpsContext, replies: Replies) {
    this.#context = context;
    this.#replies = replies;
    this.#limits = { ...defaultLimits, bytes: context.config.bodyLimit };
    this.#codes = plainTextCodes(context.config.plainText);
    this.#unsubscribe = context.sessions.onEnded((session) => this.#numbers.forget(session));
  }

  close(): void {
    this.#unsubscribe();
  }

  /**
   * @param most octets that the transport can carry back
   * @returns undefined for an empty answer
   * @throws ParleyError of the codec when there is nobody to answer in CSP
   */
  async answer(
    bytes: Uint8Array,
    contentType: string,
    origin: Origin,
    most = Infinity,
  ): Promise<Answer | undefined> {
    const read = this.#named(readMessage(bytes, contentType, this.#limits, this.#codes));
    const reply = await exchange(this.#context, this.#replies, read, origin);
    if (!reply) return undefined;
    const body = await this.#write(reply, read, most);
    return body && { body, contentType: contentTypeOf(read.coding) };
  }

  async #write(
    reply: CspMessage,
    { coding, message }: ReadMessage,
    most: number,
  ): Promise<Buffer | undefined> {
    const body = this.#encode(reply, coding);
    const session =
      message.sessionId === undefined ? undefined : await this.#context.sessions.find(message.sessionId);
    const size = Math.min(session?.capabilities?.parserSize || Infinity, most);
    if (body.length <= size) return body;
    const smaller = await fit({
      context: this.#context,
      session,
      reply,
      polling: message.transactions.find(({ primitive }) => primitive?.name === 'Polling-Request')?.id,
      size,
      lengthOf: (transactions) => this.#encode({ ...reply, transactions }, coding).length,
    });
    return smaller && this.#encode(smaller, coding);
  }

  /** The plain text syntax has numbers for Transaction-IDs, so those of the server get one each. */
  #encode(message: CspMessage, coding: Coding): Buffer {
    if (coding.syntax !== 'text') return writeMessage(message, coding);
    const transactions = message.transactions.map((transaction) =>
      transaction.mode === 'Request'
        ? { ...transaction, id: this.#numbers.numberOf(message.sessionId ?? '', transaction.id) }
        : transaction,
    );
    return writeMessage({ ...message, transactions }, coding, this.#codes);
  }

  /** Gives the answers to the server's requests their Transaction-IDs back. */
  #named(read: ReadMessage): ReadMessage {
    const { message, coding } = read;
    if (coding.syntax !== 'text') return read;
    const transactions = message.transactions.map((transaction) =>
      transaction.mode === 'Response'
        ? { ...transaction, id: this.#numbers.idOf(message.sessionId ?? '', transaction.id) }
        : transaction,
    );
    return { ...read, message: { ...message, transactions } };
  }
}

const contentTypeOf = ({ syntax, contentType, charset }: Coding): string =>
  syntax === 'xml' && charset.name !== 'UTF-8' ? `${contentType}; charset=${charset.name}` : contentType;
