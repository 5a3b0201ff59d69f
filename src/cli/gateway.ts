import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { CommandError, type ApiClient } from './api-client.js';
import { formatCsv, parseCsv } from './csv.js';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface StateView {
  readonly domain: string;
  readonly sessions: number;
  readonly passages: readonly { direction: string; outcome: string; reason: string; count: number }[];
  readonly identities: Readonly<Record<string, number>>;
}

type Row = Readonly<Record<string, unknown>>;

type Refused = readonly { readonly row: number; readonly code: string; readonly message: string }[];

interface ImportResult {
  readonly added: number;
  readonly known: number;
  readonly refused: Refused;
}

interface WithdrawalResult {
  readonly removed: number;
  readonly absent: number;
  readonly refused: Refused;
}

type Format = 'csv' | 'json';

/** Columns of each kind, in the order of an export. */
const columns = {
  users: ['user', 'password', 'msisdn', 'aor', 'privateId', 'state'],
  addresses: ['wv', 'aor', 'source'],
  devices: [
    'user',
    'clientId',
    'msisdn',
    'applicationId',
    'instance',
    'uuid',
    'source',
    'formerClient',
    'collision',
  ],
  contacts: ['user', 'list', 'displayName', 'default', 'contact', 'name'],
  access: ['user', 'list', 'kind', 'entry', 'group', 'inUse'],
  groups: [
    'group',
    'owner',
    'name',
    'topic',
    'accessType',
    'type',
    'privateMessaging',
    'searchable',
    'maxActiveUsers',
    'requireInvitation',
    'minimumAge',
    'member',
    'role',
  ],
} as const;
type Kind = keyof typeof columns;
const kinds = Object.keys(columns) as Kind[];
/** What an export holds: no passwords, so no columns for what only an import has. */
const exported: Readonly<Record<Kind, readonly string[]>> = {
  ...columns,
  users: ['user', 'msisdn', 'state'],
};

/** Rows of one request. */
const AT_ONCE = 500;

/** `parley gateway [state|map|resolve]`. */
export function gatewayCommand(context: CommandContext): Command {
  const { api, print } = context;
  const command = new Command('gateway').description('IMPS phones as CPM devices');
  command
    .command('state', { isDefault: true })
    .description('what went between IMPS and CPM since the start')
    .action(async () => {
      const state = await api().call<StateView>('GET', '/gateway');
      const identities = Object.entries(state.identities).map(([name, count]) => `${name} ${count}`);
      print(
        `domain ${state.domain}, ${state.sessions} phones logged in; identities: ${identities.join(', ')}`,
      );
      print(
        formatTable(
          ['DIRECTION', 'OUTCOME', 'REASON', 'COUNT'],
          state.passages.map(({ direction, outcome, reason, count }) => [
            direction,
            outcome,
            reason,
            String(count),
          ]),
          'nothing went through',
        ),
      );
    });
  command
    .command('resolve')
    .description('what an address is on the other side, and by what')
    .argument('<address>', 'wv:, sip: or tel: address')
    .action(async (address: string) => {
      const { wv, aor, by } = await api().call<{ wv: string; aor: string; by: string }>(
        'GET',
        `/gateway/resolve?address=${encodeURIComponent(address)}`,
      );
      print(`${wv}  ${aor}  ${by}`);
    });
  command.addCommand(mapCommand(context));
  return command;
}

