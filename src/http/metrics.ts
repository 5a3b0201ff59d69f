import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { RunningGroups } from '../cpm/controlling/running-groups.js';
import type { HttpContext } from './context.js';

/** `/metrics`: every decision of the trail by its code, readiness, and what Node.js knows of the process. */
export function metricsRoutes(
  server: FastifyInstance,
  { trail, stack, store, controlling }: HttpContext,
): void {
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
  if (controlling) groupMetrics(registry, controlling);
  server.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    void reply.type(registry.contentType);
    return registry.metrics();
  });
}

/** What runs of groups at this node. */
function groupMetrics(registry: Registry, { controlling }: RunningGroups): void {
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  };
  const sum = (of: (figures: { sessions: number; queued: number }) => number): number =>
    [...controlling.running].reduce((total, { figures }) => total + of(figures), 0);
  gauge('parley_groups_running', 'Groups with sessions at this node', () => [...controlling.running].length);
  gauge('parley_group_sessions', 'Sessions of participants of groups at this node', () =>
    sum(({ sessions }) => sessions),
  );
  gauge(
    'parley_group_messages_queued',
    'Messages of groups at this node that some member has still to get',
    () => sum(({ queued }) => queued),
  );
}
