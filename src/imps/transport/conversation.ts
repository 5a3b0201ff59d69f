import { readMessage, writeMessage, type Coding, type ReadMessage } from '../codec/coding.js';
import type { CspMessage, Transaction } from '../codec/envelope.js';
import { defaultLimits, type CodecLimits } from '../codec/limits.js';
import type { ImpsContext, Origin } from '../context.js';
import { announcement } from '../delivery/render.js';
import { exchange } from '../exchange.js';
import type { Replies } from '../replies.js';
import type { SessionRecord } from '../state/records.js';
import { status } from '../status.js';
import { plainTextCodes, type PlainTextCodes } from '../vocabulary/plain-text.js';
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
    return { body, contentType: contentTypeOf(read.coding) };
  }

  async #write(reply: CspMessage, { coding, message }: ReadMessage, most: number): Promise<Buffer> {
    const body = this.#encode(reply, coding);
    const session =
      message.sessionId === undefined ? undefined : await this.#context.sessions.find(message.sessionId);
    const size = Math.min(session?.capabilities?.parserSize || Infinity, most);
    if (body.length <= size) return body;
    const transactions = await Promise.all(
      reply.transactions.map((one) => this.#smaller(session, one, reply, coding, size)),
    );
    return this.#encode({ ...reply, transactions }, coding);
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

  /** What goes out instead of a transaction that the client cannot parse: an announcement, or status 432. */
  async #smaller(
    session: SessionRecord | undefined,
    transaction: Transaction,
    reply: CspMessage,
    coding: Coding,
    size: number,
  ): Promise<Transaction> {
    if (this.#encode({ ...reply, transactions: [transaction] }, coding).length <= size) return transaction;
    this.#context.trail.record({
      code: 'imps.over-parser-size',
      outcome: 'refused',
      clause: 'CSP status 432',
      subject: session?.user,
      trace: transaction.id,
      detail: transaction.primitive?.name,
    });
    if (session && transaction.primitive?.name === 'NewMessage') {
      const message = await this.#context.mailbox.get(session.user, transaction.id);
      if (message) {
        this.#context.outbox.wentAnnounced(session.id, transaction.id);
        return { ...transaction, primitive: announcement(this.#context, session, message) };
      }
    }
    return { ...transaction, primitive: status(432) };
  }
}

const contentTypeOf = ({ syntax, contentType, charset }: Coding): string =>
  syntax === 'xml' && charset.name !== 'UTF-8' ? `${contentType}; charset=${charset.name}` : contentType;
