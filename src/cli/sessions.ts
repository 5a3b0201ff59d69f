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

/** `parley sessions [aor]`: the CPM sessions that have not ended. */
export function sessionsCommand({ api, print }: CommandContext): Command {
  return new Command('sessions')
    .description('CPM sessions with both devices')
    .argument('[aor]', 'only those of this identity')
    .option('--json', 'print what the API gives')
    .action(async (aor: string | undefined, options: { json?: boolean }) => {
      const filter = aor === undefined ? '' : `&aor=${encodeURIComponent(aor)}`;
      const { sessions } = await api().call<{ sessions: SessionView[] }>(
        'GET',
        `/sessions?limit=1000${filter}`,
      );
      print(
        options.json
          ? JSON.stringify(sessions, null, 2)
          : formatTable(heading, sessions.map(rowOf), 'no sessions'),
      );
    });
}
