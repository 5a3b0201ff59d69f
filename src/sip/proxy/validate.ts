import { crc32 } from 'node:zlib';
import type { InboundRequest } from '../embedded/inbound.js';
import type { LocalNames } from '../embedded/local-names.js';
import { parseVia } from '../message/via.js';
import type { SendOptions } from '../stack.js';

/** A refusal, ready to be sent. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly clause: string;
  readonly options?: SendOptions;
}

/** RFC 5393 §5.3.3: the default and the largest Max-Breadth that is believed. */
export const MAX_BREADTH = 60;

/** Option tags that this proxy understands in Proxy-Require: none asks anything of a proxy that it does not do anyway. */
const understood: ReadonlySet<string> = new Set(['path', 'outbound', 'gruu', 'sec-agree']);

/**
 * The checks before a request may be forwarded (RFC 3261 §16.3); the first that fails says how to answer.
 * @param hash the second part of our branches, see {@link loopHash}.
 */
export function validateForProxy(
  request: InboundRequest,
  names: LocalNames,
  hash: string,
): Refusal | undefined {
  if (request.number('Max-Forwards', 255) === 0)
    return { status: 483, code: 'proxy.too-many-hops', clause: 'RFC 3261 §16.3' };
  if (request.number('Max-Breadth') === 0)
    return { status: 440, code: 'proxy.max-breadth-exceeded', clause: 'RFC 5393 §5.3.3' };
  if (hasLooped(request, names, hash))
    return { status: 482, code: 'proxy.loop-detected', clause: 'RFC 5393 §4.2.2' };
  const unsupported = request.headers
    .list('Proxy-Require')
    .filter((tag) => !understood.has(tag.toLowerCase()));
  if (unsupported.length === 0) return undefined;
  return {
    status: 420,
    code: 'proxy.extension-not-supported',
    clause: 'RFC 3261 §16.3',
    options: { headers: { Unsupported: unsupported.join(', ') } },
  };
}

/**
 * The second part of a branch (RFC 5393 §4.2.1): varies with all that decides where the request goes, and never with
 * the method. Taken of the request as the routing logic saw it.
 */
export function loopHash(request: InboundRequest): string {
  const { headers } = request;
  let text = `${request.uri}\n${request.ownRoute ?? ''}\n${request.callId}\n${request.cseq.number}`;
  for (const name of routingFields) for (const line of headers.lines(name)) text += `\n${line}`;
  return `-${crc32(text).toString(16).padStart(8, '0')}`;
}

const routingFields = [
  'Route',
  'To',
  'Accept-Contact',
  'Reject-Contact',
  'Request-Disposition',
  'P-Served-User',
  'Proxy-Authorization',
];

function hasLooped(request: InboundRequest, names: LocalNames, hash: string): boolean {
  if (!request.headers.lines('Via').some((line) => line.includes(hash))) return false;
  return request.headers.list('Via').some((text) => {
    if (!text.includes(hash)) return false;
    const { host, port, params } = parseVia(text);
    return params.get('branch')?.endsWith(hash) === true && names.has(host, port);
  });
}
