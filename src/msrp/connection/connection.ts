import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { msrpError } from '../errors.js';
import {
  formatEndLine,
  formatRequestHead,
  formatResponse,
  MessageParser,
  newTransactionId,
  type ContinuationFlag,
  type MessageHead,
} from '../message/index.js';
import type { Lane, Source } from './lane.js';
import type { ConnectionLimits } from './limits.js';
import { TransactionTable, type ClientTransaction } from './transactions.js';
import type { Wire } from './wire.js';
import { Writer, type WriterOwner } from './writer.js';

/** Where the body and the end of a request go. */
export interface RequestSink {
  body(piece: Buffer): void;
  end(flag: ContinuationFlag): void;
  /** The connection ended in the middle of the request. */
  lost(): void;
}

/** Who decides about the requests that arrive. */
export interface RequestRouter {
  request(connection: Connection, head: MessageHead, hasBody: boolean): RequestSink;
}

/** Whoever needs the connection to stay: it is told when it ends. */
export interface ConnectionUser {
  connectionLost(error: ParleyError): void;
}

type State = 'open' | 'ending' | 'closed';

/** One connection that sessions share (RFC 4975 §5.4): parses what arrives, and matches responses with requests. */
export class Connection implements WriterOwner {
  readonly wire: Wire;
  readonly #clock: Clock;
  readonly #router: RequestRouter;
  readonly #limits: ConnectionLimits;
  readonly #onClosed: (connection: Connection, error: ParleyError | undefined) => void;
  readonly #parser: MessageParser;
  readonly #transactions: TransactionTable<MessageHead>;
  readonly #writer: Writer;
  readonly #users = new Set<ConnectionUser>();
  #sink: RequestSink | undefined;
  #holds = 0;
  #state: State = 'open';
  #watch: Timer | undefined;
  #headSince: number;
  #idleSince: number;
  /** Has had a session: until then it is on probation (RFC 4976 §6.1). */
  #proven = false;

