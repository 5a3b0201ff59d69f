import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { makeResponse } from '../../../src/sip/transaction/derived.js';
import type { ServerTransaction } from '../../../src/sip/transaction/layer.js';
import { createTransactionLayer, type Transactions } from '../../../src/sip/transaction/transaction-layer.js';
import type { TransportLimits } from '../../../src/sip/transport/limits.js';
import { parseListeners } from '../../../src/sip/transport/listener-spec.js';
import { Transports } from '../../../src/sip/transport/transports.js';

const pem = (name: string): string => readFileSync(new URL(`certs/${name}`, import.meta.url), 'utf8');
/** A certificate for sip.ims.test, localhost, 127.0.0.1 and ::1, and the authority it comes from. */
export const tls = { cert: pem('server.pem'), key: pem('server.key'), ca: pem('ca.pem') };

export interface Server {
  readonly clock: VirtualClock;
  readonly trail: MemoryTrail;
  readonly transports: Transports;
  readonly layer: Transactions;
  /** What came, newest last; each is answered 200 unless `onRequest` was replaced. */
  readonly requests: ServerTransaction[];
  readonly closedFlows: string[];
  port(protocol: string): number;
  close(): Promise<void>;
}

/** Transports and transactions on real sockets, with time standing still. */
export async function startServer(listen: string, limits: Partial<TransportLimits> = {}): Promise<Server> {
  const clock = new VirtualClock();
  const trail = new MemoryTrail(() => clock.now());
  const transports = new Transports({
    listeners: parseListeners(listen),
    clock,
    log: silentLogger,
    trail,
    limits,
    tls,
  });
  const layer = createTransactionLayer({ transports, clock, log: silentLogger, trail });
  const requests: ServerTransaction[] = [];
  layer.onRequest = (transaction) => {
    requests.push(transaction);
    transaction.respond(makeResponse(transaction.request, 200, 'server'));
  };
  const closedFlows: string[] = [];
  transports.onFlowClosed((flow) => closedFlows.push(flow));
  await transports.start();
  return {
    clock,
    trail,
    transports,
    layer,
    requests,
    closedFlows,
    port: (protocol) => transports.listeners.find((listener) => listener.protocol === protocol)!.port,
    close: () => transports.close(),
  };
}

/** A stream as text, with a way to wait for what it is to hold. */
export class Peer {
  readonly socket: Socket;
  text = '';
  closed = false;
  #wake: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => {
      this.text += data.toString();
      this.#changed();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#changed();
    });
  }

  static tcp(port: number, host = '127.0.0.1'): Peer {
    return new Peer(connect(port, host));
  }

  send(text: string): void {
    this.socket.write(text);
  }

  /** Waits until the text holds the pattern, takes it out with all before it, and gives that. */
  async take(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) {
        const end = match.index + match[0].length;
        const taken = this.text.slice(0, end);
        this.text = this.text.slice(end);
        return taken;
      }
      if (this.closed) throw new Error(`closed before ${pattern}: ${this.text}`);
      await this.#change();
    }
  }

  async whenClosed(): Promise<void> {
    while (!this.closed) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** Waits until `condition` holds, turn by turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** A whole OPTIONS request. */
export function options(via: string, branch: string, extra: readonly string[] = []): string {
  return [
    'OPTIONS sip:ims.test SIP/2.0',
    `Via: SIP/2.0/${via};branch=z9hG4bK${branch}`,
    'From: <sip:alice@ims.test>;tag=a',
    'To: <sip:ims.test>',
    `Call-ID: ${branch}`,
    'CSeq: 1 OPTIONS',
    'Max-Forwards: 70',
    ...extra,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}
