import type { Logger } from '../base/log.js';
import { TransientMap } from '../base/transient-map.js';
import type { RegistrationEvent } from './registration.js';

type Listener = (event: RegistrationEvent) => void;
type Prepare = (event: RegistrationEvent) => Promise<void> | undefined;

/** Tells listeners what was committed, of one registration set in the order of its commits. */
export class Announcements {
  readonly #log: Logger;
  readonly #listeners = new Set<Listener>();
  #prepare: Prepare = () => undefined;
  /** By set: settles when the last change of it has been told. Empty where nothing has to be waited for. */
  readonly #held = new TransientMap<Promise<void>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  beforeTold(prepare: Prepare): void {
    this.#prepare = prepare;
  }

  /**
   * Tells of a change, at once unless something has to be done before, or another change of the set waits for that.
   * @param answer called before the listeners are told.
   * @param stored waited for as well; when it fails there is no answer, and what is returned rejects.
   */
  tell(event: RegistrationEvent, answer?: () => void, stored?: Promise<void>): Promise<void> | undefined {
    const { set } = event;
    const before = this.#held.get(set);
    const prepared = this.#prepare(event);
    if (!before && !prepared && !stored) {
      this.#tell(event, answer);
      return undefined;
    }
    const told = Promise.allSettled([stored, before, prepared]).then(([outcome]) => {
      this.#tell(event, outcome.status === 'fulfilled' ? answer : undefined);
      if (outcome.status === 'rejected') throw outcome.reason;
    });
    const held = told
      .catch(() => undefined) // who asked for it gets the error
      .then(() => {
        if (this.#held.get(set) === held) this.#held.delete(set);
      });
    this.#held.set(set, held);
    return told;
  }

  #tell(event: RegistrationEvent, answer?: () => void): void {
    try {
      answer?.();
    } finally {
      for (const listener of this.#listeners) {
        try {
          listener(event);
        } catch (error) {
          this.#log.error({ err: error, set: event.set }, 'a listener of registration changes failed');
        }
      }
    }
  }
}
