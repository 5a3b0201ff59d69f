import { connect, type Socket } from 'node:net';
import { parseMsrpMedia } from '../../src/msrp/sdp/index.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { SipRequest, type SipResponse } from '../../src/sip/message/message.js';
import { Phone } from './phone.js';

const ICSI = 'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session';
export const CPM_FEATURES = `;+g.3gpp.icsi-ref="${ICSI}"`;
export const FACTORY = 'sip:conference-factory@ims.test';

/** A description of an MSRP session that its party opens itself, or could. */
export function sdp(name: string, setup: string): string {
  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=message 9 TCP/MSRP *',
    `a=path:msrp://127.0.0.1:9/${name};tcp`,
    `a=setup:${setup}`,
    'a=accept-types:message/cpim',
    'a=accept-wrapped-types:*',
    'a=chatroom:nickname private-messages',
    '',
  ].join('\r\n');
}

/** INVITE to the factory with a recipient list. @returns its Call-ID. */
export function createGroup(
  alice: Phone,
  entries: string,
  contribution = 'g77',
  headers: HeaderMap = {},
): string {
  const body = [
    '--b1',
    'Content-Type: application/sdp',
    '',
    sdp(alice.user, 'actpass'),
    '--b1',
    'Content-Type: application/resource-lists+xml',
    'Content-Disposition: recipient-list',
    '',
    '<?xml version="1.0"?><resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:cp="urn:ietf:params:xml:ns:copycontrol">' +
      `<list>${entries}</list></resource-lists>`,
    '--b1--',
    '',
  ].join('\r\n');
  return alice.send(
    'INVITE',
    FACTORY,
    {
      Contact: `<${alice.contact}>${CPM_FEATURES}`,
      'P-Preferred-Service': 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session.group',
      Require: 'recipient-list-invite',
      Subject: 'Trip planning',
      'Conversation-ID': 'k2',
      'Contribution-ID': contribution,
      'Content-Type': 'multipart/mixed;boundary=b1',
      ...headers,
    },
    body,
  );
}

