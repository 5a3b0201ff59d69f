import type { Clock } from '../base/clock.js';
import { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Config } from '../config/schema.js';
import type { Subscribers } from '../registrar/subscribers.js';

/** Milliseconds between two looks for a store that does not work yet. */
const LOOK_AGAIN_MS = 500;

/**
 * Does what a start needs of a store on the network, as often as it takes: a server that starts before its Redis, or while that fails
 * over, is there when Redis is.
 * @param work may be done again from its beginning.
 */
export async function whenStoreWorks<T>(
  work: () => Promise<T>,
  { clock, log }: { clock: Clock; log: Logger },
): Promise<T> {
  for (let told = false; ; told = true) {
    try {
      return await work();
    } catch (error) {
      if (!isCode(error, 'store-unavailable')) throw error;
      if (!told) log.warn({ err: error }, 'the start waits for the store');
      await new Promise<void>((resolve) => clock.after(LOOK_AGAIN_MS, resolve));
    }
  }
}

/** Adds the subscribers of the configuration that are not there yet; nodes of one store may start at once. */
export async function provision(subscribers: Subscribers, config: Config, log: Logger): Promise<void> {
  let added = 0;
  for (const wanted of config.subscribers) {
    const isThere = async (): Promise<boolean> => (await subscribers.get(wanted.privateId)) !== undefined;
    if (await isThere()) continue;
    try {
      await subscribers.add(wanted);
    } catch (error) {
      if (isCode(error, 'subscriber-exists') && (await isThere())) continue;
      throw error;
    }
    log.debug({ subscriber: wanted.privateId }, 'subscriber of the configuration was added');
    added++;
  }
  if (added > 0) log.info({ added }, 'subscribers of the configuration were added');
}

const isCode = (error: unknown, code: string): boolean => error instanceof ParleyError && error.code === code;
