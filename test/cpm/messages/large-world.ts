import { SystemClock, type Clock } from '../../../src/base/clock.js';
import {
  receiveLargeMessage,
  sendLargeMessage,
  type LargeMessageOutcome,
} from '../../../src/cpm/large-message/index.js';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import { parseCpim } from '../../../src/msrp/cpim/index.js';
import type { MsrpEndpoint } from '../../../src/msrp/session/index.js';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import type { SipResponse } from '../../../src/sip/message/message.js';
import type { ServerRequest, SipStack } from '../../../src/sip/stack.js';
import { startEndpoint } from '../../msrp/tools/endpoints.js';
import { afterThisTest, node } from '../../sip/embedded/nodes.js';
import { cpimText } from '../cpim-text.js';
import { device } from '../participating/session-world.js';

/** Octets of a message at most. */
const LIMIT = 30_000_000;

/** What a device got: over SIP or MSRP. */
export interface Got {
  readonly mode: 'pager' | 'large';
  readonly request: ServerRequest;
  readonly contentType: string;
  readonly octets: Buffer;
}

export interface DeviceOptions {
  readonly instance: string;
  readonly services: readonly string[];
}

/** A device of a user with a SIP stack and an MSRP endpoint of its own, which takes every message. */
export class MessagingDevice {
  readonly got: Got[] = [];
  /** Called after each piece of a large message: the next is read when it resolves. */
  reading: (messageId: string) => Promise<void> | void = () => {};
  readonly #known = new Set<string>();
  readonly #user: string;
  readonly #stack: SipStack;
  readonly #contact: string;
  readonly #options: DeviceOptions;
  readonly #endpoint: MsrpEndpoint;
  readonly #clock: Clock;
  #route: readonly string[];

  private constructor(
    user: string,
    options: DeviceOptions,
    parts: { stack: SipStack; port: number; endpoint: MsrpEndpoint; clock: Clock; server: number },
  ) {
    this.#user = user;
    this.#options = options;
    this.#stack = parts.stack;
    this.#endpoint = parts.endpoint;
    this.#clock = parts.clock;
    this.#route = [`<sip:127.0.0.1:${parts.server};lr>`];
    this.#contact = `<sip:${user}@127.0.0.1:${parts.port}>`;
    this.#stack.on('MESSAGE', (request, response) => {
      // one that it has already, as RFC 3261 §8.2.2.2 says
      const name = [request.callId, request.fromTag, request.cseq.number].join(' ');
      if (this.#known.has(name)) {
        response.send(482);
        return;
      }
      this.#known.add(name);
      this.got.push({
        mode: 'pager',
        request,
        contentType: request.get('Content-Type') ?? '',
        octets: Buffer.from(request.body),
      });
      response.send(200);
    });
    this.#stack.on('INVITE', async (request, response) => {
      const { stack, endpoint, clock } = parts;
      const receiver = { stack, endpoint, clock, limit: LIMIT, subject: user };
      await receiveLargeMessage(request, response, receiver, async ({ contentType, messageId }, pieces) => {
        const octets: Buffer[] = [];
        for await (const piece of pieces) {
          octets.push(piece);
          await this.reading(messageId);
        }
        // one that it has already: the server says so by its Message-ID
        if (!this.#known.has(messageId))
          this.got.push({ mode: 'large', request, contentType, octets: Buffer.concat(octets) });
        this.#known.add(messageId);
        return 200;
      });
    });
  }

  /** @param server the server's UDP port. */
  static async open(user: string, server: number, options: DeviceOptions): Promise<MessagingDevice> {
    const { stack, port } = await node(['udp:127.0.0.1:0'], 2_000);
    const { endpoint } = await startEndpoint();
    const clock = new SystemClock((error) => {
      throw error;
    });
    afterThisTest(() => clock.close());
    return new MessagingDevice(user, options, { stack, port: port(), endpoint, clock, server });
  }

  get aor(): string {
    return `sip:${this.#user}@ims.test`;
  }

  /** It is switched off; what it was sending fails. */
  async close(): Promise<void> {
    await this.#endpoint.close();
    await this.#stack.close();
  }

  /** The same device, towards a server that started anew. */
  towards(server: number): void {
    this.#route = [`<sip:127.0.0.1:${server};lr>`];
  }

  register(expires = 3600): Promise<SipResponse> {
    const { instance, services } = this.#options;
    return this.#stack.request('sip:ims.test', {
      method: 'REGISTER',
      route: this.#route,
      headers: {
        From: `<${this.aor}>`,
        To: `<${this.aor}>`,
        Contact: `${this.#contact}${device(instance, services)}`,
        Supported: 'gruu',
        Expires: expires,
      },
    });
  }

  /** Sends in pager mode, without Contact (RFC 3428 §4). */
  async page(to: string, body: Uint8Array | string, headers: HeaderMap = {}): Promise<SipResponse> {
    return this.#stack.request(to, {
      method: 'MESSAGE',
      route: this.#route,
      headers: {
        From: `<${this.aor}>`,
        To: `<${to}>`,
        'P-Preferred-Service': cpmServices.message,
        'Content-Type': 'message/cpim',
        ...headers,
      },
      body,
    });
  }

  /** Sends in large message mode. @param announced the size that the offer tells. */
  large(
    to: string,
    content: Buffer,
    headers: HeaderMap = {},
    announced: number | 'nothing' = content.length,
  ): Promise<LargeMessageOutcome> {
    return sendLargeMessage(
      {
        to,
        route: this.#route,
        headers: { From: `<${this.aor}>`, To: `<${to}>`, Contact: this.#contact, ...headers },
        contentType: 'message/cpim',
        content,
        size: content.length,
        subject: this.aor,
      },
      { stack: this.#announcing(announced), endpoint: this.#endpoint, clock: this.#clock },
    );
  }

  #announcing(size: number | 'nothing'): Pick<SipStack, 'createUAC'> {
    const line = size === 'nothing' ? '' : `a=file-selector:size:${size}\r\n`;
    return {
      createUAC: (uri, options) => {
        const body = String(options.body).replace(/a=file-selector:size:\d+\r\n/, line);
        return this.#stack.createUAC(uri, { ...options, body });
      },
    };
  }
}

/** A message/cpim. @param asked for notifications. */
export const cpim = (
  text: string,
  id: string,
  asked = 'positive-delivery, negative-delivery, display',
): Buffer => Buffer.from(cpimText(text, id, asked));

export const textIn = ({ octets }: Got): string => parseCpim(octets).content.toString();
