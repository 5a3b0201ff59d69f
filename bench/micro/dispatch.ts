/**
 * CPU time that the embedded stack puts between transaction layer and handler on one REGISTER, without the network: with
 * the stack, and with the handler's work done right on the parsed message.
 *
 *     npx tsc -p bench/micro && node dist/micro/bench/micro/dispatch.js
 */
import { readFileSync } from 'node:fs';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { createEmbeddedStack } from '../../src/sip/embedded/stack.js';
import { buildResponse } from '../../src/sip/embedded/respond.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import { parseDatagram } from '../../src/sip/message/parse.js';
import { serialize } from '../../src/sip/message/serialize.js';
import type { Source } from '../../src/sip/stack.js';
import type { ServerTransaction } from '../../src/sip/transaction/layer.js';
import { FakeWire } from '../../test/tools/fake-transactions.js';
import { measure } from './measure.js';

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
const octets = readFileSync('bench/micro/register.sip');
const source: Source = {
  protocol: 'udp',
  address: '192.0.2.17',
  port: 5060,
  localAddress: '127.0.0.1',
  localPort: 5060,
  flow: 'udp|127.0.0.1:5060|192.0.2.17:5060',
};

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

function parse(): SipRequest {
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

stack.on('REGISTER', (request, response) => {
  response.send(200, { headers: answer(request) });
});

measure('parse, respond', () => {
  const transaction = new Answered(parse());
  const { request } = transaction;
  transaction.respond(buildResponse(request, 200, 'a6c85cf', { headers: answer(request) }));
  return transaction;
});
measure('parse, embedded stack, respond', () => {
  const transaction = new Answered(parse());
  wire.transactions.onRequest(transaction);
  return transaction;
});
