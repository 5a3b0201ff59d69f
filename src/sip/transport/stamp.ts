import type { SipRequest } from '../message/message.js';
import { writeVia, type Via } from '../message/via.js';
import type { Source } from '../stack.js';

const EMPTY_RPORT = /;\s*rport\s*(?=;|,|$)/i;

/**
 * Notes on the topmost Via where the request really came from: `received` when sent-by says otherwise
 * (RFC 3261 §18.2.1), `received` and `rport` always when the client asked with an empty `rport` (RFC 3581 §4).
 * @param via the topmost Via as parsed from the wire; it says the same as the text afterwards.
 */
export function stampVia(request: SipRequest, via: Via, source: Source): void {
  const asked = via.params.get('rport') === null;
  const claimed = via.params.has('received');
  const host = via.host.startsWith('[') ? via.host.slice(1, -1) : via.host;
  if (!asked && !claimed && host === source.address) return;
  const { params } = via;
  params.delete('received'); // what the client wrote there must not steer the response
  if (asked) params.set('rport', String(source.port));
  if (asked || host !== source.address) params.set('received', source.address);
  const line = request.headers.get('Via')!;
  if (claimed || line.includes(',')) request.replaceVia(writeVia(via), via);
  else if (line.endsWith(';rport'))
    // where nearly all write it, which costs less than looking for it
    request.replaceVia(`${line}=${source.port};received=${source.address}`, via);
  else if (asked)
    request.replaceVia(line.replace(EMPTY_RPORT, `;rport=${source.port};received=${source.address}`), via);
  else request.replaceVia(`${line};received=${source.address}`, via);
}
