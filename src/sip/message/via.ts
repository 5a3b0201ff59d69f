import { isIPv4 } from 'node:net';
import { bad, parseParams, writeParams, type Params } from './lexer.js';
import { checkHost } from './uri.js';

/** One Via value (RFC 3261 §20.42). */
export interface Via {
  /** Upper-case: `UDP`, `TCP`, `TLS`, `WS`, `WSS`, `SCTP` or another token. */
  readonly transport: string;
  /** Lower-case; an IPv6 address in its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
}

// every repetition is followed by a character that it cannot hold, so that matching takes linear time
const VIA =
  /^SIP[ \t]*\/[ \t]*[A-Za-z0-9\-.!%*_+`'~]+[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+(\[[^\]\s]*\]|[^\s;:[\],]+)(?:[ \t]*:[ \t]*(\d{1,5}))?/i;

/** Changing the case of every `UDP` would cost more than finding it here. */
const usualTransports = new Map(['UDP', 'TCP', 'TLS', 'WS', 'WSS'].map((name) => [name, name]));

/**
 * Parses one Via value, with the white space that RFC 4475 §3.1.1.1 shows. The protocol version is not looked at:
 * the request line has it too.
 * @throws ParleyError `sip-bad-header`, `sip-bad-uri` for the host
 */
export function parseVia(text: string): Via {
  const match = VIA.exec(text);
  if (!match) throw bad('Via', 'not SIP/2.0/transport sent-by');
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && port > 65_535) throw bad('Via', 'port out of range');
  return {
    transport: usualTransports.get(match[1]!) ?? match[1]!.toUpperCase(),
    host: checkHost(match[2]!, text),
    port,
    params: parseParams(text, match[0].length, 'Via'),
  };
}

export function writeVia(via: Via): string {
  const port = via.port === undefined ? '' : `:${via.port}`;
  return `SIP/2.0/${via.transport} ${via.host}${port}${writeParams(via.params)}`;
}

/** The cookie of RFC 3261 §8.1.1.7. */
export const MAGIC_COOKIE = 'z9hG4bK';

/**
 * Whether sent-by names one host: not a broadcast, multicast or unspecified address. A response is not forwarded to
 * the others, which would make an amplifier of the proxy (RFC 4475 §3.3.10).
 */
export function isUnicastSentBy({ host }: Via): boolean {
  if (isIPv4(host)) {
    const first = Number(host.slice(0, host.indexOf('.')));
    return host !== '0.0.0.0' && first < 224;
  }
  return !host.startsWith('[ff') && host !== '[::]';
}
