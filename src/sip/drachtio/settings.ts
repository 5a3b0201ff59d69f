import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { ParleyError } from '../../base/errors.js';
import { readTls, type TlsOptions } from '../transport/tls-options.js';
import './errors.js';

/** One drachtio-server that we connect to. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** What `drachtio://:secret@host:port` says. */
export interface DrachtioSettings {
  readonly servers: readonly ServerAddress[];
  readonly secret: string;
  /** Tags that a server's request router may choose us by. */
  readonly tags: readonly string[];
  /** TLS towards the servers. */
  readonly tls: ConnectionOptions | undefined;
  /** Where servers connect to us with new requests (outbound connections). */
  readonly listen: ServerAddress | undefined;
  /** Key and certificate for those connections; without them they are plain. */
  readonly listenTls: TlsOptions | undefined;
  /** IP addresses from which they may do so, besides those of the servers. */
  readonly from: readonly string[];
}

const ADMIN_PORT = 9_022;
const TAG = /^[A-Za-z0-9\-_+@:]{1,32}$/;
const MAX_TAGS = 20;
const SHAPE = /^drachtio:\/\/(?::([^@/]*)@)?([^/?]+)\/?(?:\?(.*))?$/;
const options = ['tags', 'tls', 'ca', 'servername', 'listen', 'cert', 'key', 'from'];

/**
 * Reads `drachtio://:secret@host:port,host:port?tags=a,b&tls=on&ca=/path/ca.pem&listen=0.0.0.0:9021`.
 * @throws ParleyError `sip-drachtio-setting`
 */
export function parseDrachtioSettings(text: string): DrachtioSettings {
  const match = SHAPE.exec(text);
  if (!match) throw wrong('must be drachtio://:secret@host:port');
  const [, secret = '', hosts = '', query = ''] = match;
  const given = new URLSearchParams(query);
  for (const name of given.keys()) if (!options.includes(name)) throw wrong(`no such option: ${name}`);
  const tags = (given.get('tags') ?? '').split(',').filter((tag) => tag !== '');
  if (tags.length > MAX_TAGS || !tags.every((tag) => TAG.test(tag)))
    throw wrong('tags are up to 20, of letters, digits and -_+@:, up to 32 each');
  const listen = given.get('listen');
  const plain = decodeURIComponent(secret);
  if (/[|\r\n]/.test(plain)) throw wrong('the secret cannot hold a bar or a line break');
  const servers = hosts.split(',').map(address);
  const names = servers.map(({ host, port }) => `${host}:${port}`);
  if (new Set(names).size < names.length) throw wrong('a server is named twice');
  const from = (given.get('from') ?? '').split(',').filter((one) => one !== '');
  if (from.some((one) => isIP(one) === 0)) throw wrong('from is a list of IP addresses');
  if (from.length > 0 && listen === null) throw wrong('from is for connections that servers make: listen');
  return {
    servers,
    from,
    secret: plain,
    tags,
    tls: tlsOf(given),
    listen: listen === null ? undefined : address(listen),
    listenTls: listenTlsOf(given),
  };
}

function address(text: string): ServerAddress {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? ADMIN_PORT);
  if (!match || port > 65_535) throw wrong(`${text.slice(0, 80)} is not HOST:PORT`);
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port };
}

function tlsOf(given: URLSearchParams): ConnectionOptions | undefined {
  const tls = given.get('tls') ?? 'off';
  if (tls !== 'on' && tls !== 'off') throw wrong('tls is on or off');
  if (tls === 'off') return undefined;
  const ca = given.get('ca');
  const servername = given.get('servername');
  return {
    ...(ca === null ? {} : { ca: reading(() => readFileSync(ca)) }),
    ...(servername === null ? {} : { servername }),
  };
}

function listenTlsOf(given: URLSearchParams): DrachtioSettings['listenTls'] {
  const [cert, key] = [given.get('cert'), given.get('key')];
  if (cert === null && key === null) return undefined;
  if (cert === null || key === null) throw wrong('cert and key go together');
  if (!given.has('listen')) throw wrong('cert and key are for connections that servers make: listen');
  return reading(() => readTls({ cert, key }));
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}

const wrong = (why: string): ParleyError => new ParleyError('sip-drachtio-setting', why);
