import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { markdown } from './load-runs.js';
import { cpuSeconds, memory, type Memory } from './measure.js';
import { startParley, type RunningParley } from './servers/parley.js';

export interface RegEventWork {
  /** Users with one device and one subscription each, which re-register at the rate. */
  readonly users: number;
  /** REGISTERs a second. */
  readonly rate: number;
  /** For the memory of one. */
  readonly subscriptions: number;
}

/** A fetch is a SUBSCRIBE for 0 seconds (RFC 6665 §4.4.3). */
type Work = 'REGISTER' | 'SUBSCRIBE' | 'fetch';

/** Times that every user re-registers before it is measured: the process compiles, and its heap takes the size that the rate needs. */
const WARM_UP_PASSES = 3;
/** Times that every user re-registers and is measured. */
const PASSES = 3;
/** Requests without an answer at once while users are made. */
const AT_ONCE = 64;
const SOCKET_BUFFER = 8 << 20;
/** After a standstill of its own the bench sends what it is behind with in pieces of so much time, since phones do not come in one heap. */
const CATCH_UP_MS = 20;

/** What a NOTIFY after a REGISTER takes, in time, CPU and memory. */
export async function measureRegEvents(work: RegEventWork, told: (line: string) => void): Promise<string> {
  const { users, rate, subscriptions } = work;
  const rows: string[][] = [];
  await withUsers(async (parley, phones) => {
    await phones.all('REGISTER', users);
    const { cpu: register } = await reRegister(parley, phones, users, rate);
    told(`${users} users re-registered at ${rate} a second without watchers`);
    await phones.all('SUBSCRIBE', users);
    const { cpu: both, standstill } = await reRegister(parley, phones, users, rate);
    rows.push(
      ['CPU a REGISTER that nobody watches', `${(register * 1e6).toFixed(0)} µs`],
      ['CPU a NOTIFY with its 200, beside the REGISTER', `${((both - register) * 1e6).toFixed(0)} µs`],
      ['REGISTER sent to its 200', percentiles(phones.answered)],
      ['REGISTER sent to NOTIFY received', percentiles(phones.notified)],
      [
        'the event loop stood still at most: of the server, of the bench itself',
        `${standstill.server.toFixed(1)} ms, ${standstill.bench.toFixed(1)} ms`,
      ],
      [
        'REGISTERs answered with 200, and NOTIFYs',
        `${phones.answered.length} and ${phones.notified.length} of ${users * PASSES}`,
      ],
    );
  });
  await withUsers(async (parley, phones) => {
    await phones.all('REGISTER', subscriptions);
    // the same traffic, of which nothing stays: what the process needs to take it is not the subscriptions'
    await phones.all('fetch', subscriptions);
    await settle();
    const before = { process: memory(parley.processes()), heap: await parley.heap() };
    await phones.all('SUBSCRIBE', subscriptions);
    await settle();
    const after = { process: memory(parley.processes()), heap: await parley.heap() };
    const each = (bytes: number): string => `${(bytes / subscriptions).toFixed(0)} B`;
    const own = ({ total, file }: Memory): number => total - file;
    rows.push(
      [
        `heap and buffers a subscription after a collection, of ${subscriptions}`,
        each(after.heap - before.heap),
      ],
      [
        'the whole process a subscription, after fetches as many, without pages of files',
        each(own(after.process) - own(before.process)),
      ],
    );
  });
  return markdown([`${users} users, ${rate} REGISTERs a second`, ''], rows);
}

async function withUsers(work: (parley: RunningParley, phones: Phones) => Promise<void>): Promise<void> {
  const parley = await startParley();
  const phones = await Phones.open(parley.port);
  try {
    await work(parley, phones);
  } finally {
    phones.close();
    await parley.stop();
  }
}

/** What a measured part took. */
interface Taken {
  /** Seconds a REGISTER. */
  readonly cpu: number;
  /** Milliseconds at most. A client that stands still sees what it caused itself: requests come in a heap after it. */
  readonly standstill: { readonly server: number; readonly bench: number };
}

/** All users re-register some times, after some for warmth. */
async function reRegister(
  parley: RunningParley,
  phones: Phones,
  users: number,
  rate: number,
): Promise<Taken> {
  await phones.paced(users, rate, WARM_UP_PASSES);
  phones.forget();
  await parley.standstill();
  const bench = monitorEventLoopDelay({ resolution: 5 });
  bench.enable();
  const before = cpuSeconds(parley.processes());
  await phones.paced(users, rate, PASSES);
  const cpu = (cpuSeconds(parley.processes()) - before) / (users * PASSES);
  bench.disable();
  return { cpu, standstill: { server: await parley.standstill(), bench: bench.max / 1e6 } };
}