  constructor(options: {
    wire: Wire;
    clock: Clock;
    router: RequestRouter;
    limits: ConnectionLimits;
    onClosed: (connection: Connection, error: ParleyError | undefined) => void;
  }) {
    this.wire = options.wire;
    this.#clock = options.clock;
    this.#router = options.router;
    this.#limits = options.limits;
    this.#onClosed = options.onClosed;
    this.#transactions = new TransactionTable(options.clock);
    const { wire, limits } = options;
    this.#writer = new Writer({ wire, limits, transactions: this.#transactions, owner: this });
    this.#headSince = this.#idleSince = options.clock.now();
    this.#parser = new MessageParser(
      {
        head: (head, hasBody) => this.#head(head, hasBody),
        body: (piece) => this.#sink?.body(piece),
        end: (flag) => {
          const sink = this.#sink;
          this.#sink = undefined;
          sink?.end(flag);
        },
      },
      options.limits.parser,
    );
    this.#rewatch();
    this.wire.start({
      octets: (octets) => this.#octets(octets),
      drained: () => this.#writer.drained(),
      closed: (error) => this.#closed(error),
    });
  }

  get isHeld(): boolean {
    return this.#holds > 0;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Sessions bound to it. */
  get users(): number {
    return this.#users.size;
  }

  /** Keeps the connection from being closed as idle. */
  addUser(user: ConnectionUser): void {
    this.#users.add(user);
    this.#proven = true;
  }

  removeUser(user: ConnectionUser): void {
    if (this.#users.delete(user) && this.#users.size === 0) this.#idleSince = this.#clock.now();
  }

  /**
   * Answers a request (RFC 4975 §7.2): a SEND only to the previous hop, anything else along the whole path back.
   * @param fields further header lines, each with CRLF. @param from the path of an answer that is passed back.
   */
  respond(request: MessageHead, status: number, fields = '', from = firstOf(request.toPath)): void {
    const { transactionId, fromPath, method } = request;
    const back = method === 'SEND' ? firstOf(fromPath) : fromPath;
    this.#writer.say(formatResponse(transactionId, status, back, from, fields));
  }

  /**
   * Sends a request without a long body: REPORT, AUTH, NICKNAME, or a SEND without content.
   * @param fields whole header lines, each with CRLF. @param transaction undefined when no answer is awaited.
   */
  request(
    method: string,
    toPath: string,
    fromPath: string,
    fields: string,
    transaction?: ClientTransaction<MessageHead>,
  ): void {
    const id = newTransactionId();
    if (transaction) {
      this.#transactions.begin(id, transaction);
      this.#transactions.sent(id);
    }
    this.#writer.say(formatRequestHead(id, method, toPath, fromPath, fields) + formatEndLine(id, '$'));
  }

  /** Stops `source` while too much waits here that is not in a lane. */
  holdWhileCrowded(source: Source): void {
    this.#writer.holdWhileCrowded(source);
  }

  /** Sends what a lane holds and will hold. */
  carry(lane: Lane): void {
    lane.attach(this.#writer);
  }

  hold(): void {
    if (++this.#holds > 1 || this.#state !== 'open') return;
    this.wire.pause();
    this.#transactions.suspend();
    this.#writer.schedule();
  }

  release(): void {
    if (--this.#holds > 0 || this.#state !== 'open') return;
    this.wire.resume();
    this.#transactions.resume();
    this.#headSince = this.#clock.now();
  }

  /** Sends what waits in its control queue, then ends the connection. */
  end(): void {
    if (this.#state !== 'open') return;
    this.#writer.pump();
    this.#writer.stop();
    this.#state = 'ending';
    this.wire.end();
    this.#watch?.cancel();
    this.#watch = this.#clock.after(this.#limits.headMs, () => this.wire.destroy());
  }

  /** Ends the connection at once, for a reason that its users are told. */
  destroy(error: ParleyError): void {
    if (this.#state === 'closed') return;
    this.#closed(error);
    this.wire.destroy();
  }

  #octets(octets: Buffer): void {
    if (this.#state !== 'open') return;
    if (!this.#parser.inMessage) this.#headSince = this.#clock.now();
    try {
      this.#parser.push(octets);
    } catch (error) {
      // the framing is lost: nothing that follows could be believed
      this.destroy(
        error instanceof ParleyError ? error : msrpError('msrp-internal', undefined, { cause: error }),
      );
    }
  }

  #head(head: MessageHead, hasBody: boolean): void {
    if (head.method === undefined) {
      if (this.#transactions.answer(head.transactionId, head.status, head)) this.#writer.schedule();
      return;
    }
    this.#sink = this.#router.request(this, head, hasBody);
  }

  #closed(error: ParleyError | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#parser.stop();
    this.#watch?.cancel();
    this.#transactions.clear();
    this.#writer.stop();
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.lost();
    const reason = error ?? msrpError('msrp-connection-lost', 'the peer closed it');
    for (const user of [...this.#users]) user.connectionLost(reason);
    this.#users.clear();
    this.#onClosed(this, error);
  }

  /** One timer that looks at everything that takes too long. */
  #rewatch(): void {
    const { headMs, idleMs } = this.#limits;
    this.#watch = this.#clock.after(Math.min(headMs, idleMs), () => {
      const now = this.#clock.now();
      const inHead = this.#holds === 0 && this.#sink === undefined && this.#parser.inMessage;
      const idle = this.#users.size === 0 && now - this.#idleSince >= (this.#proven ? idleMs : headMs);
      if (inHead && now - this.#headSince >= headMs)
        this.destroy(msrpError('msrp-timeout', 'a header section that does not end'));
      else if (idle) this.end();
      else this.#rewatch();
    });
  }
}

/** The leftmost URI of a path. */
export function firstOf(path: string): string {
  const space = path.indexOf(' ');
  return space < 0 ? path : path.slice(0, space);
}
