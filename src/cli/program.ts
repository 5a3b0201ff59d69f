import { existsSync, readFileSync } from 'node:fs';
import { Command } from 'commander';
import { inPackage } from '../base/package.js';
import { loadConfig, readConfigFile, type ConfigSource } from '../config/load.js';
import { ApiClient } from './api-client.js';
import { gatewayCommand } from './gateway.js';
import { groupsCommand } from './groups.js';
import { impsCommand } from './imps.js';
import { loadCommand } from './load-command.js';
import { deregisterCommand, reauthenticateCommand, registrationsCommand } from './registrations.js';
import { messagesCommand } from './messages.js';
import { policyCommand } from './policy.js';
import { profileCommand } from './profiles.js';
import { readSecret } from './secret.js';
import { sessionsCommand } from './sessions.js';
import { subscriberCommand } from './subscribers.js';
import { trailCommand } from './trail.js';

export interface ServeOptions {
  readonly config?: string;
  readonly insecure?: boolean;
}

/** What the commands are given instead of reaching for it. */
export interface CommandContext {
  /** The client for the server that the options name. */
  readonly api: () => ApiClient;
  readonly print: (text: string) => void;
  readonly readSecret: () => Promise<string>;
}

/** The file that is given, else PARLEY_CONFIG, else parley.yaml in the working directory, else the demo of the package. */
export function configSource(given: string | undefined): ConfigSource {
  const path =
    given ?? process.env['PARLEY_CONFIG'] ?? (existsSync('parley.yaml') ? 'parley.yaml' : undefined);
  return readConfigFile(path ?? inPackage('parley.demo.yaml'));
}

function version(): string {
  return (JSON.parse(readFileSync(inPackage('package.json'), 'utf8')) as { version: string }).version;
}

/** Commands that are made apart do not take this over by themselves. */
function sayHowToGetHelp(command: Command): void {
  command.showHelpAfterError('(--help says what there is)');
  command.commands.forEach(sayHowToGetHelp);
}

/** The `parley` command. @param serve runs the server; it is given, since everything meets elsewhere. */
export function makeProgram(serve: (options: ServeOptions) => Promise<void>): Command {
  const program = new Command('parley')
    .description('IMS registrar and converged IP messaging (CPM) server')
    .option(
      '--api <url>',
      'admin API of the server that commands talk to (PARLEY_API)',
      process.env['PARLEY_API'] ?? 'http://127.0.0.1:8080',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ parley serve --config parley.yaml
  $ parley check-config parley.yaml
  $ parley subscriber add erin@ims.test sip:erin@ims.test
  $ parley registrations alice
  $ parley trail --subject alice
  $ parley trail --outcome refused --follow
  $ parley load register-digest --calls 100

Exit codes: 0 done, 1 failed, 2 bad configuration, 3 an address is taken.`,
    )
    .version(version());
  const context: CommandContext = {
    api: () => new ApiClient(program.opts<{ api: string }>().api, process.env['PARLEY_API_TOKEN']),
    print: (text) => console.log(text),
    readSecret,
  };
  program
    .command('serve')
    .description('run the server until SIGTERM')
    .option('-c, --config <file>', 'configuration file (default: PARLEY_CONFIG, parley.yaml, else the demo)')
    .option('--insecure', 'allow open authentication on addresses that others can reach')
    .action(serve);
  program
    .command('check-config')
    .description('say whether a configuration can be used, and what is wrong with it (exit 2)')
    .argument('[file]', 'configuration file (default: as for serve)')
    .action((file: string | undefined) => {
      const config = loadConfig(configSource(file), process.env);
      context.print(
        `good: domain ${config.domain}, roles ${config.roles.join(', ')}, SIP on ${config.sip.listen.join(', ')}`,
      );
    });
  program.addCommand(subscriberCommand(context));
  program.addCommand(profileCommand(context));
  program.addCommand(registrationsCommand(context));
  program.addCommand(deregisterCommand(context));
  program.addCommand(reauthenticateCommand(context));
  program.addCommand(messagesCommand(context));
  program.addCommand(policyCommand(context));
  program.addCommand(sessionsCommand(context));
  program.addCommand(groupsCommand(context));
  program.addCommand(impsCommand(context));
  program.addCommand(gatewayCommand(context));
  program.addCommand(trailCommand(context));
  program.addCommand(loadCommand());
  sayHowToGetHelp(program);
  return program;
}
