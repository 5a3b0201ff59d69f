import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Clock, Timer } from '../../base/clock.js';
import type { Listener } from '../stack.js';

const INTERVAL_MS = 100;
/** A probe that has not come back by then was dropped. */
const LOST_MS = 2_000;

/** Sends something through the queue that requests wait in, and calls `arrived` when it has come through. */
export type Probe = (arrived: () => void) => void;

/**
 * How long a request that arrives now waits before it is looked at: in the socket's buffer and in the event loop.
 * Measured ten times a second by something that waits there too.
 */
export class QueueingDelay {
  readonly #clock: Clock;
  readonly #probe: Probe;
  #last = 0;
  /** When the probe was sent that is on its way. */
  #sentAt: number | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, probe: Probe) {
    this.#clock = clock;
    this.#probe = probe;
  }

  start(): void {
    this.#timer = this.#clock.after(INTERVAL_MS, () => this.#tick());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Milliseconds. While a probe is overdue, as long as it has been. */
  get milliseconds(): number {
    const waiting = this.#sentAt === undefined ? 0 : this.#clock.now() - this.#sentAt;
    return Math.max(this.#last, waiting);
  }

  #tick(): void {
    const now = this.#clock.now();
    if (this.#sentAt === undefined || now - this.#sentAt >= LOST_MS) {
      this.#sentAt = now;
      this.#probe(() => this.#arrived(now));
    }
    this.start();
  }

  #arrived(sentAt: number): void {
    if (this.#sentAt !== sentAt) return;
    this.#last = this.#clock.now() - sentAt;
    this.#sentAt = undefined;
  }
}

/** A STUN Binding request to our own UDP listener (RFC 5389 §6), sent from a socket of its own. */
export function stunProbe(
  listener: Listener,
  onError: (error: Error) => void,
): { readonly probe: Probe; readonly close: () => void } {
  const six = listener.address.includes(':');
  const anywhere = listener.address === '0.0.0.0' || listener.address === '::';
  const host = anywhere ? (six ? '::1' : '127.0.0.1') : listener.address;
  const socket = createSocket(six ? 'udp6' : 'udp4').unref();
  const arrivals = new Map<string, () => void>();
  socket.on('error', onError);
  socket.on('message', (data) => arrivals.get(data.toString('latin1', 4, 20))?.());
  return {
    probe: (arrived) => {
      const request = Buffer.concat([Buffer.from('000100002112a442', 'hex'), randomBytes(12)]);
      arrivals.clear();
      arrivals.set(request.toString('latin1', 4, 20), arrived);
      socket.send(request, listener.port, host, (error) => {
        if (error) onError(error);
      });
    },
    close: () => socket.close(),
  };
}
