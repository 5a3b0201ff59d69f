import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { markdown } from './load-runs.js';
import { cpuSeconds, memory } from './measure.js';
import { startParley, type RunningParley } from './servers/parley.js';

export interface SessionsWork {
  /** Sessions that are open at once. */
  readonly sessions: number;
  /** Deferred messages. */
  readonly messages: number;
  /** Users that the messages are for, whose devices come back all at once. */
  readonly users: number;
}

/** Requests without an answer at once. */
const AT_ONCE = 64;
/** A request, or an ACK, may be lost: it is sent again until its answer comes (RFC 3261 §17.1), and so long at most. */
const AGAIN_MS = 1_000;
const ANSWER_MS = 120_000;
/** Without a single message more for so long a part has failed. */
const STALLED_MS = 60_000;
const PROGRESS_MS = 10_000;
const SOCKET_BUFFER = 8 << 20;
const ICSI = 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.';

/** Memory of open sessions, as proxy and as B2BUA; deferred messages stored, and handed to devices that come back at once. */
export async function measureSessions(work: SessionsWork, told: (line: string) => void): Promise<string> {
  const rows: string[][] = [];
  for (const mediaPath of [false, true]) {
    await using(mediaPath, async (parley, phones) => {
      await phones.all(work.users, (user) => phones.register(user));
      await settle();
      told(`${work.users} users are registered`);
      const before = memory(parley.processes());
      await shown('sessions', told, phones, () =>
        phones.all(work.sessions, (i) => phones.invite(i, work.users)),
      );
      await settle();
      const after = memory(parley.processes());
      const bytes = (after.total - after.file - before.total + before.file) / work.sessions;
      const name = mediaPath ? 'in the media path' : 'as proxy';
      rows.push([`memory a session, ${name}, of ${work.sessions}`, `${bytes.toFixed(0)} B`]);
      told(`${work.sessions} sessions ${name}: ${bytes.toFixed(0)} B each`);
    });
  }
  await using(false, async (parley, phones) => {
    const stored = await timed(parley, () =>
      shown('messages stored', told, phones, () =>
        phones.all(work.messages, (i) => phones.message(i % work.users)),
      ),
    );
    rows.push(['messages stored a second', ...figures(stored, work.messages)]);
    told(`stored: ${(work.messages / stored.seconds).toFixed(0)}/s`);
    const delivered = await timed(parley, () =>
      shown('messages delivered', told, phones, async () => {
        const all = phones.received(work.messages);
        await phones.all(work.users, (user) => phones.register(user));
        await all;
      }),
    );
    told(`delivered: ${(work.messages / delivered.seconds).toFixed(0)}/s`);
    rows.push([
      `messages delivered a second, to ${work.users} devices back at once`,
      ...figures(delivered, work.messages),
    ]);
  });
  return markdown([`${work.messages} messages, ${work.users} users`, '', ''], rows);
}

/** Tells how far a work is, and ends it when it gets no further. */
async function shown(
  what: string,
  told: (line: string) => void,
  phones: Phones,
  work: () => Promise<void>,
): Promise<void> {
  const startedAt = performance.now();
  let [last, changedAt] = [0, startedAt];
  phones.progress = 0;
  await new Promise<void>((resolve, reject) => {
    const timer = setInterval(() => {
      const now = performance.now();
      told(`${phones.progress} ${what} after ${((now - startedAt) / 1000).toFixed(0)} s`);
      if (phones.progress !== last) [last, changedAt] = [phones.progress, now];
      else if (now - changedAt > STALLED_MS) reject(new Error(`${what} stand still at ${last}`));
    }, PROGRESS_MS);
    work()
      .then(resolve, reject)
      .finally(() => clearInterval(timer));
  });
}

interface Used {
  readonly seconds: number;
  readonly cpu: number;
}

const figures = ({ seconds, cpu }: Used, count: number): string[] => [
  `${(count / seconds).toFixed(0)}/s`,
  `${((cpu / count) * 1e6).toFixed(0)} µs CPU each`,
];

