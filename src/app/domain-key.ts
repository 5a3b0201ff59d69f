import { randomBytes } from 'node:crypto';
import { table, type Store } from '../store/store.js';

const keys = table<Uint8Array>('keys');

/** A key of 16 octets that all nodes of the domain share, made at the first start. */
export function domainKey(store: Store, name: string): Promise<Uint8Array> {
  const fresh = new Uint8Array(randomBytes(16));
  return store.update(keys, name, (current) =>
    current ? { kind: 'keep', result: current } : { kind: 'put', value: fresh, result: fresh },
  );
}
