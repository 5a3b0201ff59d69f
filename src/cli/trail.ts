import { setTimeout as pause } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { ApiClient } from './api-client.js';
import type { CommandContext } from './program.js';
import { formatRow, formatTable } from './table.js';

interface EventView {
  readonly sequence: number;
  readonly at: string;
  readonly code: string;
  readonly outcome: string;
  readonly clause: string;
  readonly subject?: string;
  readonly trace?: string;
  readonly detail?: string;
}

interface TrailView {
  /** Newest first. */
  readonly events: readonly EventView[];
  readonly newest: number;
}

interface TrailOptions {
  readonly subject?: string;
  readonly call?: string;
  readonly code?: string;
  readonly outcome?: string;
  readonly limit: string;
  readonly follow?: boolean;
}

const heading = ['TIME', 'OUTCOME', 'CODE', 'CLAUSE', 'SUBJECT', 'CALL-ID', 'DETAIL'];
/** Columns of lines that are printed before the next ones are known. */
const FOLLOWED_WIDTHS = [24, 8, 28, 24, 20, 24, 0];
const FOLLOW_MS = 1_000;
/** The most events that the API gives at once. */
const FOLLOW_LIMIT = 1_000;

/** `parley trail`: why was this refused? */
export function trailCommand({ api, print }: CommandContext): Command {
  return new Command('trail')
    .description('the newest decisions, the newest last: what was accepted or refused, and by which clause')
    .option('--subject <identity>', 'only those about this identity')
    .option('--call <call-id>', 'only those of this Call-ID')
    .option('--code <code>', 'only those with this code')
    .addOption(
      new Option('--outcome <outcome>', 'only those with this outcome').choices([
        'accepted',
        'refused',
        'noted',
      ]),
    )
    .option('--limit <n>', 'how many', '50')
    .option('-f, --follow', 'go on with those that come, until Ctrl-C')
    .action(async ({ subject, call, code, outcome, limit, follow }: TrailOptions) => {
      const given = Object.entries({ subject, trace: call, code, outcome }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      );
      const query = new URLSearchParams(given);
      if (follow) return followTrail(api(), query, limit, print);
      const { events } = await ask(api(), query, { limit });
      print(formatTable(heading, events.map(rowOf).reverse(), 'no decisions'));
    });
}

/** Prints the newest decisions and then what comes. Never ends but by an error. */
async function followTrail(
  api: ApiClient,
  query: URLSearchParams,
  limit: string,
  print: CommandContext['print'],
): Promise<never> {
  print(formatRow(heading, FOLLOWED_WIDTHS));
  let seen = -1;
  for (let atMost = limit; ; atMost = String(FOLLOW_LIMIT)) {
    const { events, newest } = await ask(api, query, { limit: atMost, after: String(seen) });
    if (seen >= 0 && events.length === FOLLOW_LIMIT) print('... more came than can be shown');
    for (const event of events.toReversed()) print(formatRow(rowOf(event), FOLLOWED_WIDTHS));
    // a server that has started again counts from 0
    const startedAgain = newest < seen;
    seen = startedAgain ? -1 : newest;
    if (!startedAgain) await pause(FOLLOW_MS);
  }
}

function ask(
  api: ApiClient,
  query: URLSearchParams,
  more: Readonly<Record<string, string>>,
): Promise<TrailView> {
  const all = new URLSearchParams([...query, ...Object.entries(more)]);
  return api.call<TrailView>('GET', `/trail?${all.toString()}`);
}

function rowOf({ at, outcome, code, clause, subject, trace, detail }: EventView): string[] {
  return [at, outcome, code, clause, subject ?? '-', trace ?? '-', detail ?? ''];
}
