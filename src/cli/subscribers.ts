import { Command } from 'commander';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface SubscriberView {
  readonly privateId: string;
  readonly identities: readonly string[];
  readonly barred: readonly string[];
}

/** `parley subscriber add|list|remove`. */
export function subscriberCommand({ api, print, readSecret }: CommandContext): Command {
  const command = new Command('subscriber').description('who may register');
  command
    .command('add')
    .description(
      'add a subscriber; the password comes from PARLEY_SUBSCRIBER_PASSWORD or standard input, never from the command line',
    )
    .argument('<private-id>', 'private identity, user@domain')
    .argument('<identity...>', 'public identities, sip: or tel: URIs; the first is the default one')
    .option('--barred <identity...>', 'identities that may not register by themselves')
    .action(async (privateId: string, identities: string[], options: { barred?: string[] }) => {
      const password = await readSecret();
      await api().call('POST', '/subscribers', { privateId, password, identities, ...options });
      print(`added ${privateId}`);
    });
  command
    .command('list')
    .description('list subscribers')
    .action(async () => {
      const rows: string[][] = [];
      let after: string | undefined;
      do {
        const page: { subscribers: SubscriberView[]; next?: string } = await api().call(
          'GET',
          `/subscribers?limit=1000${after === undefined ? '' : `&after=${encodeURIComponent(after)}`}`,
        );
        rows.push(
          ...page.subscribers.map(({ privateId, identities, barred }) => [
            privateId,
            identities.join(' '),
            barred.join(' '),
          ]),
        );
        after = page.next;
      } while (after !== undefined);
      print(formatTable(['PRIVATE IDENTITY', 'IDENTITIES', 'BARRED'], rows, 'no subscribers'));
    });
  command
    .command('remove')
    .description('remove a subscriber and its registrations')
    .argument('<private-id>')
    .action(async (privateId: string) => {
      await api().call('DELETE', `/subscribers/${encodeURIComponent(privateId)}`);
      print(`removed ${privateId}`);
    });
  return command;
}
