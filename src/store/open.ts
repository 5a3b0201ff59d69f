import type { Clock } from '../base/clock.js';
import type { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { storeError } from './errors.js';
import { LmdbStore } from './lmdb/lmdb-store.js';
import { syncModes, type SyncMode } from './lmdb/options.js';
import type { SentinelPlace } from './redis/sentinel-link.js';
import { RedisStore } from './redis/redis-store.js';
import type { Store } from './store.js';

/** What a store needs of its surroundings. */
export interface StoreContext {
  readonly clock: Clock;
  readonly log: Logger;
}

/** A store URL taken apart. */
export type StoreAddress =
  | { readonly backend: 'lmdb'; readonly path: string; readonly sync: SyncMode | undefined }
  | { readonly backend: 'redis'; readonly urls: readonly string[] }
  | { readonly backend: 'redis-sentinel'; readonly place: SentinelPlace };

const invalid = (why: string): ParleyError => storeError('store-url-invalid', why);

/**
 * Takes `lmdb:PATH[?sync=none|interval|commit]`, `redis://[user[:password]@]host[:port][/db]`, `rediss://…` apart; several Redis URLs with
 * commas between them are nodes of one cluster, and so are hosts that follow the first one with commas. `redis+sentinel://host[:port],…/NAME[/db]`
 * names sentinels and what they call the master. The password of a URL appears in no message.
 * @throws ParleyError `store-url-invalid`.
 */
export function parseStoreUrl(url: string): StoreAddress {
  if (url.startsWith('lmdb:')) return parseLmdbUrl(url.slice('lmdb:'.length));
  if (SENTINEL.test(url)) return parseSentinelUrl(url);
  const [first = '', ...others] = url.split(',').map((part) => part.trim());
  const common = /^rediss?:\/\/(?:[^@/]*@)?/.exec(first)?.[0] ?? '';
  const urls = [first, ...others.map((part) => (part.includes('://') || part === '' ? part : common + part))];
  for (const part of urls) checkRedisUrl(part, urls.length > 1);
  return { backend: 'redis', urls };
}

const SENTINEL = /^rediss?\+sentinel:/;
const SENTINEL_SHAPE = /^(rediss?)\+sentinel:\/\/([^@/]*@)?([^/?#]+)\/([A-Za-z0-9._-]+)(?:\/(\d*))?$/;
const SENTINEL_PORT = 26_379;
const MAX_SENTINELS = 20;

function parseSentinelUrl(url: string): StoreAddress {
  const match = SENTINEL_SHAPE.exec(url);
  if (!match) throw invalid('sentinels are named as in redis+sentinel://a:26379,b:26379,c:26379/mymaster/0');
  const [, scheme, credentials = '', hosts = '', master = '', database = ''] = match;
  const sentinels = hosts.split(',').map((host) => `${scheme}://${host.trim()}`);
  if (sentinels.length > MAX_SENTINELS) throw invalid(`no more than ${MAX_SENTINELS} sentinels`);
  const like = `${scheme}://${credentials}master/${database}`;
  for (const part of [like, ...sentinels]) checkRedisUrl(part, false);
  const withPort = (text: string): string => (/:\d+$/.test(text) ? text : `${text}:${SENTINEL_PORT}`);
  return { backend: 'redis-sentinel', place: { sentinels: sentinels.map(withPort), master, like } };
}

function parseLmdbUrl(rest: string): StoreAddress {
  const [, path = '', query] = /^([^?]*)(?:\?(.*))?$/s.exec(rest)!;
  if (path === '') throw invalid('lmdb: needs a folder, as in lmdb:./data');
  const sync = syncModes.find((mode) => query === `sync=${mode}`);
  if (query !== undefined && !sync)
    throw invalid(`only ?sync= may follow the folder, with ${syncModes.join(', ')}`);
  return { backend: 'lmdb', path: path.replace(/^\/\/(?=\/)/, ''), sync };
}

function checkRedisUrl(text: string, inCluster: boolean): void {
  if (!URL.canParse(text)) throw invalid('use lmdb:PATH, redis://host:port/db or rediss://host:port/db');
  const { protocol, hostname, pathname, search, hash } = new URL(text);
  if (protocol !== 'redis:' && protocol !== 'rediss:') throw invalid(`the scheme ${protocol} is not known`);
  if (hostname === '') throw invalid('the host is missing');
  if (search !== '' || hash !== '') throw invalid('nothing may follow the database number');
  const database = /^\/?(\d*)$/.exec(pathname)?.[1];
  if (database === undefined) throw invalid('the database is a number, as in redis://127.0.0.1:6379/0');
  if (inCluster && Number(database) > 0) throw invalid('a cluster has database 0 only');
}

/**
 * Opens the store that a URL names and waits until it can be used.
 * @throws ParleyError `store-url-invalid`, `store-in-use`, `store-broken`, `store-unavailable`.
 */
export async function openStore(url: string, context: StoreContext): Promise<Store> {
  const address = parseStoreUrl(url);
  switch (address.backend) {
    case 'lmdb':
      return new LmdbStore(address.path, context, address.sync && { sync: address.sync });
    case 'redis':
      return RedisStore.open(address.urls, context);
    case 'redis-sentinel':
      return RedisStore.open(address.place, context);
  }
}
