import { Command } from 'commander';
import { CommandError } from './api-client.js';
import type { CommandContext } from './program.js';
import { akaKeysOf } from './secret.js';
import { formatTable } from './table.js';

interface AddOptions {
  readonly barred?: string[];
  readonly wildcard?: string[];
  readonly aka?: boolean;
  readonly amf?: string;
  readonly sqn?: string;
}

interface SubscriberView {
  readonly privateId: string;
  readonly identities: readonly string[];
  readonly barred: readonly string[];
  readonly schemes: readonly string[];
}

/** `parley subscriber add|list|remove`. */
export function subscriberCommand({ api, print, readSecret }: CommandContext): Command {
  const command = new Command('subscriber').description('who may register');
  command
    .command('add')
    .description(
      [
        'add a subscriber. Secrets never come from the command line: the password from PARLEY_SUBSCRIBER_PASSWORD or standard input,',
        'the keys of a USIM in hex from PARLEY_SUBSCRIBER_K and PARLEY_SUBSCRIBER_OP or PARLEY_SUBSCRIBER_OPC',
      ].join(' '),
    )
    .argument('<private-id>', 'private identity, user@domain')
    .argument('<identity...>', 'public identities, sip: or tel: URIs; the first is the default one')
    .option(
      '--barred <identity...>',
      'identities that only register the others, and neither call nor are called',
    )
    .option(
      '--wildcard <identity...>',
      'wildcarded identities, which register with the first: sip:pbx!.*!@ims.test',
    )
    .option(
      '--aka',
      'the subscriber proves itself with a USIM; without PARLEY_SUBSCRIBER_PASSWORD with it alone',
    )
    .option('--amf <hex>', 'authentication management field of the USIM (default: 8000)')
    .option('--sqn <hex>', 'sequence number that the first challenge comes after (default: zeros)')
    .action(async (privateId: string, identities: string[], options: AddOptions) => {
      const { barred, wildcard, aka, amf, sqn } = options;
      const keys = aka ? akaKeysOf(process.env) : undefined;
      if (aka && !keys)
        throw new CommandError('--aka needs PARLEY_SUBSCRIBER_K and PARLEY_SUBSCRIBER_OP or _OPC');
      const password =
        keys && process.env['PARLEY_SUBSCRIBER_PASSWORD'] === undefined ? undefined : await readSecret();
      await api().call('POST', '/subscribers', {
        privateId,
        identities,
        barred,
        wildcards: wildcard,
        password,
        ...(keys ? { aka: { ...keys, amf, sqn } } : {}),
      });
      print(`added ${privateId}`);
    });
  command
    .command('list')
    .description('list subscribers')
    .action(async () => {
      const subscribers = await api().pages<SubscriberView>('/subscribers', 'subscribers');
      const rows = subscribers.map(({ privateId, identities, barred, schemes }) => [
        privateId,
        identities.join(' '),
        barred.join(' '),
        schemes.join(' '),
      ]);
      print(
        formatTable(['PRIVATE IDENTITY', 'IDENTITIES', 'BARRED', 'PROVES ITSELF BY'], rows, 'no subscribers'),
      );
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
