/**
 * What reading and answering one REGISTER costs, without sockets: parse, look at what every request is looked at for,
 * build the 200, write it. Run with `npm run bench:sip`.
 */
import { readFileSync } from 'node:fs';
import { parseDatagram } from '../../src/sip/message/parse.js';
import { Headers } from '../../src/sip/message/headers.js';
import { SipResponse, type SipRequest } from '../../src/sip/message/message.js';
import { serialize } from '../../src/sip/message/serialize.js';

const data = readFileSync('bench/micro/register.sip');

function parse(): SipRequest {
  const parsed = parseDatagram(data);
  if (parsed.kind !== 'request') throw new Error('the REGISTER of this measurement does not parse');
  return parsed.message;
}

function touch(request: SipRequest): number {
  return (
    request.via.host.length +
    request.fromTag!.length +
    request.to.uriText.length +
    request.cseq.number +
    request.contacts[0]!.params.size
  );
}

function answer(request: SipRequest): Buffer {
  const headers = new Headers();
  for (const name of ['Via', 'From', 'To', 'Call-ID', 'CSeq', 'Contact'])
    headers.copyFrom(request.headers, name);
  headers.set('To', `${request.headers.get('To')!};tag=7a1b`);
  return serialize(new SipResponse(200, 'OK', headers));
}

/** Microseconds of one call: the best of several rounds, since other work on the machine only ever adds. */
function measure(work: () => number): number {
  let best = Infinity;
  for (let round = 0; round < 60; round++) {
    const count = 10_000;
    let sink = 0;
    const started = process.cpuUsage();
    for (let i = 0; i < count; i++) sink += work();
    const used = process.cpuUsage(started);
    if (sink === 0) throw new Error('nothing was done');
    best = Math.min(best, (used.user + used.system) / count);
  }
  return best;
}

const request = parse();
const rows: [string, () => number][] = [
  ['parse', () => parse().headers.length],
  ['parse + touch via, from, to, cseq, contact', () => touch(parse())],
  ['build a 200 + serialize', () => answer(request).length],
  [
    'whole: parse, touch, build, serialize',
    () => {
      const fresh = parse();
      return touch(fresh) + answer(fresh).length;
    },
  ],
];
console.log(
  `REGISTER of ${data.length} octets with ${request.headers.length} header fields, node ${process.version}`,
);
for (const [name, work] of rows) console.log(`${name.padEnd(44)} ${measure(work).toFixed(2)} µs`);
