import { lookup } from 'node:dns/promises';
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { DrachtioSettings } from './settings.js';

/** What strangers cause, a look at names and a line in the log, happens no oftener than this. */
const STRANGER_MS = 10_000;

interface CallersOptions {
  readonly settings: Pick<DrachtioSettings, 'servers' | 'from'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The IP addresses from which servers may connect to us: those of the servers, and those of the settings. */
export class Callers {
  readonly #options: CallersOptions;
  readonly #known = new Set<string>();
  #lookedAt = -Infinity;
  /** Connections that were refused since the log last said so. */
  #refused = 0;

  constructor(options: CallersOptions) {
    this.#options = options;
  }

  /** Learns what the names of the servers lead to; one that leads nowhere now is looked up again for the next stranger. */
  async learn(): Promise<void> {
    const { servers, from } = this.#options.settings;
    this.#lookedAt = this.#options.clock.now();
    const found = await Promise.all(servers.map(({ host }) => lookup(host, { all: true }).catch(() => [])));
    for (const address of [...from, ...found.flat().map(({ address: one }) => one)]) this.#known.add(address);
  }

  /** Whether a connection from there is taken. A stranger may be a server whose name leads elsewhere by now. */
  takes(address: string): boolean {
    if (this.#known.has(address)) return true;
    this.#refused++;
    const { clock, log } = this.#options;
    if (clock.now() - this.#lookedAt < STRANGER_MS) return false;
    log.warn(
      { address, refused: this.#refused },
      'a connection that is not of a drachtio-server of the settings',
    );
    this.#refused = 0;
    void this.learn();
    return false;
  }
}
