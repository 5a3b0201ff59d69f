import { readMessage, wbxmlCoding, writeMessage, type Coding } from '../codec/coding.js';
import { child, element, textOf, type Element } from '../codec/element.js';
import type { CspMessage, Transaction } from '../codec/envelope.js';
import { digestOf, type DigestSchema } from '../access/digest.js';
import type { CspVersion } from '../vocabulary/versions.js';

export interface CspClientOptions {
  /** `http://host:port`, without the path. */
  readonly url: string;
  readonly user: string;
  readonly password?: string;
  readonly version?: CspVersion;
  readonly coding?: Coding;
  readonly clientId?: string;
  readonly applicationId?: string;
  readonly msisdn?: string;
  readonly headers?: Record<string, string>;
  readonly timeToLive?: number | undefined;
}

/** The server ended the session, or does not know it. */
export class SessionEnded extends Error {
  readonly code: number;

  constructor(code: number, description: string) {
    super(`the session has ended: ${code} ${description}`.trimEnd());
    this.code = code;
  }
}

/** A CSP client over HTTP: it speaks one version in one coding and shows what it gets. */
export class CspClient {
  readonly options: CspClientOptions;
  readonly version: CspVersion;
  readonly coding: Coding;
  sessionId: string | undefined;
  cookie = 'cookie-1';
  #transaction = 0;

  constructor(options: CspClientOptions) {
    this.options = options;
    this.version = options.version ?? '1.3';
    this.coding = options.coding ?? wbxmlCoding;
  }

  nextTransaction(): string {
    return String(++this.#transaction);
  }

  /** Posts a message. @returns the answer, undefined when it is empty */
  async post(
    message: Partial<CspMessage> & Pick<CspMessage, 'transactions'>,
  ): Promise<CspMessage | undefined> {
    const inband = this.sessionId !== undefined;
    const body = writeMessage(
      {
        version: this.version,
        sessionType: inband ? 'Inband' : 'Outband',
        sessionId: this.sessionId,
        poll: undefined,
        cir: undefined,
        ...message,
      },
      this.coding,
    );
    const { status, bytes, contentType } = await this.postBytes(body, this.coding.contentType);
    if (status !== 200) throw new Error(`HTTP ${status}`);
    if (bytes.length === 0) return undefined;
    const read = readMessage(bytes, contentType);
    return read.message;
  }

  async postBytes(
    body: Buffer,
    contentType: string,
  ): Promise<{ readonly status: number; readonly bytes: Buffer; readonly contentType: string }> {
    const response = await fetch(`${this.options.url}/csp`, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: { 'Content-Type': contentType, ...this.options.headers },
    });
    return {
      status: response.status,
      bytes: Buffer.from(await response.arrayBuffer()),
      contentType: response.headers.get('content-type') ?? '',
    };
  }

  /** Sends a request and gives the response primitive of its transaction. */
  async request(primitive: Element, id = this.nextTransaction()): Promise<Element> {
    const answer = await this.post({ transactions: [{ mode: 'Request', id, primitive }] });
    const found = answer?.transactions.find((transaction) => transaction.mode === 'Response');
    if (!found?.primitive) throw new Error(`no response to ${primitive.name}`);
    if (found.id !== id) throw new Error(`response to transaction ${found.id} instead of ${id}`);
    if (primitive.name === 'Logout-Request') this.sessionId = undefined;
    return found.primitive;
  }

  clientIdElement(): Element {
    const { clientId = 'wv:parley1.0$lab@parley.client.1', msisdn } = this.options;
    return element(
      'ClientID',
      element('URL', clientId),
      msisdn === undefined ? undefined : element('MSISDN', msisdn),
    );
  }

  loginElement(...secret: readonly Element[]): Element {
    const { user, applicationId } = this.options;
    const timeToLive = 'timeToLive' in this.options ? this.options.timeToLive : 3600;
    const order = (name: string): Element[] => secret.filter((part) => part.name === name);
    return element(
      'Login-Request',
      element('UserID', user),
      this.clientIdElement(),
      applicationId === undefined ? undefined : element('ApplicationID', applicationId),
      order('Password'),
      order('DigestBytes'),
      order('DigestSchema'),
      order('SessionID'),
      timeToLive === undefined ? undefined : element('TimeToLive', timeToLive),
      element('SessionCookie', this.cookie),
      order('SystemMessageResponseList'),
      order('Functions'),
      order('CapabilityList'),
    );
  }

  /** Login with the password. @returns the Login-Response */
  async login2(...more: readonly Element[]): Promise<Element> {
    const secret = element('Password', this.options.password ?? '');
    return this.#loggedIn(await this.request(this.loginElement(secret, ...more)));
  }

