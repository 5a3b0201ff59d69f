import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { HttpContext } from './context.js';

/** `/metrics`: every decision of the trail by its code, readiness, and what Node.js knows of the process. */
export function metricsRoutes(server: FastifyInstance, { trail, stack, store }: HttpContext): void {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Counter({
    name: 'parley_decisions_total',
    help: 'Decisions by their code, see the decision trail',
    labelNames: ['code'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [code, count] of trail.counts()) this.inc({ code }, count);
    },
  });
  new Gauge({
    name: 'parley_ready',
    help: '1 when registrations can be taken',
    registers: [registry],
    collect() {
      this.set(stack.trouble() === undefined && store.trouble() === undefined ? 1 : 0);
    },
  });
  server.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    void reply.type(registry.contentType);
    return registry.metrics();
  });
}
