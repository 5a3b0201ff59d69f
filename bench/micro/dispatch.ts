/**
 * CPU time of the embedded stack on one REGISTER: from the transaction layer to the handler and back, without the
 * network; and the parser alone, for comparison.
 *
 *     npx tsc -p bench/micro && node dist/micro/bench/micro/dispatch.js
 */
import { readFileSync } from 'node:fs';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { createEmbeddedStack } from '../../src/sip/embedded/stack.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { parseDatagram } from '../../src/sip/message/parse.js';
import type { ServerTransaction } from '../../src/sip/transaction/layer.js';
import { FakeServerTransaction, FakeWire } from '../../test/tools/fake-transactions.js';
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
stack.on('REGISTER', (request, response) => {
  const { from, to, cseq } = request;
  response.send(200, {
    headers: {
      Contact: request.get('Contact') ?? '',
      Expires: cseq.number + from.params.size + to.params.size,
    },
  });
});

const octets = readFileSync('bench/micro/register.sip');
const source = new FakeServerTransaction({ method: 'REGISTER' } as SipRequest, {
  protocol: 'udp',
  address: '192.0.2.17',
  port: 5060,
  localAddress: '127.0.0.1',
  localPort: 5060,
  flow: 'udp|127.0.0.1:5060|192.0.2.17:5060',
}).source;

function parse(): SipRequest {
  const parsed = parseDatagram(octets);
  if (parsed.kind !== 'request') throw new Error(parsed.kind);
  return parsed.message;
}

measure('parse', () => parse());
measure('parse, dispatch, respond', () => {
  const transaction: ServerTransaction = new FakeServerTransaction(parse(), source);
  wire.transactions.onRequest(transaction);
  return transaction;
});
