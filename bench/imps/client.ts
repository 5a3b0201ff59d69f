import { once } from 'node:events';
import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http';
import { serviceRequest } from '../../src/imps/client/csp-client.js';
import { readMessage, writeMessage, type Coding } from '../../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../../src/imps/codec/element.js';
import type { CspMessage, TransactionMode } from '../../src/imps/codec/envelope.js';

/** A phone that speaks CSP 1.3 over HTTP and keeps its connection. */
export class Client {
  readonly #agent: Agent;
  readonly #url: string;
  readonly #coding: Coding;
  readonly #user: string;
  #session: string | undefined;
  #transaction = 0;

  constructor(agent: Agent, url: string, coding: Coding, user: string) {
    this.#agent = agent;
    this.#url = url;
    this.#coding = coding;
    this.#user = user;
  }

  async #post(mode: TransactionMode, id: string, primitive: Element): Promise<CspMessage | undefined> {
    const body = writeMessage(
      {
        version: '1.3',
        sessionType: this.#session === undefined ? 'Outband' : 'Inband',
        sessionId: this.#session,
        transactions: [{ mode, id, primitive }],
        poll: undefined,
        cir: undefined,
      },
      this.#coding,
    );
    const headers = { 'Content-Type': this.#coding.contentType, 'Content-Length': body.length };
    const sent = httpRequest(`${this.#url}/csp`, { method: 'POST', agent: this.#agent, headers });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    return bytes.length === 0 ? undefined : readMessage(bytes, this.#coding.contentType).message;
  }

  async request(primitive: Element): Promise<Element | undefined> {
    const answer = await this.#post('Request', String(++this.#transaction), primitive);
    return answer?.transactions[0]?.primitive;
  }

  /** @returns the Session-ID */
  async login(...more: readonly Element[]): Promise<string> {
    const response = await this.request(
      element(
        'Login-Request',
        element('UserID', this.#user),
        element('ClientID', element('URL', 'wv:bench1$lab@maker.m1.1')),
        element('Password', 'secret'),
        element('TimeToLive', 3600),
        element('SessionCookie', `cookie-${this.#transaction}`),
        more,
      ),
    );
    this.#session = textOf(response, 'SessionID');
    if (this.#session === undefined) throw new Error('no session');
    return this.#session;
  }

  /** Agrees on every service. */
  async negotiate(): Promise<void> {
    await this.request(serviceRequest);
  }

  async logout(): Promise<void> {
    await this.request(element('Logout-Request'));
    this.#session = undefined;
  }

  async send(...to: readonly string[]): Promise<void> {
    const answer = await this.request(
      element(
        'SendMessage-Request',
        element('DeliveryReport', false),
        element(
          'MessageInfo',
          element('ContentType', 'text/plain'),
          element('ContentSize', 5),
          element(
            'Recipient',
            to.map((user) => element('User', element('UserID', user))),
          ),
        ),
        element('ContentData', 'Hello'),
      ),
    );
    if (textOf(child(answer, 'Result'), 'Code') !== '200')
      throw new Error(`not sent: ${textOf(child(answer, 'Result'), 'Code')}`);
  }

  /** Asks for a delivery report. */
  async sendForReport(to: string): Promise<void> {
    const info = element('MessageInfo', element('Recipient', element('User', element('UserID', to))));
    const answer = await this.request(
      element('SendMessage-Request', element('DeliveryReport', true), info, element('ContentData', 'Hello')),
    );
    if (textOf(child(answer, 'Result'), 'Code') !== '200')
      throw new Error(`not sent: ${textOf(child(answer, 'Result'), 'Code')}`);
  }

  /** Polls a delivery report and confirms it. */
  async receiveReport(): Promise<void> {
    const [waiting] = (await this.#post('Request', '', element('Polling-Request')))?.transactions ?? [];
    if (waiting?.primitive?.name !== 'DeliveryReport-Request') throw new Error('no report waits');
    await this.#post('Response', waiting.id, element('Status', element('Result', element('Code', 200))));
  }

  /** Polls one message and confirms it. */
  async receive(): Promise<void> {
    const answer = await this.#post('Request', '', element('Polling-Request'));
    const [waiting] = answer?.transactions ?? [];
    const id = textOf(child(waiting?.primitive, 'MessageInfo'), 'MessageID');
    if (waiting === undefined || id === undefined) throw new Error('nothing waits');
    await this.#post('Response', waiting.id, element('MessageDelivered', element('MessageID', id)));
  }
}
