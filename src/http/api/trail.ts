import type { FastifyInstance } from 'fastify';
import type { HttpContext } from '../context.js';

interface TrailQuery {
  readonly subject?: string;
  readonly trace?: string;
  readonly code?: string;
  readonly limit: number;
}

/** `/trail`: why something was accepted or refused. */
export function trailRoutes(api: FastifyInstance, { trail }: HttpContext): void {
  api.get<{ Querystring: TrailQuery }>(
    '/trail',
    {
      schema: {
        summary: 'The newest decisions, newest first',
        querystring: {
          type: 'object',
          properties: {
            subject: { type: 'string', description: 'an identity' },
            trace: { type: 'string', description: 'a Call-ID' },
            code: { type: 'string' },
            limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
          },
        },
      },
    },
    (request) => ({
      events: trail
        .recent(request.query)
        .map((event) => ({ ...event, at: new Date(event.at).toISOString() })),
    }),
  );
}
