import { readFileSync } from 'node:fs';
import { inPackage } from '../src/base/package.js';
import { VirtualClock } from '../src/base/clock.js';
import { silentLogger } from '../src/base/log.js';
import { MemoryTrail } from '../src/base/trail.js';
import { createEmbeddedStack } from '../src/sip/embedded/stack.js';
import { buildResponse } from '../src/sip/embedded/respond.js';
import type { HeaderMap } from '../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../src/sip/message/message.js';
import { parseDatagram } from '../src/sip/message/parse.js';
import { serialize } from '../src/sip/message/serialize.js';
import type { Source } from '../src/sip/stack.js';
import type { ServerTransaction } from '../src/sip/transaction/layer.js';
import { FakeWire } from '../test/tools/fake-transactions.js';
import { alternate, markdown, type Work } from './load-runs.js';
import { median } from './measure.js';
import { startParley } from './servers/parley.js';

const PER_ROUND = 50_000;

const source: Source = {
  protocol: 'udp',
  address: '192.0.2.17',
  port: 5060,
  localAddress: '127.0.0.1',
  localPort: 5060,
  flow: 'udp|127.0.0.1:5060|192.0.2.17:5060',
};

/**
 * CPU that the port `SipStack` puts between transaction layer and handler on one REGISTER: the embedded stack, and the handler's
 * work done right on the parsed message, in turn; and its share of a whole REGISTER at saturation.
 * @returns a table in Markdown.
 */
export async function measurePort(
  rounds: number,
  register: Omit<Work, 'rate' | 'scenario'>,
  told: (line: string) => void,
): Promise<string> {
  const { direct, through } = await ways();
  direct(PER_ROUND);
  through(PER_ROUND);
  const costs = { direct: [] as number[], through: [] as number[] };
  for (let round = 1; round <= 4 * rounds; round++) {
    // who comes first changes, since a collection of the one's garbage may fall into the other's time
    const order = round % 2 === 0 ? (['direct', 'through'] as const) : (['through', 'direct'] as const);
    for (const way of order) costs[way].push((way === 'direct' ? direct : through)(PER_ROUND));
  }
  const differences = costs.through.map((cost, i) => cost - costs.direct[i]!);
  const work = { ...register, scenario: 'register', rate: 0 } as const;
  const samples = await alternate([{ name: 'Parley', start: () => startParley() }], work, rounds, told);
  const whole = median(samples.get('Parley')!.map(({ cpu }) => cpu));
  const cost = median(differences);
  return markdown(
    ['', 'CPU µs a REGISTER, median'],
    [
      ['without the port', median(costs.direct).toFixed(2)],
      ['with it', median(costs.through).toFixed(2)],
      ['difference, in pairs', cost.toFixed(2)],
      ['a whole REGISTER at saturation', whole.toFixed(1)],
      ['share of the port', `${((100 * cost) / whole).toFixed(1)} %`],
    ],
  );
}

/** Each does it so many times and gives the CPU microseconds of one. */
async function ways(): Promise<Record<'direct' | 'through', (times: number) => number>> {
  const clock = new VirtualClock();
  const wire = new FakeWire();
  const stack = createEmbeddedStack({
    wire,
    clock,
    log: silentLogger,
    trail: new MemoryTrail(() => clock.now()),
    domain: 'ims.test',
  });
  await stack.start();
  const octets = readFileSync(inPackage('bench/micro/register.sip'));
  stack.on('REGISTER', (request, response) => {
    response.send(200, { headers: answer(request) });
  });
  const timed =
    (work: () => Answered) =>
    (times: number): number => {
      const before = process.cpuUsage();
      let sent = 0;
      for (let i = 0; i < times; i++) sent += work().finalStatus === 200 ? 1 : 0;
      const { user, system } = process.cpuUsage(before);
      if (sent !== times) throw new Error(`${times - sent} REGISTERs had no 200`);
      return (user + system) / times;
    };
  return {
    direct: timed(() => {
      const transaction = new Answered(parse(octets));
      const { request } = transaction;
      transaction.respond(buildResponse(request, 200, 'a6c85cf', { headers: answer(request) }));
      return transaction;
    }),
    through: timed(() => {
      const transaction = new Answered(parse(octets));
      wire.transactions.onRequest(transaction);
      return transaction;
    }),
  };
}

/** Serializes what it is answered, as a real one does. */
class Answered implements ServerTransaction {
  readonly kind = 'non-invite';
  readonly request: SipRequest;
  readonly source = source;
  finalStatus: number | undefined = undefined;
  onCancel: undefined = undefined;
  onFailure: undefined = undefined;
  octets: Buffer | undefined;

  constructor(request: SipRequest) {
    this.request = request;
  }

  respond(response: SipResponse): boolean {
    this.finalStatus = response.status;
    this.octets = serialize(response);
    return true;
  }
}

function parse(octets: Buffer): SipRequest {
  const parsed = parseDatagram(octets);
  if (parsed.kind !== 'request') throw new Error(parsed.kind);
  return parsed.message;
}

/** What the handler does, without a stack around it. */
function answer(request: SipRequest): HeaderMap {
  const { from, to, cseq } = request;
  const expires = cseq.number + from.params.size + to.params.size;
  return { Contact: request.get('Contact') ?? '', Expires: expires };
}
