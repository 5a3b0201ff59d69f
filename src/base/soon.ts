/** What may be there already: a hot path that need not wait for it makes no promise and goes on in the same turn. */
export type Soon<T> = T | Promise<T>;

/** Gives `use` the value, at once when it is there. */
export function soon<T, R>(value: Soon<T>, use: (value: T) => Soon<R>): Soon<R> {
  return value instanceof Promise ? value.then(use) : use(value);
}
