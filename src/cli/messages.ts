import { Command } from 'commander';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface MessageView {
  readonly id: string;
  readonly recipient: string;
  readonly sender: string;
  readonly bytes: number;
  readonly receivedAt: string;
  readonly expiresAt: string;
}

/** `parley messages [list|remove]`: what waits for a device of its recipient. */
export function messagesCommand({ api, print }: CommandContext): Command {
  const command = new Command('messages').description('deferred messages');
  command
    .command('list', { isDefault: true })
    .description('messages that wait for a device of their recipient')
    .argument('[aor]', 'only those to this identity')
    .action(async (aor: string | undefined) => {
      const messages = await api().pages<MessageView>('/messages', 'messages', { aor });
      print(
        formatTable(
          ['ID', 'TO', 'FROM', 'OCTETS', 'CAME', 'EXPIRES'],
          messages.map(({ id, recipient, sender, bytes, receivedAt, expiresAt }) => [
            id,
            recipient,
            sender,
            String(bytes),
            receivedAt,
            expiresAt,
          ]),
          'no deferred messages',
        ),
      );
    });
  command
    .command('remove')
    .description('remove a message; its sender is told that it is lost')
    .argument('<aor>', 'its recipient')
    .argument('<id>')
    .action(async (aor: string, id: string) => {
      await api().call('DELETE', `/messages/${encodeURIComponent(aor)}/${encodeURIComponent(id)}`);
      print(`removed ${id}`);
    });
  return command;
}
