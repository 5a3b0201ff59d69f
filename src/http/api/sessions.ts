import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import type { Passed, SessionRecord } from '../../cpm/participating/session-records.js';
import type { HttpContext } from '../context.js';
import { aorOf } from './identity.js';
import { next, pageOf, pageQuery, type PageQuery } from './pages.js';

const endSchema = {
  type: 'object',
  properties: { user: { type: 'string' }, device: { type: 'string' } },
} as const;

const sessionSchema = {
  type: 'object',
  properties: {
    callId: { type: 'string' },
    service: { type: 'string' },
    caller: endSchema,
    callee: endSchema,
    conversationId: { type: 'string' },
    contributionId: { type: 'string' },
    inReplyTo: { type: 'string' },
    mediaPath: { type: 'boolean' },
    bytes: { type: 'integer' },
    messages: { type: 'integer' },
    startedAt: { type: 'string', format: 'date-time' },
    ageInSeconds: { type: 'integer' },
    refreshedAt: { type: 'string', format: 'date-time' },
    sessionExpires: { type: 'integer' },
  },
} as const;

/** `/sessions`: the CPM sessions that passed the participating function and have not ended. */
export function sessionRoutes(api: FastifyInstance, { participating, clock, config }: HttpContext): void {
  if (!participating) return;
  const { records } = participating;
  const setOf = async (aor: string): Promise<string> => {
    const set = await participating.setOf(aorOf(aor, config.domain));
    if (set === undefined) throw new ParleyError('policy-user-unknown');
    return set;
  };
  api.get<{ Querystring: PageQuery & { aor?: string } }>(
    '/sessions',
    {
      schema: {
        summary: 'CPM sessions with both devices, of one user or of all',
        querystring: {
          type: 'object',
          properties: { aor: { type: 'string' }, ...pageQuery },
        },
        response: {
          200: { type: 'object', properties: { sessions: { type: 'array', items: sessionSchema }, next } },
        },
      },
    },
    async (request) => {
      const { aor, after, limit } = request.query;
      const set = aor === undefined ? undefined : await setOf(aor);
      const { items, next } = await pageOf(
        records.list(set, after),
        limit,
        ({ id }) => id,
        (record) => show(record, participating.passed(record.id) ?? record.passed, clock.now()),
      );
      return { sessions: items, next };
    },
  );
}

/** @param passed undefined where the media pass no node. */
function show(record: SessionRecord, passed: Passed | undefined, now: number): object {
  const { id, startedAt, refreshedAt, interval, ...others } = record;
  return {
    ...others,
    bytes: passed?.bytes ?? 0,
    messages: passed?.messages ?? 0,
    callId: id.split('\t', 1)[0],
    startedAt: new Date(startedAt).toISOString(),
    ageInSeconds: Math.max(0, Math.floor((now - startedAt) / 1000)),
    refreshedAt: new Date(refreshedAt).toISOString(),
    sessionExpires: interval,
  };
}
