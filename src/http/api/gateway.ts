import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import { deviceRow } from '../../gateway/migration/migration.js';
import { mapKinds, withdrawable, type MapKind, type WithdrawableKind } from '../../gateway/migration/rows.js';
import { countOf, parseUserId, type UserId } from '../../imps/index.js';
import type { HttpContext } from '../context.js';
import { next, pageOf, pageQuery, type PageQuery } from './pages.js';

const integer = { type: 'integer' } as const;
const string = { type: 'string' } as const;

const stateSchema = {
  type: 'object',
  properties: {
    domain: { ...string, description: 'domain of the IMPS users' },
    host: { ...string, description: "host of the phones' contacts" },
    sessions: { ...integer, description: 'IMPS sessions that live' },
    passages: {
      type: 'array',
      items: {
        type: 'object',
        properties: { direction: string, outcome: string, reason: string, count: integer },
      },
    },
    identities: {
      type: 'object',
      description: 'what the map of identities decided since the start',
      properties: { mapped: integer, collisions: integer, addressesMade: integer, refused: integer },
    },
  },
} as const;

const rowsSchema = { type: 'array', items: { type: 'object', additionalProperties: true } } as const;

const refusedSchema = {
  type: 'array',
  items: { type: 'object', properties: { row: integer, code: string, message: string } },
} as const;

const resultSchema = {
  type: 'object',
  properties: { added: integer, known: integer, refused: refusedSchema },
} as const;

const withdrawalSchema = {
  type: 'object',
  properties: { removed: integer, absent: integer, refused: refusedSchema },
} as const;

const kindParams = (kinds: readonly MapKind[]) =>
  ({
    type: 'object',
    properties: { kind: { type: 'string', enum: kinds } },
    required: ['kind'],
  }) as const;

const rowsBody = {
  type: 'object',
  additionalProperties: false,
  required: ['rows'],
  properties: { rows: { ...rowsSchema, maxItems: 1000 } },
} as const;

/**
 * `/gateway`: what went between IMPS and CPM, and the map of users, addresses, clients, contacts, access lists and groups, out and in. The map shows IMEIs,
 * as registrations do.
 */
export function gatewayRoutes(api: FastifyInstance, { gateway, imps, config, trail }: HttpContext): void {
  if (!gateway || !imps) return;
  const home = config.imps.domain ?? config.domain;
  const userOf = (text: string): UserId => {
    const user = parseUserId(text, home);
    if (user === undefined) throw new ParleyError('gateway-address-invalid', text.slice(0, 80));
    return user;
  };

  api.get(
    '/gateway',
    { schema: { summary: 'State and counters of the gateway', response: { 200: stateSchema } } },
    async () => {
      const counted = (code: string): number => trail.counts().get(code) ?? 0;
      return {
        domain: home,
        host: gateway.host,
        sessions: await countOf(imps.sessions()),
        passages: gateway.traffic.counts(),
        identities: {
          mapped: counted('gateway.device-mapped'),
          collisions: counted('gateway.instance-collision'),
          addressesMade: counted('gateway.address-made'),
          refused: counted('gateway.device-refused'),
        },
      };
    },
  );

  api.get<{ Params: { kind: MapKind }; Querystring: PageQuery & { user?: string } }>(
    '/gateway/map/:kind',
    {
      schema: {
        summary:
          'One kind of the map: users without passwords, addresses, devices, contacts, access lists, groups',
        params: kindParams(mapKinds),
        querystring: {
          type: 'object',
          properties: {
            user: { type: 'string', description: 'devices of this User-ID alone' },
            ...pageQuery,
          },
        },
        response: { 200: { type: 'object', properties: { rows: rowsSchema, next } } },
      },
    },
    async (request) => {
      const { user, after, limit } = request.query;
      const { kind } = request.params;
      if (user === undefined || kind !== 'devices') return gateway.migration.export(kind, limit, after);
      const { items, next } = await pageOf(
        gateway.devices.list(userOf(user), after),
        limit,
        ({ user: owner, uuid }) => `${owner}\t${uuid}`,
        deviceRow,
      );
      return { rows: items, next };
    },
  );

  api.post<{ Params: { kind: MapKind }; Body: { rows: unknown[] } }>(
    '/gateway/map/:kind',
    {
      schema: {
        summary: 'Takes rows over; each stands for itself, and what is there already stays',
        params: kindParams(mapKinds),
        body: rowsBody,
        response: { 200: resultSchema },
      },
    },
    async (request) => gateway.migration.import(request.params.kind, request.body.rows),
  );

  api.post<{ Params: { kind: WithdrawableKind }; Body: { rows: unknown[] } }>(
    '/gateway/map/:kind/withdrawals',
    {
      schema: {
        summary: 'Takes rows back, the last one first; what is not there is counted',
        params: kindParams(withdrawable),
        body: rowsBody,
        response: { 200: withdrawalSchema },
      },
    },
    async (request) => gateway.migration.withdraw(request.params.kind, request.body.rows),
  );

  api.delete<{ Params: { user: string; uuid: string } }>(
    '/gateway/map/devices/:user/:uuid',
    {
      schema: {
        summary: 'Forgets a device: its client gets an Instance ID anew at its next login',
        response: { 200: { type: 'object', additionalProperties: true } },
      },
    },
    async (request) =>
      deviceRow(await gateway.devices.remove(userOf(request.params.user), request.params.uuid)),
  );

  api.delete<{ Params: { wv: string } }>(
    '/gateway/map/addresses/:wv',
    {
      schema: {
        summary: 'Takes a pair of addresses back: the rule holds again',
        response: { 200: { type: 'object', additionalProperties: true } },
      },
    },
    async (request) => gateway.addresses.remove(userOf(request.params.wv)),
  );

  api.get<{ Querystring: { address: string } }>(
    '/gateway/resolve',
    {
      schema: {
        summary: 'What an address is on the other side, and why',
        querystring: { type: 'object', properties: { address: string }, required: ['address'] },
        response: { 200: { type: 'object', properties: { wv: string, aor: string, by: string } } },
      },
    },
    async (request) => gateway.addresses.explain(request.query.address),
  );
}
