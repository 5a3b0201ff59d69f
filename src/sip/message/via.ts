import { bad, parseParams, writeParams, type Params } from './lexer.js';
import { parseHostPort } from './uri.js';

/** One Via value (RFC 3261 §20.42). */
export interface Via {
  /** Upper-case: `UDP`, `TCP`, `TLS`, `WS`, `WSS`, `SCTP` or another token. */
  readonly transport: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
}

const VIA = /^SIP\s*\/\s*2\.0\s*\/\s*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+([^;]+?)\s*(?=;|$)/i;

/** @throws ParleyError `sip-bad-header` */
export function parseVia(text: string): Via {
  const match = VIA.exec(text);
  if (!match) throw bad('Via', 'not SIP/2.0/transport sent-by');
  const { host, port } = parseHostPort(match[2]!.replace(/\s+/g, ''), text);
  return {
    transport: match[1]!.toUpperCase(),
    host,
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
