import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket as TcpSocket } from 'node:net';
import { parseDatagram } from '../../src/sip/message/parse.js';
import { SipRequest, type SipResponse } from '../../src/sip/message/message.js';

const FEATURES = ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"';
const PATH = (user: string): string => `msrp://127.0.0.1:9/${user};tcp`;

function sdp(user: string): string {
  return (
    'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n' +
    `a=path:${PATH(user)}\r\na=setup:active\r\na=accept-types:message/cpim\r\na=accept-wrapped-types:*\r\n`
  );
}

type Asked = readonly [
  method: string,
  uri: string,
  user: string,
  to: string,
  headers: Record<string, string>,
  body?: string,
];

/** Many users behind one UDP socket, who accept every invitation, and one MSRP connection, which RFC 4975 §5.4 lets sessions share. */
export class Crowd {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, (response: SipResponse) => void>();
  readonly #server: number;
  #msrp: MsrpLine | undefined;
  #calls = 0;

  private constructor(socket: Socket, server: number) {
    this.#socket = socket;
    this.#server = server;
    socket.on('message', (data) => {
      const parsed = parseDatagram(data);
      if (parsed.kind === 'malformed') throw new Error(parsed.why);
      const { message } = parsed;
      if (message instanceof SipRequest) this.#request(message);
      else if (message.status >= 200) this.#waiting.get(message.callId)?.(message);
    });
  }

  /** @param server its UDP port. */
  static async open(server: number): Promise<Crowd> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 8 << 20 });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new Crowd(socket, server);
  }

  close(): void {
    this.#socket.close();
    this.#msrp?.close();
  }

  /** Messages that arrive at anybody. */
  onText: (text: string, octets: number) => void = () => {};

  /** Requests that the server refused in overload; each is sent again. */
  refused = 0;

  async register(users: readonly string[]): Promise<void> {
    for (let i = 0; i < users.length; i += 50)
      await Promise.all(
        users.slice(i, i + 50).map(async (user) => {
          const contact = `<${this.#contact(user)}>;+sip.instance="<urn:uuid:${uuidOf(user)}>"${FEATURES}`;
          const { status } = await this.#ask('REGISTER', 'sip:ims.test', user, `sip:${user}@ims.test`, {
            Contact: contact,
          });
          if (status !== 200) throw new Error(`REGISTER of ${user} got ${status}`);
        }),
      );
  }

  /** @returns the group session identity. */
  async create(creator: string, others: readonly string[], contribution: string): Promise<string> {
    const entries = others.map((user) => `<entry uri="sip:${user}@ims.test" cp:copyControl="to"/>`).join('');
    const body = [
      '--b1\r\nContent-Type: application/sdp\r\n',
      `${sdp(creator)}--b1\r\nContent-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n`,
      '<?xml version="1.0"?><resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" ' +
        `xmlns:cp="urn:ietf:params:xml:ns:copycontrol"><list>${entries}</list></resource-lists>`,
      '--b1--\r\n',
    ].join('\r\n');
    return this.#invite(
      'sip:conference-factory@ims.test',
      creator,
      contribution,
      'multipart/mixed;boundary=b1',
      body,
      {
        Require: 'recipient-list-invite',
        Subject: 'Bench',
      },
    );
  }

  /** @returns the group session identity. */
  join(user: string, focus: string, contribution: string): Promise<string> {
    return this.#invite(focus, user, contribution, 'application/sdp', sdp(user));
  }

  /** Sends a message in the session of a user. */
  say(user: string, text: string): void {
    this.#msrp!.say(user, `sip:${user}@ims.test`, text);
  }

  async #invite(
    uri: string,
    user: string,
    contribution: string,
    type: string,
    body: string,
    more: Record<string, string> = {},
  ): Promise<string> {
    const headers = {
      Contact: `<${this.#contact(user)}>${FEATURES}`,
      'Contribution-ID': contribution,
      'Content-Type': type,
      ...more,
    };
    const response = await this.#ask('INVITE', uri, user, uri, headers, body);
    if (response.status !== 200) throw new Error(`INVITE ${uri} got ${response.status}`);
    const target = response.contacts[0]!.uriText;
    const cseq = `${response.cseq.number} ACK`;
    this.#send(
      'ACK',
      target,
      response.callId,
      cseq,
      { From: response.get('From')!, To: response.get('To')! },
      '',
    );
    this.#bind(user, Buffer.from(response.body).toString());
    return target;
  }

  /** Sends a request until it is not refused in overload. @returns the final response. */
  async #ask(...request: Asked): Promise<SipResponse> {
    for (;;) {
      const response = await this.#once(...request);
      if (response.status !== 503) return response;
      this.refused++;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  #once(...[method, uri, user, to, headers, body = '']: Asked): Promise<SipResponse> {
    const callId = `c${++this.#calls}-${this.#socket.address().port}`;
    return new Promise((resolve) => {
      this.#waiting.set(callId, (response) => {
        this.#waiting.delete(callId);
        resolve(response);
      });
      const addresses = { From: `<sip:${user}@ims.test>;tag=${callId}`, To: `<${to}>` };
      this.#send(method, uri, callId, `1 ${method}`, { ...addresses, ...headers }, body);
    });
  }

  #send(
    method: string,
    uri: string,
    callId: string,
    cseq: string,
    headers: Record<string, string>,
    body: string,
  ): void {
    const { port } = this.#socket.address();
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    this.#socket.send(
      [
        `${method} ${uri} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${callId}${method}`,
        'Max-Forwards: 70',
        `Call-ID: ${callId}`,
        `CSeq: ${cseq}`,
        ...lines,
        `Content-Length: ${Buffer.byteLength(body)}`,
        '',
        body,
      ].join('\r\n'),
      this.#server,
      '127.0.0.1',
    );
  }

  #request(request: SipRequest): void {
    if (request.method === 'ACK') return;
    const user = request.requestUri.user ?? '';
    const copied = ['Via', 'Record-Route', 'From', 'Call-ID', 'CSeq'].flatMap((name) =>
      request.headers.lines(name).map((line) => `${name}: ${line}`),
    );
    const isInvite = request.method === 'INVITE';
    const body = isInvite ? sdp(user) : '';
    const to = `To: ${request.get('To')}${request.toTag === undefined ? ';tag=t' : ''}`;
    const lines = isInvite
      ? [`Contact: <${this.#contact(user)}>${FEATURES}`, 'Content-Type: application/sdp']
      : [];
    this.#socket.send(
      ['SIP/2.0 200 OK', ...copied, to, ...lines, `Content-Length: ${body.length}`, '', body].join('\r\n'),
      this.#server,
      '127.0.0.1',
    );
    if (isInvite) this.#bind(user, Buffer.from(request.body).toString());
  }

  #bind(user: string, description: string): void {
    const path = /a=path:(\S+)/.exec(description)![1]!;
    this.#msrp ??= new MsrpLine(Number(/:(\d+)\//.exec(path)![1]), (...heard) => this.onText(...heard));
    this.#msrp.open(user, path);
  }

  #contact(user: string): string {
    return `sip:${user}@127.0.0.1:${this.#socket.address().port}`;
  }
}

