import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import { entitlements } from '../../cpm/policy/user-policy.js';
import type { HttpContext } from '../context.js';
import { aorOf } from './identity.js';

const strings = { type: 'array', items: { type: 'string' } } as const;
const integer = { type: 'integer' } as const;
const boolean = { type: 'boolean' } as const;

const properties = {
  services: { type: 'array', items: { type: 'string', enum: entitlements } },
  blocked: strings,
  blockedAnswer: { type: 'string', enum: ['decline', 'forbid', 'silent'] },
  deliverTo: { type: 'string', description: 'Instance ID of the only device that gets requests' },
  doNotDisturb: boolean,
  mediaPath: { ...boolean, description: 'media of the sessions pass this server' },
  record: { ...boolean, description: 'messages of the sessions are recorded' },
  maxSessions: integer,
  messagesPerMinute: integer,
  maxBytes: integer,
} as const;

const policySchema = {
  type: 'object',
  properties: { own: { type: 'object', properties }, effective: { type: 'object', properties } },
} as const;

const one = {
  params: { type: 'object', properties: { aor: { type: 'string' } }, required: ['aor'] },
} as const;

/** `/policies`: preferences and policy of single users, over those of the configuration. */
export function policyRoutes(api: FastifyInstance, { participating, config }: HttpContext): void {
  if (!participating) return;
  const { policies, deferral } = participating;
  const setOf = async (aor: string): Promise<string> => {
    const set = await participating.setOf(aorOf(aor, config.domain));
    if (set === undefined) throw new ParleyError('policy-user-unknown');
    return set;
  };
  const show = async (set: string): Promise<object> => ({
    own: await policies.ownOf(set),
    effective: await policies.of(set),
  });
  api.get<{ Params: { aor: string } }>(
    '/policies/:aor',
    {
      schema: {
        summary: 'Policy of a user: its own, and what holds',
        ...one,
        response: { 200: policySchema },
      },
    },
    async (request) => show(await setOf(request.params.aor)),
  );
  api.patch<{ Params: { aor: string }; Body: Record<string, unknown> }>(
    '/policies/:aor',
    {
      schema: {
        summary: 'Changes single settings of a user; null takes one back to the standard',
        ...one,
        body: { type: 'object' },
        response: { 200: policySchema },
      },
    },
    async (request) => {
      const set = await setOf(request.params.aor);
      await policies.change(set, request.body);
      // what waited for the end of "do not disturb"
      deferral.start(set, 'more');
      return show(set);
    },
  );
  api.delete<{ Params: { aor: string } }>(
    '/policies/:aor',
    { schema: { summary: 'Takes all settings of a user back', ...one } },
    async (request, reply) => {
      const set = await setOf(request.params.aor);
      await policies.remove(set);
      deferral.start(set, 'more');
      return reply.code(204).send();
    },
  );
}
