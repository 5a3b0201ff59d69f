import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import { cursorOf, type DeferredMessage } from '../../cpm/messages/deferred-store.js';
import { octetsOf } from '../../cpm/messages/device-modes.js';
import type { HttpContext } from '../context.js';
import { aorOf } from './identity.js';
import { next, pageOf, pageQuery, type PageQuery } from './pages.js';

const messageSchema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    recipient: { type: 'string' },
    sender: { type: 'string' },
    bytes: { type: 'integer' },
    receivedAt: { type: 'string', format: 'date-time' },
    expiresAt: { type: 'string', format: 'date-time' },
  },
} as const;

/** `/messages`: what waits for a device of its recipient. Contents are not shown. */
export function messageRoutes(
  api: FastifyInstance,
  { participating, core, watched, config }: HttpContext,
): void {
  if (!participating) return;
  const { deferred, deferral } = participating;
  const setOf = async (aor: string): Promise<string> => {
    const identity = aorOf(aor, config.domain);
    const set = core ? await core.registrar.setOf(identity) : watched?.setOf(identity);
    if (set === undefined) throw new ParleyError('registration-unknown');
    return set;
  };

  api.get<{ Querystring: PageQuery & { aor?: string } }>(
    '/messages',
    {
      schema: {
        summary: 'Deferred messages, of one recipient or of all, in the order in which they came',
        querystring: {
          type: 'object',
          properties: { aor: { type: 'string' }, ...pageQuery },
        },
        response: {
          200: { type: 'object', properties: { messages: { type: 'array', items: messageSchema }, next } },
        },
      },
    },
    async (request) => {
      const { aor, after, limit } = request.query;
      const set = aor === undefined ? undefined : await setOf(aor);
      const { items, next } = await pageOf(deferred.of(set, after), limit, cursorOf, show);
      return { messages: items, next };
    },
  );

  api.delete<{ Params: { aor: string; id: string } }>(
    '/messages/:aor/:id',
    {
      schema: {
        summary: 'Removes a deferred message; its sender is told that it is lost',
        params: {
          type: 'object',
          properties: { aor: { type: 'string' }, id: { type: 'string' } },
          required: ['aor', 'id'],
        },
      },
    },
    async (request, reply) => {
      const { aor, id } = request.params;
      if (!(await deferral.discard(await setOf(aor), id))) throw new ParleyError('cpm-message-unknown');
      return reply.code(204).send();
    },
  );
}

const show = (message: DeferredMessage): object => {
  const { id, recipient, sender, receivedAt, expiresAt } = message;
  return {
    id,
    recipient,
    sender,
    bytes: octetsOf(message),
    receivedAt: new Date(receivedAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  };
};
