import { Command, InvalidArgumentError, Option } from 'commander';
import { load } from './load.js';
import { scenarios, type ScenarioName } from './load/scenarios.js';

interface LoadFlags {
  readonly target: string;
  readonly calls: number;
  readonly rate: number;
  readonly users: 'demo' | number;
  readonly firstUser?: number;
  readonly concurrency?: number;
  readonly pause?: number;
  readonly domain?: string;
  readonly localAddress?: string;
  readonly transport?: 'udp' | 'tcp';
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('not a whole number');
  return Number(text);
}

/** `parley load`: SIPp scenarios against a server. Ctrl-C ends a run early and still prints its summary. */
export function loadCommand(): Command {
  return new Command('load')
    .description(
      'run one of the SIPp scenarios against a server and print one summary (exit 1 when a call failed)',
    )
    .argument('<scenario>', Object.keys(scenarios).join(', '))
    .option('-t, --target <host:port>', 'the server', '127.0.0.1:5060')
    .option('-n, --calls <n>', 'how many calls in all', whole, 1000)
    .option('-r, --rate <n>', 'calls started a second; 0: as fast as the server lets them end', whole, 100)
    .option(
      '-u, --users <n>',
      '"demo" for alice, bob, carol and dave, or a number of made-up users user1, user2, ... (a server with PARLEY_AUTH=none takes them)',
      (text) => (text === 'demo' ? text : whole(text)),
      'demo',
    )
    .option(
      '--first-user <n>',
      'number of the first made-up user, for several loads at once (default: 1)',
      whole,
    )
    .option('--concurrency <n>', 'calls at a time, at most', whole)
    .option('--pause <ms>', 'length of the pause in a scenario: between refreshes, from ACK to BYE', whole)
    .option('--domain <domain>', 'home domain (default: ims.test)')
    .option('--local-address <ip>', 'address to send from (default: 127.0.0.1)')
    .addOption(new Option('--transport <protocol>', 'udp or tcp (default: udp)').choices(['udp', 'tcp']))
    .action(async (scenario: string, flags: LoadFlags) => {
      const interrupt = new AbortController();
      const abort = (): void => interrupt.abort();
      process.once('SIGINT', abort);
      try {
        process.exitCode = await load(
          { scenario: scenario as ScenarioName, ...flags, signal: interrupt.signal },
          process.stdout,
        );
      } finally {
        process.off('SIGINT', abort);
      }
    });
}
