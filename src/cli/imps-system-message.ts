import { Command } from 'commander';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface SystemMessageView {
  readonly id: string;
  readonly text: string;
  readonly options: readonly string[];
  readonly requiresResponse: boolean;
  readonly sentAt: string;
  readonly answeredAt?: string;
  readonly chosen?: number;
}

interface SendOptions {
  readonly option: readonly string[];
  readonly requireResponse?: boolean;
  readonly key?: string;
}

/** `parley imps system-message send|list`. */
export function systemMessageCommand({ api, print }: CommandContext): Command {
  const command = new Command('system-message').description('what the operator tells or asks a user');
  const path = (user: string): string => `/imps/users/${encodeURIComponent(user)}/system-messages`;
  command
    .command('send')
    .description('show a text on the phones of a user, now or at the next login')
    .argument('<user>', 'User-ID')
    .argument('<text>')
    .option('--option <text>', 'an answer that may be chosen; may be given again', gather, [])
    .option('--require-response', 'ask again at each login until it is answered')
    .option('--key <key>', 'what the user must give back with the answer')
    .action(async (user: string, text: string, { option, requireResponse = false, key }: SendOptions) => {
      const { id } = await api().call<{ id: string }>('POST', path(user), {
        text,
        options: option,
        requiresResponse: requireResponse,
        ...(key === undefined ? {} : { verificationKey: key }),
      });
      print(id);
    });
  command
    .command('list')
    .description('system messages of a user, and their answers')
    .argument('<user>', 'User-ID')
    .action(async (user: string) => {
      const { systemMessages } = await api().call<{ systemMessages: SystemMessageView[] }>(
        'GET',
        `${path(user)}?limit=1000`,
      );
      print(
        formatTable(
          ['ID', 'SENT', 'ANSWER', 'TEXT'],
          systemMessages.map((message) => [message.id, message.sentAt, answerOf(message), message.text]),
          'no system messages',
        ),
      );
    });
  return command;
}

const gather = (text: string, before: readonly string[]): string[] => [...before, text];

function answerOf({ answeredAt, chosen, options }: SystemMessageView): string {
  if (answeredAt === undefined) return '-';
  return chosen === undefined ? 'yes' : `${chosen}: ${options[chosen - 1] ?? ''}`;
}
