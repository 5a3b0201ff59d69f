import { ParleyError } from '../../base/errors.js';
import type { RegisteredDevice } from '../../reg-event/devices.js';
import './errors.js';
import type { Capability, InterworkingFunction } from './function.js';

/** The interworking functions of the domain; the Interworking Selection Function chooses among them. */
export class InterworkingRegistry {
  readonly #functions: InterworkingFunction[] = [];

  /**
   * Later ones are asked after earlier ones.
   * @param first before all that are there: one that knows its own users, and leaves the others
   * @throws ParleyError `interworking-duplicate`
   */
  add(entry: InterworkingFunction, first = false): void {
    if (this.#functions.some(({ name }) => name === entry.name))
      throw new ParleyError('interworking-duplicate', entry.name);
    if (first) this.#functions.unshift(entry);
    else this.#functions.push(entry);
  }

  list(): readonly InterworkingFunction[] {
    return this.#functions;
  }

  /** Whether some function answers for addresses of this form; `tel:` is left out, since most numbers are users here. */
  isForeign(address: string): boolean {
    const lower = address.toLowerCase();
    return !lower.startsWith('tel:') && this.#functions.some((entry) => hasForm(entry, lower));
  }

  /**
   * The function for an address.
   * @param capability what the request needs; undefined for one that any function may get.
   * @returns undefined when none answers for the address; `unable` when those that do lack the capability.
   */
  async select(
    address: string,
    capability: Capability | undefined,
  ): Promise<InterworkingFunction | 'unable' | undefined> {
    const lower = address.toLowerCase();
    let unable = false;
    for (const entry of this.#functions) {
      if (!hasForm(entry, lower)) continue;
      if ('knows' in entry.target && !(await entry.target.knows(address))) continue;
      if (capability === undefined || entry.capabilities.has(capability)) return entry;
      unable = true;
    }
    return unable ? 'unable' : undefined;
  }

  /** The function for a user of CPM by what its devices can do; only asked when none of them has the service. */
  selectByDevices(
    devices: readonly RegisteredDevice[],
    capability: Capability | undefined,
  ): InterworkingFunction | undefined {
    return this.#functions.find(
      ({ features = [], capabilities }) =>
        (capability === undefined || capabilities.has(capability)) &&
        features.some((tag) => devices.some((device) => device.features.has(tag.toLowerCase()))),
    );
  }
}

function hasForm({ addresses }: InterworkingFunction, address: string): boolean {
  return addresses.some((form) => {
    const wanted = form.toLowerCase();
    if (!wanted.startsWith('sip:*@')) return address.startsWith(wanted);
    return address.startsWith('sip:') && hostOf(address) === wanted.slice('sip:*@'.length);
  });
}

function hostOf(address: string): string {
  return /^[^:]*:(?:[^@]*@)?(\[[^\]]*\]|[^:;?]*)/.exec(address)?.[1] ?? '';
}
