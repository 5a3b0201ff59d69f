import { expect } from 'vitest';

/** What becomes true some time soon, on a slow machine as well. */
export const soon = <T>(look: () => T): ReturnType<typeof expect.poll<T>> =>
  expect.poll(look, { timeout: 30_000 });
