import { createClient } from 'redis';
import type { Clock, Timer } from '../../base/clock.js';

/** Which Redis is the master, and since which election. */
export interface Master {
  readonly host: string;
  readonly port: number;
  /** `config-epoch`: each election has a higher one. */
  readonly epoch: number;
}

/** A sentinel that takes longer to be reached or to answer is not waited for. */
const answerMs = 500;

function newSentinel(url: string) {
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    commandsQueueMaxLength: 2,
    maintNotifications: 'disabled',
    socket: { connectTimeout: answerMs, reconnectStrategy: false },
  });
}
type Client = ReturnType<typeof newSentinel>;

/** The Redis Sentinels of one master (Redis documentation, "Sentinel client spec"). */
export class Sentinels {
  readonly #urls: readonly string[];
  readonly #name: string;
  readonly #clock: Clock;
  readonly #clients = new Map<string, Client>();

  /** @param urls of the sentinels. @param name under which they know the master. */
  constructor(urls: readonly string[], name: string, clock: Clock) {
    this.#urls = urls;
    this.#name = name;
    this.#clock = clock;
  }

  /**
   * Asks all of them: one that was cut off from the others may still name the master of an election before.
   * @returns the answer of the newest election. @throws Error when none answers, or none knows that name.
   */
  async master(): Promise<Master> {
    const answers = await Promise.allSettled(this.#urls.map((url) => this.#ask(url)));
    const known = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    if (known.length > 0) return known.reduce((best, one) => (one.epoch > best.epoch ? one : best));
    const why = answers.map((answer) => (answer.status === 'rejected' ? reasonOf(answer.reason) : ''));
    throw new Error(`no sentinel tells the master ${this.#name}: ${[...new Set(why)].join('; ')}`);
  }

  close(): void {
    for (const url of this.#urls) this.#drop(url);
  }

  async #ask(url: string): Promise<Master> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = this.#clock.after(answerMs, () => reject(new Error(`no answer within ${answerMs} ms`)));
    });
    try {
      return await Promise.race([this.#masterBy(url), late]);
    } catch (error) {
      this.#drop(url);
      throw error;
    } finally {
      timer?.cancel();
    }
  }

  async #masterBy(url: string): Promise<Master> {
    let client = this.#clients.get(url);
    if (!client?.isReady) {
      client = newSentinel(url);
      // whoever asks hears of it
      client.on('error', () => undefined);
      this.#clients.set(url, client);
      await client.connect();
    }
    // the address of the second is that of before until the last replica follows the new master, minutes maybe
    const [place, about] = (await Promise.all([
      client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#name]),
      client.sendCommand(['SENTINEL', 'MASTER', this.#name]),
    ])) as unknown as [readonly [host: string, port: string] | null, readonly string[]];
    if (!place) throw new Error('no such master');
    return {
      host: place[0],
      port: Number(place[1]),
      epoch: Number(about[about.indexOf('config-epoch') + 1]),
    };
  }

  #drop(url: string): void {
    this.#clients.get(url)?.destroy();
    this.#clients.delete(url);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