const uuidOf = (user: string): string =>
  `00000000-0000-4000-8000-${Buffer.from(user).toString('hex').padStart(12, '0').slice(-12)}`;

/** One MSRP connection with the sessions of all users. */
class MsrpLine {
  readonly #socket: TcpSocket;
  readonly #paths = new Map<string, string>();
  readonly #onText: Crowd['onText'];
  #rest = '';
  #out = '';
  #ids = 0;

  constructor(port: number, onText: Crowd['onText']) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.setEncoding('latin1').on('data', (data: string) => this.#data(data));
    this.#socket.on('error', () => {});
    this.#onText = onText;
  }

  close(): void {
    this.#socket.destroy();
  }

  open(user: string, path: string): void {
    this.#paths.set(user, path);
    this.#write(path, PATH(user), '');
  }

  say(user: string, from: string, text: string): void {
    const cpim = `From: <${from}>\r\nTo: <sip:anonymous@anonymous.invalid>\r\n\r\nContent-Type: text/plain\r\n\r\n${text}`;
    const body = `Byte-Range: 1-${cpim.length}/${cpim.length}\r\nContent-Type: message/cpim\r\n\r\n${cpim}\r\n`;
    this.#write(this.#paths.get(user)!, PATH(user), body);
  }

  #write(to: string, from: string, body: string): void {
    const id = `b${(++this.#ids).toString(36).padStart(7, '0')}`;
    this.#push(
      `MSRP ${id} SEND\r\nTo-Path: ${to}\r\nFrom-Path: ${from}\r\nMessage-ID: m${id}\r\n${body}-------${id}$\r\n`,
    );
  }

  #push(text: string): void {
    if (this.#out === '')
      setImmediate(() => {
        this.#socket.write(this.#out, 'latin1');
        this.#out = '';
      });
    this.#out += text;
  }

  #data(data: string): void {
    this.#rest += data;
    let from = 0;
    for (;;) {
      const lineEnd = this.#rest.indexOf('\r\n', from);
      if (lineEnd < 0) break;
      const [, id, method] = this.#rest.slice(from, lineEnd).split(' ') as [string, string, string];
      const end = `-------${id}`;
      const at = this.#rest.indexOf(end, lineEnd);
      if (at < 0 || this.#rest.length < at + end.length + 3) break;
      if (method === 'SEND') this.#send(id, this.#rest.slice(lineEnd, at));
      from = at + end.length + 3;
    }
    this.#rest = this.#rest.slice(from);
  }

  #send(id: string, frame: string): void {
    const to = /To-Path: (\S+)/.exec(frame)![1]!;
    const from = /From-Path: (\S+)/.exec(frame)![1]!;
    this.#push(`MSRP ${id} 200 OK\r\nTo-Path: ${from}\r\nFrom-Path: ${to}\r\n-------${id}$\r\n`);
    const head = frame.indexOf('\r\n\r\n');
    if (head < 0) return;
    const at = frame.lastIndexOf('\r\n\r\n');
    this.#onText(frame.slice(at + 4).trim(), frame.length - head - 6);
  }
}
