import { Command } from 'commander';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface EventView {
  readonly at: string;
  readonly code: string;
  readonly outcome: string;
  readonly clause: string;
  readonly subject?: string;
  readonly trace?: string;
  readonly detail?: string;
}

/** `parley trail`: why was this refused? */
export function trailCommand({ api, print }: CommandContext): Command {
  return new Command('trail')
    .description('the newest decisions: what was accepted or refused, and by which clause')
    .option('--subject <aor>', 'only those about this identity')
    .option('--call <call-id>', 'only those of this Call-ID')
    .option('--code <code>', 'only those with this code')
    .option('--limit <n>', 'how many', '50')
    .action(async (options: { subject?: string; call?: string; code?: string; limit: string }) => {
      const query = new URLSearchParams({ limit: options.limit });
      if (options.subject !== undefined) query.set('subject', options.subject);
      if (options.call !== undefined) query.set('trace', options.call);
      if (options.code !== undefined) query.set('code', options.code);
      const { events } = await api().call<{ events: EventView[] }>('GET', `/trail?${query.toString()}`);
      const rows = events.map(({ at, outcome, code, clause, subject, trace, detail }) => [
        at,
        outcome,
        code,
        clause,
        subject ?? '-',
        trace ?? '-',
        detail ?? '',
      ]);
      print(
        formatTable(
          ['TIME', 'OUTCOME', 'CODE', 'CLAUSE', 'SUBJECT', 'CALL-ID', 'DETAIL'],
          rows,
          'no decisions',
        ),
      );
    });
}
