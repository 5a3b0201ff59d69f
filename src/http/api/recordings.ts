import type { FastifyInstance } from 'fastify';
import type { HttpContext } from '../context.js';
import { limit } from './pages.js';

const recordingSchema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    at: { type: 'string', format: 'date-time' },
    from: { type: 'string' },
    to: { type: 'string' },
    session: { type: 'string', description: 'Call-ID' },
    conversationId: { type: 'string' },
    messageId: { type: 'string' },
    contentType: { type: 'string' },
    bytes: { type: 'integer' },
    status: { type: 'integer', description: 'what the receiver answered' },
    complete: { type: 'boolean', description: 'whether all octets are recorded' },
  },
} as const;

const one = {
  params: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] },
} as const;

/** `/recordings`: messages that passed sessions whose users' policy asks for records. */
export function recordingRoutes(api: FastifyInstance, { recordings }: HttpContext): void {
  if (!recordings) return;
  api.get<{ Querystring: { user?: string; before?: string; limit: number } }>(
    '/recordings',
    {
      schema: {
        summary: 'Recorded messages, newest first, of one user or of all',
        querystring: {
          type: 'object',
          properties: {
            user: { type: 'string', description: 'URI of the sender or the recipient' },
            before: { type: 'string', description: 'identifier after which the list goes on' },
            limit,
          },
        },
        response: {
          200: { type: 'object', properties: { recordings: { type: 'array', items: recordingSchema } } },
        },
      },
    },
    async (request) => {
      const listed = await recordings.list(request.query);
      return {
        recordings: listed.map(({ at, octets, ...others }) => ({
          ...others,
          at: new Date(at).toISOString(),
          bytes: octets,
        })),
      };
    },
  );
  api.get<{ Params: { id: string } }>(
    '/recordings/:id',
    { schema: { summary: 'A recorded message as message/cpim', ...one } },
    async (request, reply) => {
      const octets = await recordings.read(request.params.id);
      return reply.type('message/cpim').send(octets);
    },
  );
  api.delete<{ Params: { id: string } }>(
    '/recordings/:id',
    { schema: { summary: 'Removes a recording', ...one } },
    async (request, reply) => {
      await recordings.remove(request.params.id);
      return reply.code(204).send();
    },
  );
}
