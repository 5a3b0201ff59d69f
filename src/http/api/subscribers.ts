import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import type { NewSubscriber, Subscriber } from '../../registrar/subscribers.js';
import type { HttpContext } from '../context.js';
import { next, pageOf, pageQuery, type PageQuery } from './pages.js';

const strings = { type: 'array', items: { type: 'string' } } as const;

const subscriberSchema = {
  type: 'object',
  properties: {
    privateId: { type: 'string' },
    identities: strings,
    barred: strings,
    implicitSets: { type: 'array', items: strings },
    wildcards: {
      ...strings,
      description: 'wildcarded identities, which register with the first identity: sip:pbx!.*!@ims.test',
    },
  },
} as const;

const shownSchema = {
  type: 'object',
  properties: {
    ...subscriberSchema.properties,
    schemes: {
      type: 'array',
      items: { type: 'string', enum: ['digest', 'aka'] },
      description: 'how the subscriber can prove itself',
    },
  },
} as const;

const hex = (octets: number, description: string) =>
  ({ type: 'string', pattern: `^[0-9a-fA-F]{${2 * octets}}$`, description }) as const;

const akaKey = (description: string) =>
  ({ type: 'string', pattern: '^([0-9a-fA-F]{32}){1,2}$', description }) as const;

const akaSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['k'],
  description:
    'what the USIM of the subscriber holds, in hex; OP or OPc of Milenage (16 octets) or TOP or TOPc of TUAK (32)',
  properties: {
    k: akaKey('key; 32 octets only with TUAK'),
    op: akaKey('operator variant, of which only OPc is kept'),
    opc: akaKey('OPc, or TOPc'),
    amf: hex(2, 'authentication management field; 8000 when absent'),
    sqn: hex(6, 'sequence number that the first challenge comes after; zeros when absent'),
  },
} as const;

const newSubscriberSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['privateId', 'identities'],
  properties: {
    ...subscriberSchema.properties,
    password: {
      type: 'string',
      minLength: 1,
      description: 'kept as digests only; needed unless aka is given',
    },
    aka: akaSchema,
  },
} as const;

const oneSchema = {
  params: { type: 'object', properties: { privateId: { type: 'string' } }, required: ['privateId'] },
} as const;

/** `/subscribers`: who may register. Credentials go in and never come out. */
export function subscriberRoutes(
  api: FastifyInstance,
  { subscribers, core, participating }: HttpContext,
): void {
  api.get<{ Querystring: PageQuery }>(
    '/subscribers',
    {
      schema: {
        summary: 'Subscribers in order of their private identities',
        querystring: { type: 'object', properties: pageQuery },
        response: {
          200: { type: 'object', properties: { subscribers: { type: 'array', items: shownSchema }, next } },
        },
      },
    },
    async (request) => {
      const { after, limit } = request.query;
      const found = await subscribers.list(after, limit);
      const { items, next } = await pageOf(found, limit, ({ privateId }) => privateId, show);
      return { subscribers: items, next };
    },
  );

  api.get<{ Params: { privateId: string } }>(
    '/subscribers/:privateId',
    { schema: { summary: 'One subscriber', ...oneSchema, response: { 200: shownSchema } } },
    async (request) => {
      const subscriber = await subscribers.get(request.params.privateId);
      if (!subscriber) throw new ParleyError('subscriber-unknown');
      return show(subscriber);
    },
  );

  api.post<{ Body: NewSubscriber }>(
    '/subscribers',
    {
      schema: {
        summary: 'Adds a subscriber',
        body: newSubscriberSchema,
        response: { 201: shownSchema },
      },
    },
    async (request, reply) => reply.code(201).send(show(await subscribers.add(request.body))),
  );

  api.delete<{ Params: { privateId: string } }>(
    '/subscribers/:privateId',
    {
      schema: {
        summary:
          'Removes a subscriber with its registrations and policy; senders of messages that waited are told of their loss',
        ...oneSchema,
        response: { 200: shownSchema },
      },
    },
    async (request) => {
      const { privateId } = request.params;
      // while it is known which identities the sets have, and which servers are to be told
      for (const [set] of (await subscribers.get(privateId))?.implicitSets ?? [])
        if (set !== undefined) await core?.registrar.deregister(set, 'rejected');
      const gone = await subscribers.remove(privateId);
      for (const [set] of gone.implicitSets) {
        if (set === undefined) continue;
        // what has registered meanwhile
        await core?.registrar.deregister(set, 'rejected');
        await participating?.policies.remove(set);
        await participating?.deferral.discardAll(set);
      }
      return show(gone);
    },
  );
}

function show(subscriber: Subscriber): object {
  return {
    privateId: subscriber.privateId,
    identities: subscriber.identities.map(({ aor }) => aor),
    barred: subscriber.identities.filter(({ barred }) => barred).map(({ aor }) => aor),
    implicitSets: subscriber.implicitSets,
    wildcards: subscriber.wildcards ?? [],
    schemes: [...(subscriber.credentials.length > 0 ? ['digest'] : []), ...(subscriber.aka ? ['aka'] : [])],
  };
}
