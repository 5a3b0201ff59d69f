import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import { SipPeer } from './sip-peer.js';

/** A user's device in a test: registers at a server of {@link startParley} and speaks SIP over UDP. */
export class Phone {
  readonly user: string;
  readonly peer: SipPeer;
  /** The server's UDP port. */
  readonly server: number;
  #cseq = 0;

  private constructor(user: string, peer: SipPeer, server: number) {
    this.user = user;
    this.peer = peer;
    this.server = server;
  }

  /** @param server the server's UDP port. */
  static async open(user: string, server: number): Promise<Phone> {
    return new Phone(user, await SipPeer.open(), server);
  }

  /** The same, registered (with open authentication). */
  static async registered(user: string, server: number, contactParams = ''): Promise<Phone> {
    const phone = await Phone.open(user, server);
    const response = await phone.register(contactParams);
    if (response.status !== 200) throw new Error(`REGISTER of ${user} got ${response.status}`);
    return phone;
  }

  /** The same device, for a server that started after it. */
  towards(server: number): Phone {
    return new Phone(this.user, this.peer, server);
  }

  get aor(): string {
    return `sip:${this.user}@ims.test`;
  }

  get contact(): string {
    return `sip:${this.user}@127.0.0.1:${this.peer.port}`;
  }

  async register(contactParams = '', headers: HeaderMap = {}): Promise<SipResponse> {
    this.send('REGISTER', 'sip:ims.test', {
      To: `<${this.aor}>`,
      Contact: `<${this.contact}>${contactParams}`,
      ...headers,
    });
    return this.peer.response(200);
  }

  /** Sends a request; what is not given is filled in. @returns its Call-ID. */
  send(method: string, uri: string, headers: HeaderMap = {}, body = ''): string {
    const cseq = ++this.#cseq;
    const callId = `${this.user}-${this.peer.port}-${method}-${cseq}`;
    const all: HeaderMap = {
      Via: `SIP/2.0/UDP 127.0.0.1:${this.peer.port};branch=z9hG4bK${callId}`,
      'Max-Forwards': '70',
      From: `<${this.aor}>;tag=${callId}`,
      To: `<${uri}>`,
      'Call-ID': callId,
      CSeq: `${cseq} ${method}`,
      Contact: `<${this.contact}>`,
      'Content-Length': String(Buffer.byteLength(body)),
      ...headers,
    };
    const lines = Object.entries(all).flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().map((line) => `${name}: ${String(line)}`),
    );
    this.peer.sendOctets([`${method} ${uri} SIP/2.0`, ...lines, '', body].join('\r\n'), this.server);
    return callId;
  }

  /** Sends a request and gives its final response. */
  async ask(method: string, uri: string, headers?: HeaderMap, body?: string): Promise<SipResponse> {
    this.send(method, uri, headers, body);
    return this.peer.response(200);
  }

  /** Answers the next request of a method, and gives it. */
  async answer(method: string, status: number, headers: HeaderMap = {}): Promise<SipRequest> {
    const request = await this.peer.request(method);
    this.peer.answer(request, status, { Contact: `<${this.contact}>`, ...headers }, `tag-${this.user}`);
    return request;
  }

  close(): void {
    this.peer.close();
  }
}
