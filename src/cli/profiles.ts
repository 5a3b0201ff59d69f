import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { CommandError } from './api-client.js';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface ProfileView {
  readonly name: string;
  readonly criteria: readonly {
    readonly priority: number;
    readonly server: string;
    readonly defaultHandling: string;
  }[];
}

/** `parley profile list|show|put|remove|give`: filter criteria, and who has which. */
export function profileCommand({ api, print }: CommandContext): Command {
  const command = new Command('profile').description(
    'initial filter criteria: whose requests go to which application servers',
  );
  command
    .command('list')
    .description('list service profiles with their criteria')
    .action(async () => {
      const profiles = await api().pages<ProfileView>('/profiles', 'profiles');
      const rows = profiles.flatMap(({ name, criteria }) =>
        criteria.map(({ priority, server, defaultHandling }) => [
          name,
          String(priority),
          server,
          defaultHandling,
        ]),
      );
      print(formatTable(['PROFILE', 'PRIORITY', 'SERVER', 'WHEN IT FAILS'], rows, 'no profiles'));
    });
  command
    .command('show')
    .description('print one service profile as JSON')
    .argument('<name>')
    .action(async (name: string) =>
      print(JSON.stringify(await api().call('GET', `/profiles/${encodeURIComponent(name)}`), null, 2)),
    );
  command
    .command('put')
    .description('make or replace a service profile')
    .argument('<name>', '"default" is the one of users to whom none was given')
    .argument('<file>', 'YAML or JSON with "criteria", as in the configuration')
    .action(async (name: string, file: string) => {
      await api().call('PUT', `/profiles/${encodeURIComponent(name)}`, parse(contents(file)) as object);
      print(`put ${name}`);
    });
  command
    .command('remove')
    .description('remove a service profile; its users get the default one')
    .argument('<name>')
    .action(async (name: string) => {
      await api().call('DELETE', `/profiles/${encodeURIComponent(name)}`);
      print(`removed ${name}`);
    });
  command
    .command('give')
    .description('give a subscriber a service profile by name, or by the IMSSubscription document of an HSS')
    .argument('<private-id>')
    .argument('<name-or-file>', 'a profile, "default", or a file that ends with .xml')
    .action(async (privateId: string, what: string) => {
      const path = `/subscribers/${encodeURIComponent(privateId)}/profile`;
      if (what.endsWith('.xml')) await api().call('PUT', path, contents(what));
      else await api().call('PUT', path, { profile: what === 'default' ? null : what });
      print(`gave ${privateId} ${what}`);
    });
  return command;
}

function contents(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
}
