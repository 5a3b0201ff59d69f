import { isIPv6 } from 'node:net';
import { endpoint } from '../../base/endpoint.js';
import { ParleyError } from '../../base/errors.js';
import type { Listener, Protocol } from '../stack.js';
import './errors.js';

const SPEC = /^(udp|tcp|tls|ws|wss):(?:\[([^\]]+)\]|([A-Za-z0-9.-]+))(?::(\d{1,5}))?$/;

const isProtocol = (text: string): text is Protocol => /^(?:udp|tcp|tls|ws|wss)$/.test(text);

/** RFC 3261 §19.1.2 and RFC 7118 §5.4: the port when none is given. */
export function defaultPort(protocol: Protocol): number {
  switch (protocol) {
    case 'udp':
    case 'tcp':
      return 5060;
    case 'tls':
      return 5061;
    case 'ws':
      return 80;
    case 'wss':
      return 443;
  }
}

/**
 * Reads `udp:127.0.0.1:5060,tls:[::1]:5061`. Port 0 asks the system for a free one; a missing port is the default one.
 * A host name stands for the address that it has when listening begins.
 * @throws ParleyError `sip-listener-bad` naming the part that is wrong.
 */
export function parseListeners(text: string): Listener[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseListener);
}

function parseListener(text: string): Listener {
  const match = SPEC.exec(text);
  const protocol = match?.[1];
  const address = match?.[2] ?? match?.[3];
  if (protocol === undefined || !isProtocol(protocol) || address === undefined)
    throw new ParleyError('sip-listener-bad', `${text} is not PROTOCOL:ADDRESS:PORT`);
  if (isIPv6(address) !== (match?.[2] !== undefined))
    throw new ParleyError('sip-listener-bad', `${text} needs an IPv6 address in brackets, and nothing else`);
  const port = match?.[4] === undefined ? defaultPort(protocol) : Number(match[4]);
  if (port > 65_535) throw new ParleyError('sip-listener-bad', `${text} has a port above 65535`);
  return { protocol, address, port };
}

export function writeListener(listener: Listener): string {
  return `${listener.protocol}:${endpoint(listener.address, listener.port)}`;
}

/** An address by which this machine reaches a listener: of one on all addresses, loopback. */
export const reachable = (address: string): string =>
  address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
