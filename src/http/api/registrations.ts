import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import { featureSet } from '../../identity/feature-tags.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { Binding, Registration } from '../../registrar/registration.js';
import { parseParams } from '../../sip/message/lexer.js';
import type { CoreContext, HttpContext } from '../context.js';
import { aorOf } from './identity.js';
import { pageOf, type PageQuery } from './pages.js';
import { listSchema, oneSchema } from './registration-schemas.js';

type Shown = CoreContext & Pick<HttpContext, 'clock' | 'config'>;

/** `/registrations`: who is registered, with which devices; and de-registration from the network side. */
export function registrationRoutes(api: FastifyInstance, context: Shown): void {
  const { registrar } = context;

  api.get<{ Querystring: PageQuery }>('/registrations', { schema: listSchema }, async (request) => {
    const { after, limit } = request.query;
    const { items, next } = await pageOf(
      registrar.list(after),
      limit,
      ({ set }) => set,
      ({ set, registration }) => show(set, registration, context),
    );
    return { registrations: items, next };
  });

  api.get<{ Params: { aor: string } }>(
    '/registrations/:aor',
    { schema: { summary: 'The devices of one identity', ...oneSchema } },
    async (request) => {
      const set = await setOf(request.params.aor, context);
      return show(set, (await registrar.lookup(set)) ?? { bindings: [], instances: [] }, context);
    },
  );

  const deviceOf = (instance: string | undefined): ((binding: Binding) => boolean) => {
    const key = instance === undefined ? undefined : InstanceId.fromUrn(instance).key;
    return (binding) => key === undefined || binding.instanceKey === key;
  };

  api.delete<{ Params: { aor: string }; Querystring: { instance?: string; reason: Reason } }>(
    '/registrations/:aor',
    {
      schema: {
        summary: 'De-registers an identity or one device of it from the network side',
        ...oneSchema,
        querystring: {
          type: 'object',
          properties: {
            ...oneSchema.querystring.properties,
            reason: {
              enum: reasons,
              default: 'deactivated',
              description: 'what watchers are told: come back, not at once, or not at all (RFC 3680 §5.2)',
            },
          },
        },
      },
    },
    async (request) => {
      const set = await setOf(request.params.aor, context);
      const { instance, reason } = request.query;
      const before = await registrar.lookup(set);
      const gone = await registrar.deregister(set, reason, deviceOf(instance));
      if (gone.length === 0) throw new ParleyError('registration-unknown');
      return show(set, { bindings: gone, instances: before?.instances ?? [] }, context);
    },
  );

  api.post<{ Params: { aor: string }; Body: { instance?: string; seconds: number } }>(
    '/registrations/:aor/reauthenticate',
    {
      schema: {
        summary: 'Shortens registrations, so that devices authenticate again',
        params: oneSchema.params,
        body: {
          type: 'object',
          properties: {
            instance: { type: 'string', description: 'URN of one device' },
            seconds: { type: 'integer', minimum: 1, maximum: 3600, default: 60 },
          },
          additionalProperties: false,
        },
        response: oneSchema.response,
      },
    },
    async (request) => {
      const set = await setOf(request.params.aor, context);
      const { instance, seconds } = request.body;
      const shortened = await registrar.reauthenticate(set, seconds, deviceOf(instance));
      if (shortened.length === 0) throw new ParleyError('registration-unknown');
      const { instances = [] } = (await registrar.lookup(set)) ?? {};
      return show(set, { bindings: shortened, instances }, context);
    },
  );
}

const reasons = ['deactivated', 'probation', 'rejected'] as const;
type Reason = (typeof reasons)[number];

async function setOf(aor: string, { registrar, config }: Shown): Promise<string> {
  const set = await registrar.setOf(aorOf(aor, config.domain));
  if (set === undefined) throw new ParleyError('registration-unknown');
  return set;
}

function show(set: string, registration: Registration, context: Shown): object {
  return {
    aor: set,
    bindings: registration.bindings.map((binding) => showBinding(binding, registration, context)),
  };
}

function showBinding(binding: Binding, registration: Registration, { gruus, clock }: Shown): object {
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