function mapCommand({ api, print }: CommandContext): Command {
  const command = new Command('map').description(
    'users, addresses, clients with their Instance IDs, contacts, access lists and groups',
  );
  const say = (counts: string, refused: Refused): void => {
    for (const { row, code, message } of refused) print(`row ${row + 1}: ${code}: ${message}`);
    print(`${counts}, ${refused.length} refused`);
    if (refused.length > 0) throw new CommandError('some rows were refused');
  };
  command
    .command('list', { isDefault: true })
    .description('clients and their Instance IDs')
    .argument('[user]', 'only those of this User-ID')
    .option('--conflicts', 'only those that changed or collided')
    .action(async (user: string | undefined, { conflicts }: { conflicts?: boolean }) => {
      const all = await everything(api(), 'devices', user);
      const rows = conflicts ? all.filter((row) => row['collision'] === true || row['formerClient']) : all;
      print(
        formatTable(
          ['USER', 'CLIENT-ID', 'APPLICATION', 'INSTANCE ID', 'FROM', 'REMARK', 'UUID'],
          rows.map((row) => [
            cell(row, 'user'),
            cell(row, 'clientId', cell(row, 'msisdn')),
            cell(row, 'applicationId', '-'),
            cell(row, 'instance'),
            cell(row, 'source'),
            remark(row),
            cell(row, 'uuid'),
          ]),
          'no clients',
        ),
      );
    });
  command
    .command('export')
    .description('print one kind of the map; users come without passwords')
    .addArgument(kindArgument())
    .addOption(formatOption())
    .action(async (kind: Kind, { format = 'csv' }: { format?: Format }) => {
      const rows = await everything(api(), kind);
      print(format === 'json' ? JSON.stringify(rows, null, 2) : formatCsv(exported[kind], rows));
    });
  command
    .command('import')
    .description(
      [
        'take rows over from a file, or - for standard input. Each row stands for itself; what is there already stays.',
        ...kinds.map((kind) => `${kind}: ${columns[kind].join(', ')}.`),
      ].join('\n'),
    )
    .addArgument(kindArgument())
    .argument('<file>')
    .addOption(formatOption())
    .action(async (kind: Kind, file: string, options: { format?: Format }) => {
      const total = await importAll(api(), kind, readRows(file, options.format));
      say(`${total.added} added, ${total.known} there already`, total.refused);
    });
  command
    .command('withdraw')
    .description(
      'take rows of a file back, the last one first. A user is removed by `imps remove` and `subscriber remove`.',
    )
    .addArgument(
      new Command().createArgument('<kind>', 'what').choices(kinds.filter((kind) => kind !== 'users')),
    )
    .argument('<file>')
    .addOption(formatOption())
    .action(async (kind: Kind, file: string, options: { format?: Format }) => {
      const total = await withdrawAll(api(), kind, readRows(file, options.format));
      say(`${total.removed} taken back, ${total.absent} not there`, total.refused);
    });
  command
    .command('set')
    .description('lay down that two addresses are one user’s')
    .argument('<wv>')
    .argument('<aor>', 'sip: or tel: address')
    .action(async (wv: string, aor: string) => {
      const { refused } = await importAll(api(), 'addresses', [{ wv, aor }]);
      if (refused[0]) throw new CommandError(`${refused[0].code}: ${refused[0].message}`);
      print(`${wv} is ${aor}`);
    });
  command
    .command('unset')
    .description('take a pair of addresses back')
    .argument('<wv>')
    .action(async (wv: string) => {
      await api().call('DELETE', `/gateway/map/addresses/${encodeURIComponent(wv)}`);
      print(`${wv} goes by rule`);
    });
  command
    .command('remove')
    .description('forget a client: it gets an Instance ID anew at its next login')
    .argument('<user>', 'User-ID')
    .argument('<uuid>', 'UUID of the client')
    .action(async (user: string, uuid: string) => {
      await api().call(
        'DELETE',
        `/gateway/map/devices/${encodeURIComponent(user)}/${encodeURIComponent(uuid)}`,
      );
      print(`removed ${uuid}`);
    });
  return command;
}

const kindArgument = () => new Command().createArgument('<kind>', 'what').choices(kinds);
const formatOption = (): Option =>
  new Option('--format <format>', 'csv, or json: an array of objects').choices(['csv', 'json']);

async function everything(api: ApiClient, kind: Kind, user?: string): Promise<Row[]> {
  const rows: Row[] = [];
  let after: string | undefined;
  do {
    const query = [
      'limit=1000',
      ...(user === undefined ? [] : [`user=${encodeURIComponent(user)}`]),
      ...(after === undefined ? [] : [`after=${encodeURIComponent(after)}`]),
    ];
    const page: { rows: Row[]; next?: string } = await api.call(
      'GET',
      `/gateway/map/${kind}?${query.join('&')}`,
    );
    rows.push(...page.rows);
    after = page.next;
  } while (after !== undefined);
  return rows;
}

async function importAll(api: ApiClient, kind: Kind, rows: readonly Row[]): Promise<ImportResult> {
  let total: ImportResult = { added: 0, known: 0, refused: [] };
  for (let start = 0; start < rows.length; start += AT_ONCE) {
    const result = await api.call<ImportResult>('POST', `/gateway/map/${kind}`, {
      rows: rows.slice(start, start + AT_ONCE),
    });
    total = {
      added: total.added + result.added,
      known: total.known + result.known,
      refused: [...total.refused, ...result.refused.map((one) => ({ ...one, row: start + one.row }))],
    };
  }
  return total;
}

/** The pages go from the last to the first, as the rows in each do. */
async function withdrawAll(api: ApiClient, kind: Kind, rows: readonly Row[]): Promise<WithdrawalResult> {
  let total: WithdrawalResult = { removed: 0, absent: 0, refused: [] };
  for (let end = rows.length; end > 0; end -= AT_ONCE) {
    const start = Math.max(0, end - AT_ONCE);
    const result = await api.call<WithdrawalResult>('POST', `/gateway/map/${kind}/withdrawals`, {
      rows: rows.slice(start, end),
    });
    total = {
      removed: total.removed + result.removed,
      absent: total.absent + result.absent,
      refused: [...result.refused.map((one) => ({ ...one, row: start + one.row })), ...total.refused],
    };
  }
  return total;
}

/** @param file a path, or - for standard input */
function readRows(file: string, given: Format | undefined): Row[] {
  const format = given ?? (file.endsWith('.json') ? 'json' : 'csv');
  return rowsOf(readFileSync(file === '-' ? 0 : file, 'utf8'), format);
}

function rowsOf(text: string, format: Format): Row[] {
  if (format === 'csv') return parseCsv(text);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new CommandError(`not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(parsed)) throw new CommandError('the file must hold an array of objects');
  return parsed as Row[];
}

const cell = (row: Row, name: string, nothing = ''): string => {
  const value = row[name];
  return typeof value === 'string' && value !== '' ? value : nothing;
};

function remark(row: Row): string {
  if (row['collision'] === true) return 'collided';
  const former = cell(row, 'formerClient');
  return former === '' ? '-' : `was ${former}`;
}
