import type { VirtualClock } from '../../src/base/clock.js';
import { buildResponse } from '../../src/sip/embedded/respond.js';
import type { LocalEnd, Wire } from '../../src/sip/embedded/wire.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { SipRequest, type SipResponse } from '../../src/sip/message/message.js';
import { parseDatagram } from '../../src/sip/message/parse.js';
import type { SipUri } from '../../src/sip/message/uri.js';
import type { Listener, Source } from '../../src/sip/stack.js';
import type {
  ClientFailure,
  ClientTransaction,
  ClientUser,
  NextHop,
  ServerTransaction,
  TransactionLayer,
} from '../../src/sip/transaction/layer.js';

/** Parses the head of a request written with plain line ends; indentation and empty lines do not count. */
export function requestOf(text: string): SipRequest {
  const lines = text.split('\n').map((line) => line.trim());
  const head = lines.filter((line) => line !== '').join('\r\n');
  const parsed = parseDatagram(Buffer.from(`${head}\r\n\r\n`));
  if (parsed.kind !== 'request') throw new Error(`not a request: ${JSON.stringify(parsed)}`);
  return parsed.message;
}

const caller: Source = {
  protocol: 'udp',
  address: '127.0.0.1',
  port: 5070,
  localAddress: '127.0.0.1',
  localPort: 5060,
  flow: 'udp|127.0.0.1:5060|127.0.0.1:5070',
};

/** A request that "arrived", with all that was answered to it. */
export class FakeServerTransaction implements ServerTransaction {
  readonly request: SipRequest;
  readonly source: Source;
  readonly kind: 'invite' | 'non-invite';
  readonly responses: SipResponse[] = [];
  onCancel: ((cancel: SipRequest) => void) | undefined;
  onFailure: ((reason: 'transport' | 'no-ack') => void) | undefined;

  constructor(request: SipRequest, source: Source) {
    this.request = request;
    this.source = source;
    this.kind = request.method === 'INVITE' ? 'invite' : 'non-invite';
  }

  get finalStatus(): number | undefined {
    return this.responses.find((response) => response.status >= 200)?.status;
  }

  get statuses(): number[] {
    return this.responses.map((response) => response.status);
  }

  get last(): SipResponse {
    return this.responses.at(-1)!;
  }

  respond(response: SipResponse): boolean {
    const final = this.finalStatus;
    const further2xx = this.kind === 'invite' && final !== undefined && final < 300 && response.status < 300;
    if (final !== undefined && !(further2xx && response.status >= 200)) return false;
    this.responses.push(response);
    return true;
  }

  /** The peer's CANCEL. */
  cancel(headers: HeaderMap = {}): void {
    const cancel = new SipRequest('CANCEL', this.request.uri, this.request.headers.clone());
    cancel.headers.set('CSeq', `${this.request.cseq.number} CANCEL`);
    cancel.headers.assign(headers);
    this.onCancel?.(cancel);
  }
}

/** A request that was "sent", to be answered by the test. */
export class FakeClientTransaction implements ClientTransaction {
  readonly request: SipRequest;
  readonly hop: NextHop;
  state: ClientTransaction['state'] = 'calling';
  /** Reason values of the CANCELs asked for, '' where there was none. */
  readonly cancels: string[] = [];
  readonly #user: ClientUser;

  constructor(request: SipRequest, hop: NextHop, user: ClientUser) {
    this.request = request;
    this.hop = hop;
    this.#user = user;
  }

  cancel(reason?: string): void {
    this.cancels.push(reason ?? '');
  }

  /** @param toTag tag of the answering user agent. */
  respond(status: number, headers: HeaderMap = {}, toTag = 'callee', body = ''): void {
    const response = buildResponse(this.request, status, toTag, { headers, body });
    this.state = status < 200 ? 'proceeding' : 'completed';
    this.#user.onResponse(response, { ...caller, port: this.hop.port, flow: this.hop.flow ?? 'fake' });
  }

  fail(failure: ClientFailure): void {
    this.state = 'terminated';
    this.#user.onFailure(failure);
  }
}

