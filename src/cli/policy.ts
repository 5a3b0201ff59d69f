import { Command } from 'commander';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

type Settings = Readonly<Record<string, unknown>>;

interface PolicyView {
  readonly own: Settings;
  readonly effective: Settings;
}

/** `parley policy [show|set|reset]`: preferences and policy of a user. */
export function policyCommand({ api, print }: CommandContext): Command {
  const command = new Command('policy').description('preferences and policy of users');
  const path = (aor: string): string => `/policies/${encodeURIComponent(aor)}`;
  const show = ({ own, effective }: PolicyView): void =>
    print(
      formatTable(
        ['SETTING', 'VALUE', 'FROM'],
        Object.entries(effective).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(' ') || '-' : String(value),
          name in own ? 'user' : 'standard',
        ]),
        'no settings',
      ),
    );
  command
    .command('show', { isDefault: true })
    .description('what holds for a user')
    .argument('<aor>')
    .action(async (aor: string) => show(await api().call<PolicyView>('GET', path(aor))));
  command
    .command('set')
    .description('change settings: maxSessions=5 blocked=sip:a@b,tel:+1 mediaPath=true; NAME= takes one back')
    .argument('<aor>')
    .argument('<setting...>', 'NAME=VALUE')
    .action(async (aor: string, settings: string[]) => {
      const changes = Object.fromEntries(settings.map(settingOf));
      show(await api().call<PolicyView>('PATCH', path(aor), changes));
    });
  command
    .command('reset')
    .description('take all settings of a user back')
    .argument('<aor>')
    .action(async (aor: string) => {
      await api().call('DELETE', path(aor));
      print(`reset ${aor}`);
    });
  return command;
}

const lists: ReadonlySet<string> = new Set(['services', 'blocked']);

function settingOf(text: string): [string, unknown] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new Error(`${text} is not NAME=VALUE`);
  const [name, value] = [text.slice(0, equals), text.slice(equals + 1)];
  if (value === '') return [name, null];
  if (lists.has(name)) return [name, value.split(',')];
  if (value === 'true' || value === 'false') return [name, value === 'true'];
  return [name, /^\d+$/.test(value) ? Number(value) : value];
}