/** Transactions are over after 32 seconds (Timer J, RFC 3261 §17.2.2), and Node.js gives back what it can when it is idle. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 45_000));

function percentiles(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number): string =>
    `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN).toFixed(1)} ms`;
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, at most ${at(1)}`;
}

/** Devices of `user0` and following on one socket, which read as little of a message as they can. */
class Phones {
  readonly #socket: Socket;
  readonly #server: number;
  readonly #sentAt = new Map<number, number>();
  readonly #waiting = new Map<string, (accepted: boolean) => void>();
  #cseq = 0;
  /** Milliseconds from each REGISTER to its 200. */
  answered: number[] = [];
  /** Milliseconds from each REGISTER to its NOTIFY. */
  notified: number[] = [];

  private constructor(socket: Socket, server: number) {
    this.#socket = socket;
    this.#server = server;
    socket.on('message', (data) => this.#take(data.toString('latin1')));
  }

  static async open(server: number): Promise<Phones> {
    const buffers = { recvBufferSize: SOCKET_BUFFER, sendBufferSize: SOCKET_BUFFER };
    const socket = createSocket({ type: 'udp4', ...buffers });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new Phones(socket, server);
  }

  close(): void {
    this.#socket.close();
  }

  forget(): void {
    this.answered = [];
    this.notified = [];
  }

  /** One request of each user, sent anew until it is accepted. */
  async all(work: Work, users: number): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < users) await this.#accepted(work, next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  /** All users re-register, so many times, at a rate; ends a second after the last one. */
  async paced(users: number, rate: number, times: number): Promise<void> {
    const startedAt = performance.now();
    const most = Math.ceil((rate * CATCH_UP_MS) / 1000);
    for (let sent = 0; sent < users * times;) {
      const due = Math.min(
        users * times,
        sent + most,
        Math.ceil(((performance.now() - startedAt) / 1000) * rate),
      );
      for (; sent < due; sent++) this.#send('REGISTER', sent % users, ++this.#cseq);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }

  /** The same request while there is no answer; a new one after a refusal. */
  async #accepted(work: Work, user: number): Promise<void> {
    for (let cseq = ++this.#cseq; ;) {
      const answer = new Promise<boolean | undefined>((resolve) => {
        const timer = setTimeout(() => resolve(undefined), 1_000);
        this.#waiting.set(`${cseq} ${work === 'fetch' ? 'SUBSCRIBE' : work}`, (accepted) => {
          clearTimeout(timer);
          resolve(accepted);
        });
      });
      this.#send(work, user, cseq);
      const accepted = await answer;
      if (accepted === true) return;
      if (accepted === false) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        cseq = ++this.#cseq;
      }
    }
  }

  #send(work: Work, user: number, cseq: number): void {
    const method = work === 'fetch' ? 'SUBSCRIBE' : work;
    const { port } = this.#socket.address();
    const aor = `sip:user${user}@ims.test`;
    const uuid = `00000000-0000-4000-8000-${String(user).padStart(12, '0')}`;
    const contact = `<sip:user${user}@127.0.0.1:${port}>`;
    const lines =
      method === 'REGISTER'
        ? [
            `Contact: ${contact};+sip.instance="<urn:uuid:${uuid}>";+g.oma.sip-im;expires=3600`,
            'Supported: gruu',
          ]
        : [
            `Contact: ${contact}`,
            'Event: reg',
            'Accept: application/reginfo+xml',
            `Expires: ${work === 'fetch' ? 0 : 600_000}`,
          ];
    this.#sentAt.set(user, performance.now());
    this.#reply([
      `${method} ${method === 'REGISTER' ? 'sip:ims.test' : aor} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${user}-${cseq}`,
      'Max-Forwards: 70',
      `From: <${aor}>;tag=${user}`,
      `To: <${aor}>`,
      `Call-ID: ${method}-${user}-${method === 'SUBSCRIBE' ? cseq : 0}`,
      `CSeq: ${cseq} ${method}`,
      ...lines,
    ]);
  }

  #reply(lines: readonly string[]): void {
    const text = [...lines, 'Content-Length: 0\r\n\r\n'].join('\r\n');
    this.#socket.send(text, this.#server, '127.0.0.1');
  }

  #take(text: string): void {
    const field = (name: string): string => {
      const at = text.indexOf(`\r\n${name}: `) + name.length + 4;
      return text.slice(at, text.indexOf('\r\n', at));
    };
    if (text.startsWith('NOTIFY ')) {
      const user = Number(/^NOTIFY sip:user(\d+)@/.exec(text)![1]);
      this.notified.push(performance.now() - this.#sentAt.get(user)!);
      const copied = ['Via', 'From', 'To', 'Call-ID', 'CSeq'].map((name) => `${name}: ${field(name)}`);
      this.#reply(['SIP/2.0 200 OK', ...copied]);
      return;
    }
    if (text.startsWith('SIP/2.0 1')) return;
    const accepted = text.startsWith('SIP/2.0 200'); // a 503 of a server that sheds load is asked again
    const cseq = field('CSeq');
    this.#waiting.get(cseq)?.(accepted);
    this.#waiting.delete(cseq);
    if (!accepted || !cseq.endsWith('REGISTER')) return;
    const user = Number(field('Call-ID').split('-')[1]);
    this.answered.push(performance.now() - this.#sentAt.get(user)!);
  }
}