/** A {@link TransactionLayer} without a network: what arrives and what is answered is up to the test. */
export class FakeTransactions implements TransactionLayer {
  onRequest: (transaction: ServerTransaction) => void = () => {};
  onAck: (ack: SipRequest, source: Source) => void = () => {};
  readonly sent: FakeClientTransaction[] = [];
  readonly stateless: { request: SipRequest; hop: NextHop }[] = [];
  running = 0;
  /** Answers what is sent at once: a status, a failure, or nothing. */
  script: (request: SipRequest, hop: NextHop) => number | ClientFailure | undefined = () => undefined;
  /** With a clock, what is not answered at all times out after 64·T1 (Timers B and F). */
  clock: VirtualClock | undefined;
  #branches = 0;

  send(request: SipRequest, hop: NextHop, user: ClientUser, branch?: string): ClientTransaction {
    this.#addVia(request, branch);
    const transaction = new FakeClientTransaction(request, hop, user);
    this.sent.push(transaction);
    this.clock?.after(32_000, () => {
      if (transaction.state === 'calling') transaction.fail('timeout');
    });
    const outcome = this.script(request, hop);
    if (outcome !== undefined)
      queueMicrotask(() =>
        typeof outcome === 'number' ? transaction.respond(outcome) : transaction.fail(outcome),
      );
    return transaction;
  }

  sendStateless(request: SipRequest, hop: NextHop): void {
    this.#addVia(request, undefined);
    this.stateless.push({ request, hop });
  }

  receive(request: SipRequest | string, source: Partial<Source> = {}, body = ''): FakeServerTransaction {
    const message = typeof request === 'string' ? requestOf(request) : request;
    if (body !== '') message.body = Buffer.from(body);
    const transaction = new FakeServerTransaction(message, { ...caller, ...source });
    this.onRequest(transaction);
    return transaction;
  }

  receiveAck(request: SipRequest | string, source: Partial<Source> = {}, body = ''): void {
    const message = typeof request === 'string' ? requestOf(request) : request;
    if (body !== '') message.body = Buffer.from(body);
    this.onAck(message, { ...caller, ...source });
  }

  /** The newest request sent, of that method where one is given. */
  lastSent(method?: string): FakeClientTransaction {
    const found = this.sent.findLast((item) => method === undefined || item.request.method === method);
    if (!found) throw new Error(`no ${method ?? 'request'} was sent`);
    return found;
  }

  #addVia(request: SipRequest, branch: string | undefined): void {
    request.headers.prepend(
      'Via',
      `SIP/2.0/UDP 127.0.0.1:5060;branch=${branch ?? `z9hG4bKfake${++this.#branches}`}`,
    );
  }
}

/** A {@link Wire} whose peers are all at the address their URI names; names ending in `.invalid` have no server. */
export class FakeWire implements Wire {
  readonly transactions = new FakeTransactions();
  readonly listeners: Listener[] = [
    { protocol: 'udp', address: '127.0.0.1', port: 5060 },
    { protocol: 'tcp', address: '127.0.0.1', port: 5060 },
  ];
  /** Flows that exist, with their hops. */
  readonly flows = new Map<string, NextHop>();
  /** Several servers for a host name, as SRV records would give. */
  readonly servers = new Map<string, NextHop[]>();
  onFlowClosed: (flow: string) => void = () => {};
  closed = false;

  async start(): Promise<void> {}

  async close(): Promise<void> {
    this.closed = true;
  }

  resolve(uri: SipUri, secure = false): readonly NextHop[] | Promise<readonly NextHop[]> {
    const known = this.servers.get(uri.host);
    if (known) return Promise.resolve(known);
    if (uri.host.endsWith('.invalid') || uri.host === '') return [];
    const tls = secure || uri.scheme === 'sips';
    const transport = uri.param('transport');
    const protocol = tls ? 'tls' : transport === 'tcp' ? 'tcp' : 'udp';
    return [{ protocol, address: uri.host, port: uri.port ?? 5060 }];
  }

  hopOfFlow(flow: string): NextHop | undefined {
    return this.flows.get(flow);
  }

  localEnd(hop: NextHop): LocalEnd {
    return { protocol: hop.protocol, host: '127.0.0.1', port: 5060 };
  }

  trouble(): string | undefined {
    return undefined;
  }
}
