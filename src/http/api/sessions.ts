import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import type { Passed, SessionRecord } from '../../cpm/participating/session-records.js';
import type { HttpContext } from '../context.js';
import { aorOf } from './identity.js';

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
  api.get<{ Querystring: { aor?: string; after?: string; limit: number } }>(
    '/sessions',
    {
      schema: {
        summary: 'CPM sessions with both devices, of one user or of all',
        querystring: {
          type: 'object',
          properties: {
            aor: { type: 'string' },
            after: { type: 'string', description: 'next of the page before' },
            limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
          },
        },
        response: {
          200: {
            type: 'object',
            properties: { sessions: { type: 'array', items: sessionSchema }, next: { type: 'string' } },
          },
        },
      },
    },
    async (request) => {
      const { aor, after, limit } = request.query;
      const set = aor === undefined ? undefined : await setOf(aor);
      const sessions: object[] = [];
      for await (const record of records.list(set, after))
        if (
          sessions.push(show(record, participating.passed(record.id) ?? record.passed, clock.now())) === limit
        )
          return { sessions, next: record.id };
      return { sessions };
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
