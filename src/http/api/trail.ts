import type { FastifyInstance } from 'fastify';
import type { Outcome } from '../../base/trail.js';
import type { HttpContext } from '../context.js';
import { subjectsOf } from './identity.js';
import { limit } from './pages.js';

interface TrailQuery {
  readonly subject?: string;
  readonly trace?: string;
  readonly code?: string;
  readonly outcome?: Outcome;
  readonly after?: number;
  readonly limit: number;
}

/** `/trail`: why something was accepted or refused. */
export function trailRoutes(api: FastifyInstance, { trail, config }: HttpContext): void {
  api.get<{ Querystring: TrailQuery }>(
    '/trail',
    {
      schema: {
        summary: 'The newest decisions, newest first',
        querystring: {
          type: 'object',
          properties: {
            subject: { type: 'string', description: 'an identity; without a scheme one of the home domain' },
            trace: { type: 'string', description: 'a Call-ID' },
            code: { type: 'string' },
            outcome: { enum: ['accepted', 'refused', 'noted'] },
            after: { type: 'integer', minimum: -1, description: 'only events with a higher sequence' },
            limit,
          },
        },
      },
    },
    ({ query: { subject, ...filter } }) => ({
      events: trail
        .recent({
          ...filter,
          subjects: subject === undefined ? undefined : subjectsOf(subject, config.domain),
        })
        .map((event) => ({ ...event, at: new Date(event.at).toISOString() })),
      newest: trail.newest,
    }),
  );
}
