import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import { featureSet } from '../../identity/feature-tags.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { Binding, Registration } from '../../registrar/registration.js';
import { parseParams } from '../../sip/message/lexer.js';
import type { HttpContext } from '../context.js';

const bindingSchema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    aor: { type: 'string', description: 'the identity it was registered for' },
    contact: { type: 'string' },
    instance: { type: 'string', description: 'Instance ID, a URN' },
    publicGruu: { type: 'string' },
    regId: { type: 'integer' },
    deviceName: { type: 'string' },
    userAgent: { type: 'string' },
    capabilities: { type: 'object', additionalProperties: { type: ['string', 'boolean'] } },
    q: { type: 'number' },
    path: { type: 'array', items: { type: 'string' } },
    privateId: { type: 'string' },
    registeredAt: { type: 'string', format: 'date-time' },
    expiresAt: { type: 'string', format: 'date-time' },
    expiresInSeconds: { type: 'integer' },
  },
} as const;

const registrationSchema = {
  type: 'object',
  properties: { aor: { type: 'string' }, bindings: { type: 'array', items: bindingSchema } },
} as const;

interface ListQuery {
  readonly after?: string;
  readonly limit: number;
}

/** `/registrations`: who is registered, with which devices; and de-registration from the network side. */
export function registrationRoutes(api: FastifyInstance, context: HttpContext): void {
  const { registrar } = context;

  api.get<{ Querystring: ListQuery }>(
    '/registrations',
    {
      schema: {
        summary: 'Registered identities with their devices, in order of identities',
        querystring: {
          type: 'object',
          properties: {
            after: { type: 'string' },
            limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
          },
        },
        response: {
          200: {
            type: 'object',
            properties: {
              registrations: { type: 'array', items: registrationSchema },
              next: { type: 'string' },
            },
          },
        },
      },
    },
    async (request) => {
      const { after, limit } = request.query;
      const found: object[] = [];
      let next: string | undefined;
      for await (const { set, registration } of registrar.list(after)) {
        if (found.length === limit) break;
        found.push(show(set, registration, context));
        next = set;
      }
      return found.length < limit ? { registrations: found } : { registrations: found, next };
    },
  );

  const oneSchema = {
    params: { type: 'object', properties: { aor: { type: 'string' } }, required: ['aor'] },
    querystring: {
      type: 'object',
      properties: { instance: { type: 'string', description: 'URN of one device' } },
    },
    response: { 200: registrationSchema },
  } as const;

  api.get<{ Params: { aor: string } }>(
    '/registrations/:aor',
    { schema: { summary: 'The devices of one identity', ...oneSchema } },
    async (request) => {
      const set = await setOf(request.params.aor, context);
      return show(set, (await registrar.lookup(set)) ?? { bindings: [], instances: [] }, context);
    },
  );

  api.delete<{ Params: { aor: string }; Querystring: { instance?: string } }>(
    '/registrations/:aor',
    {
      schema: { summary: 'De-registers an identity or one device of it from the network side', ...oneSchema },
    },
    async (request) => {
      const set = await setOf(request.params.aor, context);
      const { instance } = request.query;
      const key = instance === undefined ? undefined : InstanceId.fromUrn(instance).key;
      const before = await registrar.lookup(set);
      const gone = await registrar.deregister(
        set,
        'deactivated',
        (binding) => key === undefined || binding.instanceKey === key,
      );
      if (gone.length === 0) throw new ParleyError('registration-unknown');
      return show(set, { bindings: gone, instances: before?.instances ?? [] }, context);
    },
  );
}

async function setOf(aor: string, { registrar }: HttpContext): Promise<string> {
  const set = await registrar.setOf(parseAor(aor.includes(':') ? aor : `sip:${aor}`));
  if (set === undefined) throw new ParleyError('registration-unknown');
  return set;
}

function show(set: string, registration: Registration, context: HttpContext): object {
  return {
    aor: set,
    bindings: registration.bindings.map((binding) => showBinding(binding, registration, context)),
  };
}

function showBinding(binding: Binding, registration: Registration, { gruus, clock }: HttpContext): object {
  const state = registration.instances.find(
    (known) => known.instanceKey === binding.instanceKey && known.aor === binding.aor,
  );
  const { id, aor, contact, instance, regId, deviceName, userAgent, q, path, privateId } = binding;
  return {
    id,
    aor,
    contact,
    instance,
    publicGruu: state?.aor.startsWith('sip:') ? gruus.publicOf(state) : undefined,
    regId,
    deviceName,
    userAgent,
    capabilities: Object.fromEntries(featureSet(parseParams(binding.params, 0, 'Contact'))),
    q,
    path,
    privateId,
    registeredAt: new Date(binding.registeredAt).toISOString(),
    expiresAt: new Date(binding.expiresAt).toISOString(),
    expiresInSeconds: Math.max(0, Math.round((binding.expiresAt - clock.now()) / 1000)),
  };
}
