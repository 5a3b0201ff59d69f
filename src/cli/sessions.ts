import { Command } from 'commander';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface EndView {
  readonly user: string;
  readonly device?: string;
}

interface SessionView {
  readonly callId: string;
  readonly caller: EndView;
  readonly callee: EndView;
  readonly conversationId?: string;
  readonly contributionId?: string;
  readonly mediaPath: boolean;
  readonly bytes: number;
  readonly messages: number;
  readonly ageInSeconds: number;
}

const heading = [
  'FROM', 'FROM DEVICE', 'TO', 'TO DEVICE', 'CONVERSATION', 'CONTRIBUTION', 'MEDIA', 'MESSAGES', 'OCTETS', 'AGE',
]; // prettier-ignore

const rowOf = (session: SessionView): string[] => [
  session.caller.user,
  session.caller.device ?? '-',
  session.callee.user,
  session.callee.device ?? '-',
  session.conversationId ?? '-',
  session.contributionId ?? '-',
  session.mediaPath ? 'relayed' : 'direct',
  session.mediaPath ? String(session.messages) : '-',
  session.mediaPath ? String(session.bytes) : '-',
  `${session.ageInSeconds} s`,
];

interface RecordingView {
  readonly id: string;
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly contentType: string;
  readonly bytes: number;
  readonly status: number;
  readonly complete: boolean;
}

/** `parley sessions [aor]`: the CPM sessions that have not ended, and `sessions recordings`. */
export function sessionsCommand(context: CommandContext): Command {
  const command = new Command('sessions').description(
    'CPM sessions with both devices, and what was recorded',
  );
  command.addCommand(listCommand(context), { isDefault: true });
  command.addCommand(recordingsCommand(context));
  return command;
}

function listCommand({ api, print }: CommandContext): Command {
  return new Command('list')
    .description('CPM sessions that have not ended')
    .argument('[aor]', 'only those of this identity')
    .option('--json', 'print what the API gives')
    .action(async (aor: string | undefined, options: { json?: boolean }) => {
      const sessions = await api().pages<SessionView>('/sessions', 'sessions', { aor });
      print(
        options.json
          ? JSON.stringify(sessions, null, 2)
          : formatTable(heading, sessions.map(rowOf), 'no sessions'),
      );
    });
}

/** `parley sessions recordings [list|remove]`. */
function recordingsCommand({ api, print }: CommandContext): Command {
  const command = new Command('recordings').description('messages of sessions that were recorded');
  command
    .command('list', { isDefault: true })
    .description('recorded messages, newest first')
    .argument('[uri]', 'only those from or to this user')
    .option('--before <id>', 'go on after this one')
    .action(async (uri: string | undefined, { before }: { before?: string }) => {
      const user = uri === undefined || uri.includes(':') ? uri : `sip:${uri}`;
      const filters = Object.entries({ user, before }).flatMap(([name, value]) =>
        value === undefined ? [] : [`&${name}=${encodeURIComponent(value)}`],
      );
      const { recordings } = await api().call<{ recordings: RecordingView[] }>(
        'GET',
        `/recordings?limit=1000${filters.join('')}`,
      );
      print(
        formatTable(
          ['ID', 'AT', 'FROM', 'TO', 'TYPE', 'OCTETS', 'STATUS', 'COMPLETE'],
          recordings.map(({ id, at, from, to, contentType, bytes, status, complete }) => [
            id,
            at,
            from,
            to,
            contentType,
            String(bytes),
            String(status),
            complete ? 'yes' : 'no',
          ]),
          'no recordings',
        ),
      );
    });
  command
    .command('remove')
    .description('remove a recording')
    .argument('<id>')
    .action(async (id: string) => {
      await api().call('DELETE', `/recordings/${encodeURIComponent(id)}`);
      print(`removed ${id}`);
    });
  return command;
}
