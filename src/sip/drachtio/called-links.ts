import type { Clock, Timer } from '../../base/clock.js';
import type { AdminLink } from './admin-link.js';

/** A connection that nothing has needed at two looks in a row, this far apart, is closed: the last response has gone out by then. */
const LOOK_MS = 2_000;

export interface CalledLinksUser {
  /** Connections that carry a request of ours now. */
  readonly busy: () => ReadonlySet<AdminLink>;
  /** Whether a request that came with that Call-ID is not answered yet, or has become a dialog. */
  readonly lives: (callId: string) => boolean;
}

interface Session {
  readonly callIds: Set<string>;
  idle: boolean;
}

/**
 * The connections that servers made to us, each for one new request and what follows from it. A server never closes one by
 * itself: it is for the application to say that nothing more comes.
 */
export class CalledLinks {
  readonly #clock: Clock;
  readonly #user: CalledLinksUser;
  readonly #sessions = new Map<AdminLink, Session>();
  #look: Timer | undefined;

  constructor(clock: Clock, user: CalledLinksUser) {
    this.#clock = clock;
    this.#user = user;
  }

  add(link: AdminLink): void {
    this.#sessions.set(link, { callIds: new Set(), idle: false });
    this.#look ??= this.#clock.after(LOOK_MS, () => this.#lookAtAll());
  }

  /** A request came over it. */
  received(link: AdminLink, callId: string): void {
    this.#sessions.get(link)?.callIds.add(callId);
  }

  remove(link: AdminLink): void {
    this.#sessions.delete(link);
    if (this.#sessions.size > 0) return;
    this.#look?.cancel();
    this.#look = undefined;
  }

  #lookAtAll(): void {
    this.#look = undefined;
    const busy = this.#user.busy();
    for (const [link, session] of this.#sessions) {
      for (const callId of session.callIds) if (!this.#user.lives(callId)) session.callIds.delete(callId);
      const idle = session.callIds.size === 0 && !busy.has(link);
      if (idle && session.idle) link.close();
      session.idle = idle;
    }
    if (this.#sessions.size > 0) this.#look ??= this.#clock.after(LOOK_MS, () => this.#lookAtAll());
  }
}
