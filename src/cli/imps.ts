import { Command } from 'commander';
import { impsClientCommand } from './imps-client.js';
import { systemMessageCommand } from './imps-system-message.js';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface SessionView {
  readonly user: string;
  readonly clientId: string;
  readonly applicationId: string;
  readonly version: string;
  readonly startedAt: string;
  readonly seenAt: string;
}

interface UserView {
  readonly user: string;
  readonly msisdn?: string;
  readonly state: string;
}

interface ConnectionsView {
  readonly cir: { readonly tcp: number; readonly udp: number };
  readonly smsc?: {
    readonly address: string;
    readonly bound: boolean;
    readonly since: string;
    readonly queued: number;
    readonly inFlight: number;
  };
}

/** `parley imps status|sessions|disconnect|users|add|remove|bar|unbar|system-message|client`. */
export function impsCommand(context: CommandContext): Command {
  const { api, print, readSecret } = context;
  const command = new Command('imps').description('IMPS phones: sessions and users');
  command
    .command('status')
    .description('CIR channels of phones, and the connection to the SMSC')
    .action(async () => print(connections(await api().call<ConnectionsView>('GET', '/imps'))));
  command
    .command('sessions')
    .description('phones that are logged in')
    .argument('[user]', 'only this User-ID')
    .option('--json', 'print what the API gives')
    .action(async (user: string | undefined, options: { json?: boolean }) => {
      const sessions = await api().pages<SessionView>('/imps/sessions', 'sessions', { user });
      print(options.json ? JSON.stringify(sessions, null, 2) : table(sessions));
    });
  command
    .command('disconnect')
    .description("end a user's sessions from the server's side")
    .argument('<user>', 'User-ID')
    .option('--client <id>', 'only the session of this Client-ID')
    .action(async (user: string, { client }: { client?: string }) => {
      const query = client === undefined ? '' : `?client=${encodeURIComponent(client)}`;
      const { sessions } = await api().call<{ sessions: SessionView[] }>(
        'DELETE',
        `/imps/sessions/${encodeURIComponent(user)}${query}`,
      );
      print(table(sessions));
    });
  command
    .command('users')
    .description('who may log in')
    .action(async () => {
      const users = await api().pages<UserView>('/imps/users', 'users');
      print(
        formatTable(
          ['USER', 'MSISDN', 'STATE'],
          users.map(({ user, msisdn, state }) => [user, msisdn ?? '-', state]),
          'no IMPS users',
        ),
      );
    });
  command
    .command('add')
    .description(
      'add a user; the password comes from PARLEY_SUBSCRIBER_PASSWORD or standard input, never from the command line',
    )
    .argument('<user>', 'User-ID, wv:USER@DOMAIN')
    .option('--msisdn <number>', 'telephone number, +DIGITS')
    .action(async (user: string, { msisdn }: { msisdn?: string }) => {
      const password = await readSecret();
      await api().call('POST', '/imps/users', {
        user,
        password,
        ...(msisdn === undefined ? {} : { msisdn }),
      });
      print(`added ${user}`);
    });
  command
    .command('remove')
    .description('remove a user and end its sessions')
    .argument('<user>', 'User-ID')
    .action(async (user: string) => {
      await api().call('DELETE', `/imps/users/${encodeURIComponent(user)}`);
      print(`removed ${user}`);
    });
  for (const [name, state, done] of [
    ['bar', 'barred', 'barred'],
    ['unbar', 'active', 'let in again'],
  ] as const) {
    command
      .command(name)
      .description(
        state === 'barred'
          ? 'end the sessions of a user and refuse logins'
          : 'let a barred user log in again',
      )
      .argument('<user>', 'User-ID')
      .action(async (user: string) => {
        await api().call('PATCH', `/imps/users/${encodeURIComponent(user)}`, { state });
        print(`${done}: ${user}`);
      });
  }
  command.addCommand(systemMessageCommand(context));
  command.addCommand(impsClientCommand(context));
  return command;
}

function connections({ cir, smsc }: ConnectionsView): string {
  const state = smsc && `${smsc.address} ${smsc.bound ? 'bound' : 'not bound'} since ${smsc.since}`;
  return [
    `CIR   ${cir.tcp} over TCP, ${cir.udp} over UDP`,
    smsc ? `SMSC  ${state}, ${smsc.queued} queued, ${smsc.inFlight} in flight` : 'SMSC  none',
  ].join('\n');
}

const table = (sessions: readonly SessionView[]): string =>
  formatTable(
    ['USER', 'CLIENT-ID', 'APPLICATION', 'CSP', 'SINCE', 'SEEN'],
    sessions.map(({ user, clientId, applicationId, version, startedAt, seenAt }) => [
      user,
      clientId,
      applicationId || '-',
      version,
      startedAt,
      seenAt,
    ]),
    'no IMPS sessions',
  );