async function timed(parley: RunningParley, work: () => Promise<void>): Promise<Used> {
  const [startedAt, before] = [performance.now(), cpuSeconds(parley.processes())];
  await work();
  return { seconds: (performance.now() - startedAt) / 1000, cpu: cpuSeconds(parley.processes()) - before };
}

async function using(
  mediaPath: boolean,
  work: (parley: RunningParley, phones: Phones) => Promise<void>,
): Promise<void> {
  const parley = await startParley({
    // nobody speaks MSRP here, and what is measured is no overload
    settings: {
      cpm: { policy: { mediaPath } },
      msrp: { bind: 3600 },
      sip: { overloadDelay: 60_000 },
    },
  });
  const phones = await Phones.open(parley.port);
  try {
    await work(parley, phones);
  } finally {
    phones.close();
    await parley.stop();
  }
}

/** The young generation is collected, and timers of transactions have run. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 35_000));

/** All phones on one socket. */
class Phones {
  readonly #socket: Socket;
  readonly #server: number;
  readonly #waiting = new Map<string, (response: string) => void>();
  /** By Call-ID: sent again when the 2xx comes again, which says that it was lost (RFC 3261 §13.2.2.4). */
  readonly #acks = new Map<string, readonly string[]>();
  /** Requests answered, or messages received, by what is counted. */
  progress = 0;
  readonly #texts = new Set<string>();
  readonly #sent = new Map<number, number>();
  #count = 0;
  #all: (() => void) | undefined;
  #wanted = 0;

