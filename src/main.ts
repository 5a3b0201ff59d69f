#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { pino } from 'pino';
import { startApp } from './app.js';
import { ParleyError } from './base/errors.js';
import { ConfigError } from './config/errors.js';
import { loadConfig, readConfigFile, type ConfigSource } from './config/load.js';
import type { Config } from './config/schema.js';

/** Exit codes that scripts rely on. */
const EXIT_FAILED = 1;
const EXIT_BAD_CONFIG = 2;
const EXIT_ADDRESS_TAKEN = 3;

interface ServeOptions {
  readonly config?: string;
  readonly insecure?: boolean;
}

/** The file that is given, else parley.yaml in the working directory, else the demo that comes with the package. */
function configSource(given: string | undefined): ConfigSource {
  const path =
    given ?? process.env['PARLEY_CONFIG'] ?? (existsSync('parley.yaml') ? 'parley.yaml' : undefined);
  return readConfigFile(path ?? fileURLToPath(new URL('../../parley.demo.yaml', import.meta.url)));
}

async function serve(options: ServeOptions): Promise<void> {
  const config = loadConfig(
    configSource(options.config),
    process.env,
    options.insecure ? { insecure: true } : {},
  );
  const log = makeLog(config);
  const app = await startApp(config, log);
  const sip = app.stack.listeners.map(({ protocol, address, port }) => `${protocol}:${address}:${port}`);
  log.info(
    {
      domain: config.domain,
      roles: config.roles,
      sip,
      http: app.http.url,
      store: config.store,
      auth: config.auth,
    },
    'ready',
  );
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'draining');
    app.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(EXIT_FAILED);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}

function makeLog(config: Config): pino.Logger {
  const pretty = process.stdout.isTTY ? { transport: { target: 'pino-pretty' } } : {};
  return pino({ level: config.log.level, ...pretty });
}

const program = new Command('parley')
  .description('IMS registrar and converged IP messaging server')
  .showHelpAfterError();
program
  .command('serve')
  .description('run the server')
  .option('-c, --config <file>', 'configuration file (default: parley.yaml, else the demo)')
  .option('--insecure', 'allow open authentication on addresses that others can reach')
  .action(serve);
program
  .command('check-config')
  .description('say whether a configuration can be used, and what is wrong with it')
  .argument('[file]', 'configuration file')
  .action((file: string | undefined) => {
    const config = loadConfig(configSource(file), process.env);
    console.log(`configuration is good: domain ${config.domain}, roles ${config.roles.join(', ')}`);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof ConfigError) {
    console.error(error.message);
    process.exit(EXIT_BAD_CONFIG);
  }
  console.error(error instanceof ParleyError ? `${error.code}: ${error.message}` : error);
  process.exit(
    error instanceof ParleyError && error.code === 'sip-port-taken' ? EXIT_ADDRESS_TAKEN : EXIT_FAILED,
  );
}
