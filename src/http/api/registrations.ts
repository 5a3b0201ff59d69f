import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import { featureSet } from '../../identity/feature-tags.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { Binding, Registration } from '../../registrar/registration.js';
import { parseParams } from '../../sip/message/lexer.js';
import type { CoreContext } from '../context.js';
import { listSchema, oneSchema, type ListQuery } from './registration-schemas.js';

type Shown = CoreContext & { readonly clock: Clock };

/** `/registrations`: who is registered, with which devices; and de-registration from the network side. */
export function registrationRoutes(api: FastifyInstance, context: Shown): void {
  const { registrar } = context;

  api.get<{ Querystring: ListQuery }>('/registrations', { schema: listSchema }, async (request) => {
    const { after, limit } = request.query;
    const found: object[] = [];
    let next: string | undefined;
    for await (const { set, registration } of registrar.list(after)) {
      if (found.length === limit) break;
      found.push(show(set, registration, context));
      next = set;
    }
    return found.length < limit ? { registrations: found } : { registrations: found, next };
  });

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

async function setOf(aor: string, { registrar }: CoreContext): Promise<string> {
  const set = await registrar.setOf(parseAor(aor.includes(':') ? aor : `sip:${aor}`));
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
