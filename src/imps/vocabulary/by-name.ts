/** A table that is looked up by names from outside: what every object inherits, as `constructor`, is not in it. */
export const byName = <T>(entries: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.assign(Object.create(null) as Record<string, T>, entries);
