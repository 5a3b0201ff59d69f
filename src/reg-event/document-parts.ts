import type { BindingChange, Registration } from '../registrar/registration.js';
import { lastEvent } from './reginfo.js';

/** What one document tells of a registration. */
export interface Told {
  readonly registration: Registration;
  readonly changes: readonly BindingChange[];
}

/**
 * What is told in as many documents as it takes where one has not enough room. Those after the first are partial, and name the contacts
 * that the one before had no room for (RFC 3680 §5.1).
 * @param size octets of one document with everything. @param room octets that one may have.
 */
export function partsOf<T extends Told>(told: T, size: number, room: number): [T, ...T[]] {
  const { registration, changes } = told;
  const { bindings } = registration;
  // contacts differ in length: half of what fits on average
  const most = Math.max(1, Math.floor((bindings.length * room) / size / 2));
  const living = new Set(bindings.map(({ id }) => id));
  const parts: T[] = [];
  for (let i = 0; i < bindings.length; i += most) {
    const some = bindings.slice(i, i + most);
    const ids = new Set(some.map(({ id }) => id));
    const here = changes.filter(({ binding: { id } }) => ids.has(id) || (i === 0 && !living.has(id)));
    const changed = new Set(here.map(({ binding }) => binding.id));
    const others = i === 0 ? [] : some.filter(({ id }) => !changed.has(id));
    const rest = others.map((binding): BindingChange => ({ event: lastEvent(binding), binding }));
    parts.push({ ...told, registration: { ...registration, bindings: some }, changes: [...here, ...rest] });
  }
  const [first = told, ...others] = parts;
  return [first, ...others];
}
