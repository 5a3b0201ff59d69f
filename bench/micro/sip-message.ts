// npx tsc -p bench/micro && node dist/micro/bench/micro/sip-message.js
import { readFileSync } from 'node:fs';
import { parseDatagram } from '../../src/sip/message/parse.js';
import { Headers } from '../../src/sip/message/headers.js';
import { SipResponse, type SipRequest } from '../../src/sip/message/message.js';
import { serialize } from '../../src/sip/message/serialize.js';
import { measure } from './measure.js';

/** Without sockets: what every REGISTER is looked at for, and its 200. */
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

const request = parse();
console.log(
  `REGISTER of ${data.length} octets with ${request.headers.length} header fields, node ${process.version}`,
);
measure('parse', parse);
measure('parse, touch via, from, to, cseq, contact', () => touch(parse()));
measure('build a 200, serialize', () => answer(request));
measure('whole: parse, touch, build, serialize', () => {
  const fresh = parse();
  return touch(fresh) + answer(fresh).length;
});
