import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance, type FastifySchemaValidationError, type RouteOptions } from 'fastify';
import type { Server } from 'node:http';
import { splitEndpoint } from '../base/endpoint.js';
import { ParleyError } from '../base/errors.js';
import { gatewayRoutes } from './api/gateway.js';
import { groupRoutes } from './api/groups.js';
import { impsUserRoutes } from './api/imps-users.js';
import { impsRoutes } from './api/imps.js';
import { messageRoutes } from './api/messages.js';
import { policyRoutes } from './api/policies.js';
import { profileRoutes } from './api/profiles.js';
import { recordingRoutes } from './api/recordings.js';
import { registrationRoutes } from './api/registrations.js';
import { sessionRoutes } from './api/sessions.js';
import { subscriberRoutes } from './api/subscribers.js';
import { trailRoutes } from './api/trail.js';
import { watchedRegistrationRoutes } from './api/watched-registrations.js';
import { consoleRoutes } from './console.js';
import type { HttpContext } from './context.js';
import './errors.js';
import { makeGuard } from './guard.js';
import { healthRoutes } from './health.js';
import { metricsRoutes } from './metrics.js';

const BODY_LIMIT = 1 << 20;

export interface HttpServer {
  /** `http://host:port` */
  readonly url: string;
  /** The server underneath, for SIP over WebSocket. */
  readonly server: Server;
  close(): Promise<void>;
}

/**
 * Starts the console, health, metrics and the admin API.
 * @throws ParleyError `http-port-taken`
 */
export async function startHttp(context: HttpContext): Promise<HttpServer> {
  const server = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    // a property that no schema knows is a mistake of the caller, who should hear of it
    ajv: { customOptions: { removeAdditional: false } },
    schemaErrorFormatter: (errors, where) =>
      new Error(errors.map((error) => misfit(error, where)).join(', ')),
  });
  server.setErrorHandler((error: unknown, _request, reply) => {
    const { status, code, message } = describe(error);
    if (status >= 500) context.log.error({ err: error }, 'a request of the admin API failed');
    void reply.code(status).send({ error: code, message });
  });
  server.setNotFoundHandler(() => {
    throw new ParleyError('http-not-found', '/api/v1/openapi.json lists what there is');
  });
  await server.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: { title: 'Parley admin API', version: '1' },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
  });
  healthRoutes(server, context);
  metricsRoutes(server, context);
  await consoleRoutes(server);
  const guard = makeGuard(context.config.http.token);
  await server.register(
    async (api: FastifyInstance) => {
      api.addHook('onRoute', closeQuery);
      api.addHook('onRequest', async (request) => guard(request));
      const { core, watched, clock } = context;
      if (core) registrationRoutes(api, { ...core, clock, config: context.config });
      else if (watched) watchedRegistrationRoutes(api, { watched, clock, config: context.config });
      subscriberRoutes(api, context);
      profileRoutes(api, context);
      messageRoutes(api, context);
      sessionRoutes(api, context);
      policyRoutes(api, context);
      recordingRoutes(api, context);
      groupRoutes(api, context);
      impsRoutes(api, context);
      impsUserRoutes(api, context);
      gatewayRoutes(api, context);
      trailRoutes(api, context);
      api.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
    },
    { prefix: '/api/v1' },
  );
  const url = await listen(server, context.config.http.listen);
  return { url, server: server.server, close: () => server.close() };
}

/** A query parameter that a route does not know is a mistake of the caller too, also where it knows none. */
function closeQuery(route: RouteOptions): void {
  const { querystring } = route.schema ?? {};
  route.schema = {
    ...route.schema,
    querystring: {
      type: 'object',
      properties: {},
      ...(querystring as object | undefined),
      additionalProperties: false,
    },
  };
}

async function listen(server: FastifyInstance, hostPort: string): Promise<string> {
  const [host, port] = splitEndpoint(hostPort);
  try {
    return await server.listen({ host, port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new ParleyError('http-port-taken', hostPort, { cause: error });
  }
}

/** What does not fit a schema, with the property that is meant: `body/aka has an unknown property "opC"`. */
function misfit({ instancePath, message, params }: FastifySchemaValidationError, where: string): string {
  const unknown = params['additionalProperty'];
  return typeof unknown === 'string'
    ? `${where}${instancePath} has an unknown property ${JSON.stringify(unknown.slice(0, 80))}`
    : `${where}${instancePath} ${message ?? 'does not fit'}`;
}

interface Described {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** What a caller is told: our own errors by code, fastify's validation as a bad request, nothing of anything else. */
function describe(error: unknown): Described {
  if (error instanceof ParleyError) return { status: error.http, code: error.code, message: error.message };
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode !== undefined && statusCode < 500) {
    return { status: statusCode, code: 'http-bad-request', message: message ?? '' };
  }
  return { status: 500, code: 'internal', message: 'internal error' };
}