  private constructor(socket: Socket, server: number) {
    this.#socket = socket;
    this.#server = server;
    socket.on('message', (data) => this.#heard(data.toString('latin1')));
  }

  static async open(server: number): Promise<Phones> {
    const socket = createSocket({
      type: 'udp4',
      recvBufferSize: SOCKET_BUFFER,
      sendBufferSize: SOCKET_BUFFER,
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new Phones(socket, server);
  }

  close(): void {
    this.#socket.close();
  }

  /** So many of a work, some at once. */
  async all(count: number, work: (index: number) => Promise<void>): Promise<void> {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < count) await work(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  }

  async register(user: number): Promise<void> {
    const uuid = `00000000-0000-4000-8000-${String(user).padStart(12, '0')}`;
    const services = ['msg', 'session'].map((name) => `${ICSI}${name}`.replaceAll(':', '%3A')).join(',');
    const contact = `<sip:user${user}@127.0.0.1:${this.#port}>;+sip.instance="<urn:uuid:${uuid}>";+g.3gpp.icsi-ref="${services}"`;
    await this.#ask('REGISTER', 'sip:ims.test', user, user, [`Contact: ${contact}`, 'Supported: gruu']);
  }

  async message(user: number): Promise<void> {
    const number = this.#sent.get(user) ?? 0;
    this.#sent.set(user, number + 1);
    const headers = [`P-Preferred-Service: ${ICSI}msg`, 'Content-Type: text/plain'];
    await this.#ask('MESSAGE', `sip:user${user}@ims.test`, user + 1, user, headers, `${user} ${number}`);
  }

  async invite(index: number, users: number): Promise<void> {
    const [from, to] = [index % users, (index + 1) % users];
    const headers = [
      `Contact: <sip:user${from}@127.0.0.1:${this.#port}>`,
      `P-Preferred-Service: ${ICSI}session`,
      'Content-Type: application/sdp',
    ];
    const uri = `sip:user${to}@ims.test`;
    const answer = await this.#ask('INVITE', uri, from, to, headers, this.#sdp('actpass'));
    const line = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(answer)![1]!;
    const route = [...answer.matchAll(/^Record-Route: (.*)$/gim)]
      .map(([, value]) => `Route: ${value}`)
      .reverse();
    const target = /<([^>]+)>/.exec(line('Contact'))![1]!;
    const ack = [
      `ACK ${target} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${this.#port};branch=z9hG4bKa${++this.#count}`,
      'Max-Forwards: 70',
      ...route,
      ...['From', 'To', 'Call-ID'].map((name) => `${name}: ${line(name)}`),
      `CSeq: ${line('CSeq').split(' ')[0]} ACK`,
    ];
    this.#acks.set(line('Call-ID'), ack);
    this.#send(ack);
  }

  /** Settles when so many messages have come. */
  received(count: number): Promise<void> {
    this.#wanted = count;
    return new Promise((resolve) => (this.#all = resolve));
  }

  get #port(): number {
    return this.#socket.address().port;
  }

  #sdp(setup: string): string {
    return [
      'v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=message 9 TCP/MSRP *',
      `a=path:msrp://127.0.0.1:9/s${++this.#count};tcp`, `a=setup:${setup}`, 'a=accept-types:message/cpim', '',
    ].join('\r\n'); // prettier-ignore
  }

  async #ask(
    method: string,
    uri: string,
    from: number,
    to: number,
    headers: readonly string[],
    body = '',
  ): Promise<string> {
    const id = `${method}-${++this.#count}`;
    const send = (): void => this.#send(lines, body);
    const lines = [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${this.#port};branch=z9hG4bK${id}`,
      'Max-Forwards: 70',
      `From: <sip:user${from}@ims.test>;tag=${id}`,
      `To: <sip:user${to}@ims.test>`,
      `Call-ID: ${id}`,
      `CSeq: 1 ${method}`,
      ...headers,
    ];
    const answer = await this.#answer(id, send);
    if (!answer.startsWith('SIP/2.0 2')) throw new Error(`${method}: ${answer.split('\r\n', 1)[0]}`);
    return answer;
  }

  async #answer(id: string, send: () => void): Promise<string> {
    let again: NodeJS.Timeout | undefined;
    let over: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#waiting.set(id, resolve);
        over = setTimeout(() => reject(new Error(`${id} got no answer`)), ANSWER_MS);
        again = setInterval(send, AGAIN_MS);
        send();
      });
    } finally {
      clearInterval(again);
      clearTimeout(over);
      this.#waiting.delete(id);
    }
  }

  #send(lines: readonly string[], body = ''): void {
    const text = [...lines, `Content-Length: ${body.length}`, '', body].join('\r\n');
    this.#socket.send(text, this.#server, '127.0.0.1');
  }

  #heard(text: string): void {
    if (text.startsWith('SIP/2.0')) {
      if (text.startsWith('SIP/2.0 1')) return;
      const id = /^Call-ID: (.*)$/im.exec(text)![1]!.trim();
      const waiting = this.#waiting.get(id);
      if (waiting && this.#all === undefined) this.progress++;
      waiting?.(text);
      const ack = waiting ? undefined : this.#acks.get(id);
      if (ack) this.#send(ack);
      return;
    }
    if (text.startsWith('ACK')) return;
    const kept = text
      .split('\r\n\r\n', 1)[0]!
      .split('\r\n')
      .filter((line) => /^(?:Via|From|To|Call-ID|CSeq|Record-Route):/i.test(line))
      .map((line) =>
        /^To:/i.test(line) && !line.includes(';tag=') ? `${line};tag=b${++this.#count}` : line,
      );
    const invite = text.startsWith('INVITE');
    const contact = `Contact: <sip:user@127.0.0.1:${this.#port}>`;
    const answer = ['SIP/2.0 200 OK', ...kept, ...(invite ? [contact, 'Content-Type: application/sdp'] : [])];
    this.#send(answer, invite ? this.#sdp('active') : '');
    if (text.startsWith('MESSAGE')) this.#noted(text.slice(text.indexOf('\r\n\r\n') + 4));
  }

  /** A repeated request is no second message. */
  #noted(body: string): void {
    this.#texts.add(body);
    this.progress = this.#texts.size;
    if (this.#texts.size === this.#wanted) this.#all?.();
  }
}