  /** Login by digest: two rounds under one Transaction-ID. @returns the second Login-Response */
  async login4(schemas: readonly string[] = ['MD5']): Promise<Element> {
    const id = this.nextTransaction();
    const offers = schemas.map((schema) => element('DigestSchema', schema));
    const challenge = await this.request(this.loginElement(...offers), id);
    const nonce = textOf(challenge, 'Nonce');
    if (codeOf(challenge) !== 401 || nonce === undefined) return challenge;
    const schema = textOf(challenge, 'DigestSchema') as DigestSchema;
    const digest = element('DigestBytes', digestOf(schema, nonce, this.options.password ?? ''));
    return this.#loggedIn(await this.request(this.loginElement(digest), id));
  }

  #loggedIn(response: Element): Element {
    if (codeOf(response) === 200) this.sessionId = textOf(response, 'SessionID');
    return response;
  }

  /** Agrees on capabilities and on every service. */
  async negotiate(...capabilities: readonly Element[]): Promise<Element> {
    const agreed = await this.request(capabilityRequest(this.version, ...capabilities));
    await this.request(serviceRequest);
    return agreed;
  }

  /** A Polling-Request. @returns the server's requests; empty when nothing waits */
  async poll(): Promise<readonly Transaction[]> {
    const id = this.nextTransaction();
    const answer = await this.post({
      transactions: [{ mode: 'Request', id, primitive: element('Polling-Request') }],
    });
    return answer?.transactions ?? [];
  }

  /** Answers a server request. @returns what comes back, if anything */
  async respond(id: string, primitive: Element): Promise<CspMessage | undefined> {
    return this.post({ transactions: [{ mode: 'Response', id, primitive }] });
  }

  /**
   * Polls and answers until nothing waits.
   * @returns the primitives that came, in order
   * @throws SessionEnded when the server says so
   */
  async drain(): Promise<Element[]> {
    const seen: Element[] = [];
    let waiting = this.#alive(await this.poll());
    while (waiting.length > 0 && seen.length < 100_000) {
      const [{ id, primitive }] = waiting as [Transaction];
      if (!primitive) throw new Error('empty transaction');
      seen.push(primitive);
      const answer =
        primitive.name === 'NewMessage'
          ? element(
              'MessageDelivered',
              element('MessageID', textOf(child(primitive, 'MessageInfo'), 'MessageID') ?? ''),
            )
          : element('Status', element('Result', element('Code', 200)));
      const next = await this.respond(id, answer);
      waiting = next?.transactions.some(({ mode }) => mode === 'Request')
        ? this.#alive(next.transactions)
        : this.#alive(await this.poll());
    }
    return seen;
  }

  /** The requests of the server among these. A session that ended is told by Disconnect, and then by a Status. */
  #alive(transactions: readonly Transaction[]): readonly Transaction[] {
    for (const { mode, primitive } of transactions) {
      if (!primitive || (primitive.name !== 'Disconnect' && mode === 'Request')) continue;
      const code = codeOf(primitive);
      if (primitive.name === 'Disconnect' || code >= 600) {
        this.sessionId = undefined;
        throw new SessionEnded(code, textOf(child(primitive, 'Result'), 'Description') ?? '');
      }
    }
    return transactions.filter(({ mode }) => mode === 'Request');
  }
}

export const serviceRequest = element(
  'Service-Request',
  element(
    'Functions',
    element(
      'WVCSPFeat',
      element('FundamentalFeat'),
      element('PresenceFeat'),
      element('IMFeat'),
      element('GroupFeat'),
    ),
  ),
  element('AllFunctionsRequest', true),
);

export const capabilityRequest = (version: CspVersion, ...capabilities: readonly Element[]): Element =>
  element(
    'ClientCapability-Request',
    version === '1.1' ? element('ClientID', element('URL', 'wv:parley1.0$lab@parley.client.1')) : undefined,
    element(
      'CapabilityList',
      element('ClientType', 'MOBILE_PHONE'),
      [
        element('InitialDeliveryMethod', 'P'),
        element('AnyContent', true),
        element('SupportedBearer', 'HTTP'),
      ].filter(({ name }) => !capabilities.some((given) => given.name === name)),
      capabilities,
    ),
  );

/** Code of the Result of a primitive. */
export const codeOf = (primitive: Element): number => Number(textOf(child(primitive, 'Result'), 'Code'));

/** A SendMessage-Request of plain text to users. */
export const message = (text: string, to: readonly string[], ...info: readonly Element[]): Element =>
  element(
    'SendMessage-Request',
    element(
      'DeliveryReport',
      info.some(({ name }) => name === 'DeliveryReport'),
    ),
    element(
      'MessageInfo',
      element('ContentType', 'text/plain'),
      element('ContentSize', text.length),
      element(
        'Recipient',
        to.map((user) => element('User', element('UserID', user))),
      ),
      info.filter(({ name }) => name !== 'DeliveryReport'),
    ),
    element('ContentData', text),
  );
