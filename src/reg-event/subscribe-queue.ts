import { backOff } from '../base/back-off.js';
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import { FinalResponseError } from '../sip/final-response-error.js';
import { deltaSeconds, retryAfterSeconds } from '../sip/message/times.js';
import type { Dialog, SipStack } from '../sip/stack.js';
import { REGINFO_TYPE } from './reginfo.js';
import type { Watch } from './watch.js';

export interface SubscribeQueueOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  /** Our own URI: From and P-Asserted-Identity of SUBSCRIBE. */
  readonly self: string;
  /** Route values that lead to the core. */
  readonly route: readonly string[];
  /** Seconds that subscriptions ask for. */
  readonly expires: number;
}

export interface SubscribeQueueListener {
  /** The core has accepted. */
  accepted(watch: Watch, dialog: Dialog): void;
  /** A SUBSCRIBE failed of a user whom the core says to be gone. */
  gone(watch: Watch): void;
}

/** SUBSCRIBEs on their way at once: after a restart there is one for every user. */
const AT_ONCE = 64;
export const MAX_WAIT_MS = 60_000;
/** Nobody is left alone longer, whatever the core asks for. */
const MAX_ASKED_WAIT_MS = 3_600_000;
/** Seconds that a core may want at least. */
const MAX_EXPIRES = 604_800;

/** Final responses after which another SUBSCRIBE would be answered the same way; the next REGISTER tries again. */
const refusals: ReadonlySet<number> = new Set([403, 404, 405, 406, 410, 416, 420, 423, 485, 489, 501, 604]);

/** The SUBSCRIBEs for registration events on their way to a core, a few at once; what fails is tried again later. */
export class SubscribeQueue {
  readonly #options: SubscribeQueueOptions;
  readonly #listener: SubscribeQueueListener;
  readonly #queue: Watch[] = [];
  #running = 0;
  #closed = false;
  /** Seconds that SUBSCRIBEs ask for: what the core wants at least, once it has said so. */
  #expires: number;

  constructor(options: SubscribeQueueOptions, listener: SubscribeQueueListener) {
    this.#options = options;
    this.#expires = options.expires;
    this.#listener = listener;
  }

  /** In its turn. */
  add(watch: Watch): void {
    if (watch.subscribing || watch.dialog || this.#closed) return;
    watch.retry?.cancel();
    watch.subscribing = true;
    this.#queue.push(watch);
    this.#next();
  }

  addIn(watch: Watch, ms: number): void {
    watch.retry?.cancel();
    watch.retry = this.#options.clock.after(Math.min(ms, MAX_ASKED_WAIT_MS), () => this.add(watch));
  }

  close(): void {
    this.#closed = true;
  }

  #next(): void {
    while (this.#running < AT_ONCE && !this.#closed) {
      const watch = this.#queue.shift();
      if (!watch) return;
      this.#running++;
      void this.#try(watch).finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }

  async #try(watch: Watch): Promise<void> {
    const { stack, trail, self, route } = this.#options;
    try {
      const dialog = await stack.createUAC(watch.key, {
        method: 'SUBSCRIBE',
        route,
        headers: {
          From: `<${self}>`,
          'P-Asserted-Identity': `<${self}>`,
          Event: 'reg',
          Accept: REGINFO_TYPE,
          Expires: this.#expires,
        },
      });
      watch.subscribing = false;
      this.#listener.accepted(watch, dialog);
      trail.record({
        code: 'reg-event.subscribed-to',
        outcome: 'accepted',
        clause: '3GPP TS 24.229 §5.7.1.1',
        subject: watch.key,
        trace: dialog.callId,
      });
    } catch (error) {
      watch.subscribing = false;
      this.#failed(watch, error);
    }
  }

  #failed(watch: Watch, error: unknown): void {
    const { log, trail } = this.#options;
    const response = error instanceof FinalResponseError ? error.response : undefined;
    const status = response?.status;
    trail.record({
      code: 'reg-event.subscribe-failed',
      outcome: 'noted',
      clause: 'RFC 6665 §4.1.2',
      subject: watch.key,
      detail: String(status ?? 'no answer'),
    });
    if (watch.ending) {
      this.#listener.gone(watch);
      return;
    }
    const longer = status === 423 ? (deltaSeconds(response?.get('Min-Expires') ?? '') ?? 0) : 0;
    if (longer > this.#expires && longer <= MAX_EXPIRES) {
      // RFC 6665 §4.1.2.1; the others of this core will be told the same
      this.#expires = longer;
      this.add(watch);
      return;
    }
    if (status !== undefined && refusals.has(status)) {
      log.warn({ user: watch.key, status }, 'the core refuses a subscription to registration events');
      return;
    }
    if (status === undefined) log.warn({ err: error, user: watch.key }, 'a SUBSCRIBE failed');
    const asked = (retryAfterSeconds(response?.get('Retry-After') ?? '') ?? 0) * 1_000;
    this.addIn(watch, Math.max(asked, backOff(watch.failures++)));
  }
}
