import { afterEach } from 'vitest';

/** A list of what closes the things a test opened; after each test of the file they run, the last one first. */
export function useCleanups(): (() => unknown)[] {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  return cleanups;
}