/** Accepts an invitation of the focus with an MSRP description. */
export function acceptInvitation(
  phone: Pick<Phone, 'user' | 'peer' | 'server' | 'contact'>,
  invite: SipRequest,
): void {
  const body = sdp(phone.user, 'active');
  const via = invite.headers.lines('Via').map((line) => `Via: ${line}`);
  const routes = invite.headers.lines('Record-Route').map((line) => `Record-Route: ${line}`);
  phone.peer.sendOctets(
    [
      'SIP/2.0 200 OK',
      ...via,
      ...routes,
      `From: ${invite.get('From')}`,
      `To: ${invite.get('To')};tag=${phone.user}`,
      `Call-ID: ${invite.callId}`,
      `CSeq: ${invite.get('CSeq')}`,
      `Contact: <${phone.contact}>${CPM_FEATURES}`,
      'Content-Type: application/sdp',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
    phone.server,
  );
}

/** ACK of a 2xx. */
export function acknowledge(phone: Phone, response: SipResponse): void {
  const target = response.contacts[0]!.uriText;
  phone.send('ACK', target, {
    From: response.get('From'),
    To: response.get('To'),
    'Call-ID': response.callId,
    CSeq: `${response.cseq.number} ACK`,
    Via: `SIP/2.0/UDP 127.0.0.1:${phone.peer.port};branch=z9hG4bKack${response.callId}`,
  });
}

/** INVITE to the focus by a member, for the first time or again. */
export function joinGroup(
  phone: Phone,
  focus: string,
  contribution = 'g77',
  headers: HeaderMap = {},
): string {
  return phone.send(
    'INVITE',
    focus,
    {
      Contact: `<${phone.contact}>${CPM_FEATURES}`,
      'Contribution-ID': contribution,
      'Content-Type': 'application/sdp',
      ...headers,
    },
    sdp(phone.user, 'actpass'),
  );
}

/**
 * A member ends its session.
 * @param session the answer of the focus to its INVITE, or the INVITE of the focus.
 * @param reason leaves it free to come back unless its cause is 200.
 */
export async function leaveGroup(
  phone: Phone,
  session: SipRequest | SipResponse,
  reason = 'SIP;cause=200;text="Call completed"',
): Promise<void> {
  const routes = session.headers.list('Record-Route');
  const invited = session instanceof SipRequest;
  const answer = await phone.ask('BYE', session.contacts[0]!.uriText, {
    Route: invited ? routes : routes.reverse(),
    From: invited ? `${session.get('To')};tag=${phone.user}` : session.get('From'),
    To: invited ? session.get('From') : session.get('To'),
    'Call-ID': session.callId,
    Reason: reason,
  });
  if (answer.status !== 200) throw new Error(`BYE got ${answer.status}`);
}

/** The description in a message, alone or as a part. */
export function descriptionIn(message: SipRequest | SipResponse): Buffer {
  const text = Buffer.from(message.body).toString();
  return Buffer.from(/v=0[^]*?(?=\r\n--|$)/.exec(text)![0]);
}

/** A registered device that speaks CPM sessions, with its public GRUU. */
export async function cpmDevice(
  user: string,
  instance: string,
  server: number,
): Promise<Phone & { gruu: string }> {
  const phone = await Phone.open(user, server);
  const register = (): Promise<SipResponse> =>
    phone.register(`;+sip.instance="<urn:uuid:${instance}>"${CPM_FEATURES}`, { Supported: 'gruu' });
  let response = await register();
  // overload control answers so when the machine is busy with other things
  while (response.status === 503) response = await register();
  const gruus = response.headers.lines('Contact').flatMap((line) => line.split(/,(?=\s*<)/));
  const own = gruus.find((line) => line.includes(instance))!;
  return Object.assign(phone, { gruu: /pub-gruu="([^"]+)"/.exec(own)![1]! });
}

/** An MSRP client that opens the connection itself, as phones behind address translation do. */
export class MsrpClient {
  readonly #socket: Socket;
  readonly #own: string;
  readonly #theirs: string;
  #text = '';
  #changed: () => void = () => {};
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;
  /** Status of its answer to each SEND; undefined answers nothing. */
  answers: number | undefined = 200;

  constructor(name: string, description: Uint8Array) {
    const { path } = parseMsrpMedia(description);
    this.#own = `msrp://127.0.0.1:9/${name};tcp`;
    this.#theirs = path[0]!.text;
    this.#socket = connect(path[0]!.port!, path[0]!.host);
    this.ended = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    // its end is what a test of a server that is killed waits for
    this.#socket.on('error', () => this.#changed());
    this.#socket.on('data', (data) => {
      this.#text += data.toString('utf8');
      for (const [, id] of this.#text.matchAll(/MSRP (\w+) SEND/g)) {
        if (!this.#text.includes(`-------${id}$`) || this.#answered.has(id!)) continue;
        this.#answered.add(id!);
        if (this.answers === undefined) continue;
        this.#socket.write(
          `MSRP ${id} ${this.answers} As told\r\nTo-Path: ${this.#theirs}\r\nFrom-Path: ${this.#own}\r\n-------${id}$\r\n`,
        );
      }
      this.#changed();
    });
    this.#write('open0001', undefined);
  }

  readonly #answered = new Set<string>();

  /** Resolves when what has arrived matches. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#text)) await new Promise<void>((resolve) => (this.#changed = resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** What has arrived. */
  get text(): string {
    return this.#text;
  }

  say(
    id: string,
    from: string,
    to: string,
    text: string,
    more: { fromPath?: string; type?: string; headers?: Readonly<Record<string, string>> } = {},
  ): void {
    const { fromPath = this.#own, type = 'text/plain', headers = {} } = more;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#write(
      id,
      `From: <${from}>\r\nTo: <${to}>\r\n${lines.join('')}\r\nContent-Type: ${type}\r\n\r\n${text}`,
      fromPath,
    );
  }

  /** @param quoted the value of Use-Nickname as written. */
  nickname(id: string, quoted: string): void {
    this.#socket.write(
      `MSRP ${id} NICKNAME\r\nTo-Path: ${this.#theirs}\r\nFrom-Path: ${this.#own}\r\nUse-Nickname: ${quoted}\r\n-------${id}$\r\n`,
    );
  }

  #write(id: string, cpim: string | undefined, fromPath = this.#own): void {
    const body =
      cpim === undefined
        ? ''
        : `Byte-Range: 1-${cpim.length}/${cpim.length}\r\nContent-Type: message/cpim\r\n\r\n${cpim}\r\n`;
    this.#socket.write(
      `MSRP ${id} SEND\r\nTo-Path: ${this.#theirs}\r\nFrom-Path: ${fromPath}\r\nMessage-ID: m${id}\r\n${body}-------${id}$\r\n`,
    );
  }
}
