import { onTestFinished } from 'vitest';
import { SystemClock, type Clock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import {
  MsrpEndpoint,
  MsrpNegotiation,
  wholeMessages,
  type Abandonment,
  type EndpointOptions,
  type IncomingMessage,
  type MediaProfile,
  type MessageReceiver,
  type MsrpSession,
  type SessionOptions,
} from '../../../src/msrp/session/index.js';

/** Called after the test, last first. */
export function afterwards(cleanup: () => unknown): void {
  onTestFinished(async () => void (await cleanup()));
}

export interface TestEndpoint {
  readonly endpoint: MsrpEndpoint;
  readonly trail: MemoryTrail;
  readonly clock: Clock;
  readonly port: number;
}

/** An endpoint that listens with TCP on loopback until the test ends. */
export async function startEndpoint(options: Partial<EndpointOptions> = {}): Promise<TestEndpoint> {
  const clock: Clock = options.clock ?? systemClock();
  const trail = new MemoryTrail(() => clock.now());
  const endpoint = new MsrpEndpoint({ log: silentLogger, trail, ...options, clock });
  afterwards(() => endpoint.close());
  const { port } = await endpoint.listen({ transport: 'tcp', secure: false, host: '127.0.0.1', port: 0 });
  return { endpoint, trail, clock, port };
}

function systemClock(): Clock {
  const clock = new SystemClock((error) => {
    throw error;
  });
  afterwards(() => clock.close());
  return clock;
}

export const anything: MediaProfile = { acceptTypes: ['*'] };

/** Sessions of two endpoints after an offer of the first and an answer of the second. */
export function join(
  a: MsrpEndpoint,
  b: MsrpEndpoint,
  ofA: SessionOptions = {},
  ofB: SessionOptions = {},
  profileOfB: MediaProfile = anything,
): [MsrpSession, MsrpSession] {
  const offering = new MsrpNegotiation(a.createSession(ofA), anything);
  const answering = new MsrpNegotiation(b.createSession(ofB), profileOfB);
  offering.accept(answering.answer(offering.offer()));
  return [offering.session, answering.session];
}

/** Polls until `check` gives something, for at most twenty seconds. */
export async function eventually<T>(
  check: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    const found = await check();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('it did not happen');
}

/** A receiver like `inner` that also says how many octets were given to it. */
export function counting(inner: MessageReceiver): MessageReceiver & { octets: number } {
  const receiver = {
    holds: inner.holds,
    limit: inner.limit,
    octets: 0,
    begin: (message: IncomingMessage) => {
      const sink = inner.begin(message);
      if (typeof sink === 'number') return sink;
      return {
        piece: (piece: Buffer, position: number) => {
          receiver.octets += piece.length;
          sink.piece(piece, position);
        },
        complete: (length: number) => sink.complete(length),
        abandoned: (reason: Abandonment) => sink.abandoned(reason),
      };
    },
  };
  return receiver;
}

/**
 * Lets so much happen elsewhere in the process that whatever was under way has happened too: messages go one after
 * another from `a` to another endpoint. Shows that nothing more comes where nothing is to come.
 */
export async function meanwhile(a: MsrpEndpoint, messages = 50): Promise<void> {
  const b = await startEndpoint();
  const [from, to] = join(a, b.endpoint, {}, { receiver: wholeMessages(1000, () => 200) });
  for (let i = 0; i < messages; i++) {
    const status = await from.send({ contentType: 'text/plain', content: octets(10) }).sent;
    if (status !== 200) throw new Error(`a message elsewhere was answered ${status}`);
  }
  from.close();
  to.close();
}

/** `length` octets that do not repeat soon. */
export function octets(length: number): Buffer {
  const made = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) made[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff;
  return made;
}
