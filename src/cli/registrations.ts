import { Command } from 'commander';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface BindingView {
  readonly contact: string;
  readonly instance?: string;
  readonly publicGruu?: string;
  readonly deviceName?: string;
  readonly expiresInSeconds: number;
}

interface RegistrationView {
  readonly aor: string;
  readonly bindings: readonly BindingView[];
}

const heading = ['IDENTITY', 'DEVICE', 'INSTANCE ID', 'PUBLIC GRUU', 'CONTACT', 'EXPIRES'];

const rowsOf = ({ aor, bindings }: RegistrationView): string[][] =>
  bindings.map((binding) => [
    aor,
    binding.deviceName ?? '-',
    binding.instance ?? '-',
    binding.publicGruu ?? '-',
    binding.contact,
    `${binding.expiresInSeconds} s`,
  ]);

/** `parley registrations [aor]`. */
export function registrationsCommand({ api, print }: CommandContext): Command {
  return new Command('registrations')
    .description('registered devices with their Instance IDs and GRUUs')
    .argument('[aor]', 'only this identity')
    .option('--json', 'print what the API gives')
    .action(async (aor: string | undefined, options: { json?: boolean }) => {
      const found =
        aor === undefined
          ? await api().pages<RegistrationView>('/registrations', 'registrations')
          : [await api().call<RegistrationView>('GET', `/registrations/${encodeURIComponent(aor)}`)];
      print(
        options.json
          ? JSON.stringify(found, null, 2)
          : formatTable(heading, found.flatMap(rowsOf), 'no device is registered'),
      );
    });
}

/** `parley deregister <aor> [--instance <urn>] [--reason <reason>]`. */
export function deregisterCommand({ api, print }: CommandContext): Command {
  return new Command('deregister')
    .description('de-register an identity, or one device of it, from the network side')
    .argument('<aor>')
    .option('--instance <urn>', 'only the device with this Instance ID')
    .option('--reason <reason>', 'deactivated (come back), probation (later) or rejected (never)')
    .action(async (aor: string, options: { instance?: string; reason?: string }) => {
      const query = new URLSearchParams({ ...options }).toString();
      const gone = await api().call<RegistrationView>(
        'DELETE',
        `/registrations/${encodeURIComponent(aor)}${query === '' ? '' : `?${query}`}`,
      );
      print(formatTable(heading, rowsOf(gone), 'nothing was registered'));
    });
}

/** `parley reauthenticate <aor> [--instance <urn>] [--seconds <n>]`. */
export function reauthenticateCommand({ api, print }: CommandContext): Command {
  return new Command('reauthenticate')
    .description('shorten registrations, so that the devices authenticate again')
    .argument('<aor>')
    .option('--instance <urn>', 'only the device with this Instance ID')
    .option('--seconds <n>', 'time that is left to them', Number, 60)
    .action(async (aor: string, options: { instance?: string; seconds: number }) => {
      const shortened = await api().call<RegistrationView>(
        'POST',
        `/registrations/${encodeURIComponent(aor)}/reauthenticate`,
        options,
      );
      print(formatTable(heading, rowsOf(shortened), 'nothing was shortened'));
    });
}
