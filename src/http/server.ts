import Fastify from 'fastify';
import type { Logger } from '../base/log.js';
import type { MemoryTrail } from '../base/trail.js';
import type { Config } from '../config/schema.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { SipStack } from '../sip/stack.js';
import type { Store } from '../store/store.js';

export interface HttpOptions {
  readonly config: Config;
  readonly stack: SipStack;
  readonly store: Store;
  readonly registrar: Registrar;
  readonly subscribers: Subscribers;
  readonly trail: MemoryTrail;
  readonly log: Logger;
}

export interface HttpServer {
  /** `http://host:port` */
  readonly url: string;
  close(): Promise<void>;
}

/** Health, metrics and the admin API. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { config, stack, store } = options;
  const server = Fastify({ logger: false, bodyLimit: 1 << 20 });
  server.get('/healthz', () => ({ status: 'alive' }));
  server.get('/readyz', (_request, reply) => {
    const trouble = stack.trouble() ?? store.trouble();
    return trouble === undefined
      ? { status: 'ready' }
      : reply.code(503).send({ status: 'not ready', reason: trouble });
  });
  const colon = config.http.listen.lastIndexOf(':');
  const host = config.http.listen.slice(0, colon).replace(/^\[|\]$/g, '');
  const url = await server.listen({ host, port: Number(config.http.listen.slice(colon + 1)) });
  return { url, close: () => server.close() };
}
