import { defineConfig } from 'vitest/config';

/**
 * Folders whose files run many to a process, which saves each of them importing the server again. Whatever changes the
 * process that it runs in, as a fake timer that stays, a variable of the environment or a listener of `process`, does
 * not belong here.
 */
const together = [
  'app',
  'base',
  'cli',
  'config',
  'core',
  'cpm',
  'gateway',
  'http',
  'identity',
  'imps',
  'msrp',
  'reg-event',
  'registrar',
  'sip',
  'subscriptions',
].map((folder) => `test/${folder}/**/*.test.ts`);

/** What holds for both kinds of files; `extends` would run the set-up again for each. */
const common = {
  // a machine may be slow: what is waited for comes, or this says what has not
  expect: { poll: { timeout: 30_000 } },
  testTimeout: 60_000,
  hookTimeout: 60_000,
  pool: 'forks',
} as const;

export default defineConfig({
  test: {
    globalSetup: ['test/tools/install.ts', 'test/tools/compiled.ts'],
    // one more than a small machine has cores: what many tests do most is wait
    maxWorkers: 3,
    projects: [
      { test: { ...common, name: 'e2e', include: ['test/e2e/**/*.test.ts'] } },
      {
        test: {
          ...common,
          name: 'alone',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', ...together],
        },
      },
      { test: { ...common, name: 'together', include: together, isolate: false } },
    ],
  },
});
