import { ParleyError } from '../../base/errors.js';
import { rememberClient } from '../access/capabilities.js';
import { textCoding } from '../codec/coding.js';
import { preamble } from '../codec/text-reader.js';
import type { ImpsContext } from '../context.js';
import type { Pager } from '../ports.js';
import type { SessionRecord } from '../state/records.js';
import type { Conversation } from '../transport/conversation.js';
import { lettered, concatenated } from './parts.js';
import { Reassembly } from './reassembly.js';
import { SmscLink, type MobileOriginated, type SmppConfig, type SmscState } from './smsc-link.js';
import { alphabetOf, textMessages, textOf, type Ports, type UserData } from './user-data.js';
import { pushPdu, pushPorts } from './wsp-push.js';

/** Octets of an answer that goes out in 26 short messages at most. */
const ANSWER = 3600;

/**
 * CSP and CIR over SMS: messages of the plain text syntax and HELO come in, answers, CIR and offline notifications go
 * out. What a telephone is sent goes to the port it wrote from, or to the ports registered for this.
 */
export class SmsTransport implements Pager {
  readonly methods: readonly string[];
  readonly #context: ImpsContext;
  readonly #config: SmppConfig;
  readonly #conversation: Conversation;
  readonly #onHello: (session: SessionRecord) => void;
  readonly #link: SmscLink;
  readonly #concatenated: Reassembly<UserData>;
  readonly #lettered: Reassembly<string>;
  #reference = 0;

  /** @param wapPush whether WAP push goes this way too, as it does when there is no push proxy */
  constructor(
    context: ImpsContext,
    config: SmppConfig,
    conversation: Conversation,
    wapPush: boolean,
    onHello: (session: SessionRecord) => void,
  ) {
    this.#context = context;
    this.#config = config;
    this.#conversation = conversation;
    this.#onHello = onHello;
    this.methods = wapPush ? ['SSMS', 'WAPSMS'] : ['SSMS'];
    this.#link = new SmscLink(config, context, (message) => this.#arrived(message));
    this.#concatenated = new Reassembly(context.store, context.clock, concatenated);
    this.#lettered = new Reassembly(context.store, context.clock, lettered);
  }

  start(): void {
    this.#link.start();
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  get state(): SmscState {
    return this.#link.state;
  }

  async page(
    method: string,
    address: { readonly msisdn?: string | undefined },
    text: string,
  ): Promise<boolean> {
    const { msisdn } = address;
    if (msisdn === undefined) return false;
    if (method === 'WAPSMS') {
      this.#reference = (this.#reference + 1) & 0xff;
      const octets = pushPdu(text, this.#reference);
      return this.#link.submit(msisdn, { ports: pushPorts, part: undefined, dataCoding: 0x04, octets });
    }
    const ports = { to: this.#config.cirPort, from: this.#config.cirPort };
    return this.#send(msisdn, text, { ports, eightBit: false, lettered: undefined });
  }

  async #send(
    to: string,
    text: string,
    options: {
      readonly ports: Ports | undefined;
      readonly eightBit: boolean;
      readonly lettered: string | undefined;
    },
  ): Promise<boolean> {
    this.#reference = (this.#reference + 1) & 0xff;
    const messages = textMessages(text, { ...options, reference: this.#reference });
    for (const message of messages) if (!(await this.#link.submit(to, message))) return false;
    return messages.length > 0;
  }

  async #arrived({ from, data: received }: MobileOriginated): Promise<void> {
    const data = { ...received, octets: Uint8Array.from(received.octets) };
    const { part, ports } = data;
    const key = `${from} ${ports?.from} ${part?.reference} ${part?.total}`;
    const whole = part ? await this.#concatenated.add(key, part.index - 1, part.total, data) : [data];
    if (!whole) return;
    await this.#whole(from, data, whole);
    if (whole.length > 1) await this.#concatenated.done(key);
  }

  async #whole(from: string, data: UserData, whole: readonly UserData[]): Promise<void> {
    const octets = whole.length === 1 ? whole[0]!.octets : Buffer.concat(whole.map((each) => each.octets));
    const text = textOf({ octets, dataCoding: data.dataCoding });
    const hello = /^HELO (\S+)\s*$/.exec(text);
    if (hello) return this.#hello(from, hello[1]!);
    await this.#unlettered(from, text, data);
  }

  /** Puts together what the syntax itself has split. */
  async #unlettered(from: string, text: string, data: UserData): Promise<void> {
    const head = preamble.exec(text);
    if (!head) return this.#refused(from, 'no CSP');
    const letters = head[4];
    if (letters === undefined) return this.#csp(from, text, data);
    const index = letters.charCodeAt(0) - 0x61;
    const total = letters.charCodeAt(1) - 0x61 + 1;
    if (index >= total) return this.#refused(from, 'part of a message');
    const start = head[0].trimEnd().slice(0, -2);
    const key = `${from} ${start} ${total}`;
    const parts = await this.#lettered.add(key, index, total, text.slice(head[0].length));
    if (!parts) return;
    await this.#csp(from, `${start} ${parts.join('')}`, data);
    if (parts.length > 1) await this.#lettered.done(key);
  }

  async #csp(from: string, text: string, { ports, dataCoding }: UserData): Promise<void> {
    const msisdn = this.#config.trustSender && from.startsWith('+') ? from : undefined;
    const origin = { remoteAddress: from, msisdn, number: from.startsWith('+') ? from : undefined };
    try {
      const answer = await this.#conversation.answer(
        Buffer.from(text),
        textCoding.contentType,
        origin,
        ANSWER,
      );
      if (!answer) return;
      const reply = answer.body.toString();
      await this.#send(from, reply, {
        ports: ports && { to: ports.from, from: ports.to },
        eightBit: alphabetOf(dataCoding) === '8bit',
        lettered: this.#config.segmentation === 'letters' ? /^\S+/.exec(reply)?.[0] : undefined,
      });
    } catch (error) {
      // nobody that could be answered in CSP
      if (!(error instanceof ParleyError)) throw error;
      this.#refused(from, error.message);
    }
  }

  /** The number that HELO came from is the client's, and is kept between its sessions (document 002 §8.1.4). */
  async #hello(from: string, id: string): Promise<void> {
    const session = await this.#context.sessions.find(id);
    if (!session || !from.startsWith('+')) return this.#refused(from, 'HELO of an unknown session');
    const changed = await this.#context.sessions.change(id, (current) => ({ ...current, msisdn: from }));
    if (!changed) return;
    await rememberClient(this.#context, changed);
    this.#onHello(changed);
  }

  #refused(from: string, detail: string): void {
    this.#context.trail.record({
      code: 'imps.sms-refused',
      outcome: 'refused',
      clause: 'document 002 §8.1.4',
      subject: from,
      detail,
    });
  }
}
