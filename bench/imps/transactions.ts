import { Agent } from 'node:http';
import { wbxmlCoding, xmlCoding } from '../../src/imps/codec/coding.js';
import { cpuSeconds, median } from '../measure.js';
import { Client } from './client.js';
import { startImpsServer } from './server.js';

/** Pairs of phones that talk to each other at the same time. */
const PAIRS = 8;
/** Messages that wait while others go past them. */
const WAITING = 20_000;

interface Figure {
  /** Microseconds of CPU of the server process, all its threads, for one. */
  readonly cpu: number;
  /** How many there were in a second of the clock on the wall. */
  readonly rate: number;
}

const user = (number: number): string => `wv:user${number}@ims.test`;

/**
 * CPU of an IMPS server on LMDB for a login and logout, and for a message sent, polled and confirmed. The phones run in
 * this process, so theirs is not counted. `share` of the full number of transactions is run in each round.
 * @returns a table in markdown
 */
export async function measureTransactions(
  rounds: number,
  share: number,
  told: (line: string) => unknown,
): Promise<string> {
  const rows = new Map<string, Figure[]>();
  const waiting = Math.round(WAITING * share);
  const agent = new Agent({ keepAlive: true, maxSockets: 2 * PAIRS });
  for (let round = 1; round <= rounds; round++) {
    told(`IMPS transactions, round ${round} of ${rounds}`);
    for (const [name, coding] of [
      ['WBXML', wbxmlCoding],
      ['XML', xmlCoding],
    ] as const) {
      const server = await startImpsServer(2 * PAIRS);
      const measure = async (what: string, count: number, run: (pair: number) => Promise<void>) => {
        const each = Math.max(1, Math.round((count * share) / PAIRS));
        const before = cpuSeconds([server.pid]);
        const startedAt = performance.now();
        await Promise.all(
          Array.from({ length: PAIRS }, async (_, pair) => {
            for (let number = 0; number < each; number++) await run(pair);
          }),
        );
        const cpu = ((cpuSeconds([server.pid]) - before) / (each * PAIRS)) * 1e6;
        const rate = (each * PAIRS * 1000) / (performance.now() - startedAt);
        const key = `${name}: ${what}`;
        rows.set(key, [...(rows.get(key) ?? []), { cpu, rate }]);
      };
      const phones = Array.from(
        { length: 2 * PAIRS },
        (_, number) => new Client(agent, server.url, coding, user(number)),
      );
      const sender = (pair: number): Client => phones[2 * pair]!;
      const receiver = (pair: number): Client => phones[2 * pair + 1]!;
      const send = (pair: number): Promise<void> => sender(pair).send(user(2 * pair + 1));
      const loginAndLogout = async (pair: number): Promise<void> => {
        await sender(pair).login();
        await sender(pair).logout();
      };
      const message = async (pair: number): Promise<void> => {
        await send(pair);
        await receiver(pair).receive();
      };
      await measure('warm-up', 2000, loginAndLogout);
      await measure('login and logout', 4000, loginAndLogout);
      for (const phone of phones) {
        await phone.login();
        await phone.negotiate();
      }
      await measure('warm-up', 2000, message);
      await measure('message sent, polled, confirmed', 4000, message);
      await measure(`${waiting} messages more, sent alone`, WAITING, send);
      await measure(`message while ${waiting} wait`, 4000, message);
      await measure('those polled and confirmed', WAITING, (pair) => receiver(pair).receive());
      await server.stop();
    }
  }
  agent.destroy();
  const lines = [...rows]
    .filter(([what]) => !what.endsWith('warm-up'))
    .map(([what, figures]) => {
      const cpu = median(figures.map((figure) => figure.cpu));
      const rate = median(figures.map((figure) => figure.rate));
      return `| ${what} | ${cpu.toFixed(0)} µs | ${(1e6 / cpu).toFixed(0)} | ${rate.toFixed(0)} |`;
    });
  return [
    '| | CPU of the server each | a second of one core | a second here |',
    '| --- | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}
