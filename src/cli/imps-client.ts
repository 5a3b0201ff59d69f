import { Command, Option } from 'commander';
import { CommandError } from './api-client.js';
import type { CommandContext } from './program.js';
import { Terminal } from './terminal.js';

const codings = ['wbxml', 'xml', 'text'] as const;

export interface ClientCommandOptions {
  readonly url: string;
  readonly user: string;
  readonly csp: '1.1' | '1.2' | '1.3';
  readonly coding: (typeof codings)[number];
  readonly clientId?: string;
  readonly twoWay?: boolean;
}

export const HELP = `  list                 contact lists and their contacts
  create NAME          a contact list
  add NAME USER        a contact to it
  send USER TEXT       an instant message
  receive              everything that waits
  wait SECONDS         polls so long, once a second
  presence USER        what you may see of somebody
  allow USER           lets somebody see your presence
  status TEXT          what others see of you
  quit                 log out
  Users are wv:NAME@DOMAIN, or NAME in your own domain.`;

/** `parley imps client`: a phone at the terminal. Words come from standard input, so that scripts can use it. */
export function impsClientCommand(
  { print }: CommandContext,
  input: NodeJS.ReadableStream = process.stdin,
  output: NodeJS.WritableStream = process.stdout,
): Command {
  return new Command('client')
    .description('log in as a phone: list, send and receive; reads words from standard input')
    .requiredOption('--user <id>', 'User-ID, wv:USER@DOMAIN')
    .option('--url <url>', 'CSP over HTTP', 'http://127.0.0.1:8090/csp')
    .addOption(new Option('--csp <version>', 'version').choices(['1.1', '1.2', '1.3']).default('1.3'))
    .addOption(new Option('--coding <coding>', 'syntax').choices(codings).default('wbxml'))
    .option('--client-id <id>', 'Client-ID; another one is another device')
    .option('--two-way', 'send the password in the clear instead of a digest')
    .addHelpText(
      'after',
      `\nThe password comes from PARLEY_IMPS_PASSWORD, else it is the first line of standard input.\n\nWords:\n${HELP}`,
    )
    .action(async (options: ClientCommandOptions) => {
      const terminal = new Terminal(input, output);
      const password = process.env['PARLEY_IMPS_PASSWORD'] ?? (await terminal.password());
      if (password === '') throw new CommandError('no password was given');
      try {
        // with it come the codecs and the server behind them, which no other command needs
        const { runClient } = await import('./imps-phone.js');
        await runClient(options, terminal, password, print);
      } finally {
        terminal.close();
      }
    });
}
