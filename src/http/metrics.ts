import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { RunningGroups } from '../cpm/controlling/running-groups.js';
import type { Gateway } from '../gateway/gateway.js';
import type { ImpsServer } from '../imps/index.js';
import type { Clock } from '../base/clock.js';
import type { HttpContext, MsrpContext, ParticipatingContext } from './context.js';

/** `/metrics`: every decision of the trail by its code, readiness, and what Node.js knows of the process. */
export function metricsRoutes(
  server: FastifyInstance,
  { trail, stack, store, clock, participating, controlling, imps, gateway, msrp }: HttpContext,
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
  const gauge: AddMetric = (name, help, value) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  };
  const counter: AddMetric = (name, help, value) => {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  };
  msrpMetrics(gauge, counter, msrp);
  if (participating) {
    participatingMetrics(registry, participating, clock);
    mediaPathMetrics(gauge, counter, participating);
  }
  if (controlling) groupMetrics(gauge, controlling);
  if (imps) impsMetrics(gauge, imps);
  if (gateway) gatewayMetrics(registry, gateway);
  server.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    void reply.type(registry.contentType);
    return registry.metrics();
  });
}

type AddMetric = (name: string, help: string, value: () => number) => void;

/** What is counted in the store is counted anew no more often than this. */
const COUNT_MS = 15_000;

/** Sessions and deferred messages in the store, which all its nodes have in common. */
function participatingMetrics(
  registry: Registry,
  { records, deferred }: ParticipatingContext,
  clock: Clock,
): void {
  const count = recently(clock, async () => ({
    sessions: await records.total(),
    ...(await deferred.total()),
  }));
  const gauge = (name: string, help: string, of: keyof Awaited<ReturnType<typeof count>>): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set((await count())[of]);
      },
    });
  };
  gauge('parley_sessions_open', 'CPM sessions that have not ended, of all nodes on the store', 'sessions');
  gauge('parley_deferred_messages', 'Messages that wait for a device, of all nodes on the store', 'messages');
  gauge('parley_deferred_octets', 'Octets of the messages that wait', 'octets');
}

/** What passes this node as the middle of sessions. */
function mediaPathMetrics(gauge: AddMetric, counter: AddMetric, { mediaPath }: ParticipatingContext): void {
  gauge(
    'parley_media_path_sessions',
    'CPM sessions whose media pass this node',
    () => mediaPath.figures.sessions,
  );
  counter(
    'parley_media_path_messages_total',
    'Messages that passed in sessions',
    () => mediaPath.figures.messages,
  );
  counter(
    'parley_media_path_bytes_total',
    'Octets of content that passed in sessions',
    () => mediaPath.figures.bytes,
  );
}

/** Asks again only when the last answer is old. */
function recently<T>(clock: Clock, ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return () => {
    if (last && clock.now() - last.at < COUNT_MS) return last.answer;
    const answer = ask();
    last = { at: clock.now(), answer };
    answer.catch(() => (last = undefined));
    return answer;
  };
}

/** What runs of groups at this node. */
function groupMetrics(gauge: AddMetric, { controlling }: RunningGroups): void {
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

/** What IMPS phones and the SMSC have open at this node. */
function impsMetrics(gauge: AddMetric, imps: ImpsServer): void {
  gauge(
    'parley_imps_cir_tcp',
    'IMPS sessions with a CIR connection over TCP',
    () => imps.connections().cir.tcp,
  );
  gauge(
    'parley_imps_sessions',
    'IMPS sessions that had traffic at this node since it started',
    () => imps.figures().sessions,
  );
  gauge(
    'parley_imps_messages_waiting',
    'Instant messages that wait for IMPS users, as far as this node knows',
    () => imps.figures().waiting,
  );
  gauge('parley_imps_cir_udp', 'IMPS sessions heard on CIR over UDP', () => imps.connections().cir.udp);
  if (!imps.connections().smsc) return;
  gauge('parley_imps_smsc_bound', '1 when bound to the SMSC', () => (imps.connections().smsc?.bound ? 1 : 0));
  gauge('parley_imps_smsc_queued', 'Short messages that wait for the SMSC', () => {
    const { queued = 0, inFlight = 0 } = imps.connections().smsc ?? {};
    return queued + inFlight;
  });
}

/** What went through the gateway, by direction and reason. */
function gatewayMetrics(registry: Registry, { traffic }: Gateway): void {
  new Counter({
    name: 'parley_gateway_passages_total',
    help: 'Messages and reports through the gateway, by direction, outcome and reason',
    labelNames: ['direction', 'outcome', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { count, ...labels } of traffic.counts()) this.inc(labels, count);
    },
  });
}

/** What MSRP holds and has passed on. */
function msrpMetrics(gauge: AddMetric, counter: AddMetric, { endpoint, relay }: MsrpContext): void {
  gauge('parley_msrp_sessions', 'MSRP sessions with an end here', () => endpoint.figures.sessions);
  gauge('parley_msrp_connections', 'MSRP connections', () => endpoint.figures.connections);
  gauge(
    'parley_msrp_held_bytes',
    'Octets of messages that are being put together',
    () => endpoint.figures.heldOctets,
  );
  if (!relay) return;
  gauge('parley_msrp_relay_uris', 'URIs that clients have of the relay', () => relay.figures.uris);
  counter('parley_msrp_relay_requests_total', 'Requests passed on', () => relay.figures.requests);
  counter('parley_msrp_relay_bytes_total', 'Octets of content passed on', () => relay.figures.octets);
  counter('parley_msrp_relay_refused_total', 'Requests refused', () => relay.figures.refused);
  counter('parley_msrp_relay_failures_total', 'Failures told to senders', () => relay.figures.failures);
}
