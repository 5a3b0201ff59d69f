#!/usr/bin/env -S node --max-semi-space-size=32
import { pino } from 'pino';
import { ParleyError } from './base/errors.js';
import { CommandError } from './cli/api-client.js';
import { configSource, makeProgram, type ServeOptions } from './cli/program.js';
import { ConfigError } from './config/errors.js';
import { loadConfig } from './config/load.js';
import type { Config } from './config/schema.js';

/** Exit codes that scripts rely on. */
const EXIT_FAILED = 1;
const EXIT_BAD_CONFIG = 2;
const EXIT_ADDRESS_TAKEN = 3;

async function serve(options: ServeOptions): Promise<void> {
  const source = configSource(options.config);
  const config = loadConfig(source, process.env, options.insecure ? { insecure: true } : {});
  const log = makeLog(config);
  // commands do not wait for the server's modules
  const { startApp } = await import('./app.js');
  const app = await startApp(config, log);
  const { domain, roles, store, auth } = config;
  const sip = app.stack.listeners.map(({ protocol, address, port }) => `${protocol}:${address}:${port}`);
  const imps = app.imps && { csp: app.imps.csp, cir: app.imps.cir };
  const { addresses: msrp } = app.msrp;
  log.info({ http: app.http.url, sip, msrp, imps, domain, auth, roles, store, config: source.name }, 'ready');
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
  const { level } = config.log;
  if (!process.stdout.isTTY) return pino({ level });
  const options = { singleLine: true, ignore: 'pid,hostname' };
  return pino({ level, transport: { target: 'pino-pretty', options } });
}

/** What a person is told about a failure, and the exit code that scripts see. */
function explain(error: unknown): { text: string; exitCode: number } {
  if (error instanceof ConfigError) return { text: error.message, exitCode: EXIT_BAD_CONFIG };
  if (error instanceof CommandError) return { text: error.message, exitCode: EXIT_FAILED };
  if (error instanceof ParleyError) {
    const taken = error.code.endsWith('-port-taken');
    return { text: `${error.code}: ${error.message}`, exitCode: taken ? EXIT_ADDRESS_TAKEN : EXIT_FAILED };
  }
  return {
    text: error instanceof Error ? (error.stack ?? error.message) : String(error),
    exitCode: EXIT_FAILED,
  };
}

try {
  await makeProgram(serve).parseAsync();
} catch (error) {
  const { text, exitCode } = explain(error);
  console.error(text);
  process.exit(exitCode);
}
