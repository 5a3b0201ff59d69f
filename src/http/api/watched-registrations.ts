import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { RegisteredDevice } from '../../reg-event/devices.js';
import type { RegEventSubscriber } from '../../reg-event/subscriber.js';
import type { HttpContext } from '../context.js';
import { aorOf } from './identity.js';
import { pageOf, type PageQuery } from './pages.js';
import { listSchema, oneSchema } from './registration-schemas.js';

/** `/registrations` without a registrar here: what another core tells by registration events. */
export function watchedRegistrationRoutes(
  api: FastifyInstance,
  {
    watched,
    clock,
    config,
  }: Pick<HttpContext, 'clock' | 'config'> & { readonly watched: RegEventSubscriber },
): void {
  api.get<{ Querystring: PageQuery }>('/registrations', { schema: listSchema }, async (request) => {
    const { after, limit } = request.query;
    const { items, next } = await pageOf(
      watched.list(after),
      limit,
      ({ set }) => set,
      ({ set, devices }) => show(set, devices, clock),
    );
    return { registrations: items, next };
  });

  api.get<{ Params: { aor: string } }>(
    '/registrations/:aor',
    { schema: { summary: 'The devices of one identity', ...oneSchema } },
    async (request) => {
      const { aor } = request.params;
      const set = watched.setOf(aorOf(aor, config.domain));
      const devices = await watched.of(set);
      if (devices.length === 0) throw new ParleyError('registration-unknown');
      return show(set, devices, clock);
    },
  );

  api.delete(
    '/registrations/:aor',
    { schema: { summary: 'Refused: the registrar is somewhere else', ...oneSchema } },
    () => {
      throw new ParleyError('registration-elsewhere');
    },
  );
}

function show(set: string, devices: readonly RegisteredDevice[], clock: Clock): object {
  return { aor: set, bindings: devices.map((device) => showDevice(device, clock)) };
}

function showDevice(device: RegisteredDevice, clock: Clock): object {
  const { id, aor, contact, instance, publicGruu, deviceName, features, q, expiresAt } = device;
  const regId = Number(features.get('reg-id'));
  return {
    id,
    aor,
    contact,
    instance,
    publicGruu,
    regId: regId > 0 ? regId : undefined,
    deviceName,
    capabilities: Object.fromEntries([...features].filter(([name]) => !notCapabilities.has(name))),
    q,
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
    expiresInSeconds:
      expiresAt === undefined ? undefined : Math.max(0, Math.round((expiresAt - clock.now()) / 1000)),
  };
}

const notCapabilities: ReadonlySet<string> = new Set(['+sip.instance', 'reg-id', 'ob']);
