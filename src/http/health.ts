import type { FastifyInstance } from 'fastify';
import type { HttpContext } from './context.js';

/** `/healthz`: the process lives. `/readyz`: it can take registrations; 503 with the reason when it cannot. */
export function healthRoutes(server: FastifyInstance, { stack, store }: HttpContext): void {
  const hidden = { schema: { hide: true } };
  server.get('/healthz', hidden, () => ({ status: 'alive' }));
  server.get('/readyz', hidden, (_request, reply) => {
    const reasons = [stack.trouble(), store.trouble()].filter((reason) => reason !== undefined);
    if (reasons.length === 0) return { status: 'ready' };
    return reply.code(503).send({ status: 'not ready', reasons });
  });
}
